"""From an image and its labels to a data set of patches to learn from."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from affine import Affine

from engine import __version__
from engine.data.dataset_file import FILE_NAME, SPLITS, DatasetFile
from engine.data.pairs import write_pairs
from engine.errors import Cancelled, EngineError, InputError
from engine.events import Reporter, format_duration
from engine.extraction.band_sums import BandSums, band_statistics
from engine.extraction.class_mapping import ClassMapping
from engine.extraction.dataset_folder import DatasetFolder, check_output, patch_paths
from engine.extraction.image import open_image
from engine.extraction.labels import Labels
from engine.extraction.open_labels import fingerprint_of, open_labels
from engine.extraction.parallel import Readers, each
from engine.extraction.patch_grid import PatchGrid, lay_grid
from engine.extraction.patch_writer import encode_image, encode_mask
from engine.extraction.split import assign_blocks, block_side, drop_overlapping, number_blocks
from engine.extraction.survey import Survey, mask_of, survey
from engine.extraction.table import class_table, say_table, warn_of_gaps
from engine.nomenclature import Nomenclature, resolve_nomenclature
from engine.rasters.area import AreaOfInterest, area_from_polygons
from engine.rasters.source import RasterSource
from engine.requests import ExtractPatchesRequest

# Share of the progress bar.
SURVEYED = 0.3
# A run that failed sooner than this is as quickly done again.
WORTH_KEEPING_SECONDS = 60.0

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Job:
    """What is cut from what."""

    request: ExtractPatchesRequest
    output: Path
    nomenclature: Nomenclature
    mapping: ClassMapping
    source: RasterSource
    bands: tuple[str, ...]
    labels: Labels
    area: AreaOfInterest | None
    grid: PatchGrid


@dataclass(frozen=True)
class _Patch:
    """A patch that will be written: where it is in the grid, its name, and its split."""

    row: int
    column: int
    name: str
    split: str


def run(request: ExtractPatchesRequest, reporter: Reporter, cancelled: threading.Event) -> dict[str, Any]:
    """Cut an image and its labels into a data set.

    Args:
        request: What to do.
        reporter: Receives progress, facts and warnings.
        cancelled: Set to stop; patches that are written are kept for the next run.

    Returns:
        Folder, `dataset.yaml`, patches by split, pixels by class and split, seconds.

    Raises:
        EngineError: Something is wrong with the request, the image, the labels or the disk.
    """
    began = time.monotonic()
    job = _prepare(request, reporter)
    progress = _Progress(reporter)
    found = survey(
        job.grid,
        job.source,
        job.labels,
        job.area,
        job.nomenclature,
        request.labelled,
        lambda share: progress(SURVEYED * share, "Looking at the labels"),
        cancelled,
    )
    _say_what_was_found(job, found, reporter)
    found, blocks, splits, side = _split(job, found, reporter)
    patches = _name(job, found, blocks, splits)
    folder = DatasetFolder.open(
        job.output, _fingerprint(job), overwrite=request.overwrite, resume=request.resume, reporter=reporter
    )
    try:
        facts = _write(job, folder, patches, progress, cancelled)
        counts = _count(patches)
        pixels = _pixels(job, found, splits)
        table = class_table(pixels, job.nomenclature)
        description = _describe(job, facts, patches, pixels, counts, side)
        folder.commit(
            {
                **{f"{split}.csv": _listed(patches, split) for split in SPLITS},
                FILE_NAME: description.to_yaml(),
            }
        )
    except BaseException as error:
        _leave(folder, error, time.monotonic() - began, reporter)
        raise
    say_table(table, counts, reporter)
    warn_of_gaps(table, counts, _holders(job, found, blocks), job.nomenclature, reporter)
    seconds = time.monotonic() - began
    reporter.progress(1.0, f"Done in {format_duration(seconds)}", 0.0)
    return {
        "output": request.output,
        "dataset": str(Path(request.output) / FILE_NAME),
        "patches": counts,
        "table": table,
        "seconds": round(seconds, 2),
    }


class _Progress:
    """Tells the share of the whole command that is done, and the time left at the same pace."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._began = time.monotonic()

    def __call__(self, share: float, text: str) -> None:
        spent = time.monotonic() - self._began
        self._reporter.progress(share, text, spent / share * (1 - share) if share > 0 and spent > 1 else None)


def _prepare(request: ExtractPatchesRequest, reporter: Reporter) -> _Job:
    output = Path(request.output).expanduser().resolve()
    inputs = [*request.image, *request.labels, *([request.area] if request.area else [])]
    check_output(output, inputs, overwrite=request.overwrite)
    nomenclature = resolve_nomenclature(request.nomenclature)
    mapping = ClassMapping.parse(request.classes, nomenclature)
    source, bands = open_image(
        request.image,
        bands=request.bands,
        crs=request.crs,
        ground_sampling_distance=request.ground_sampling_distance,
        nodata=request.nodata,
        reporter=reporter,
    )
    grid = lay_grid(source.height, source.width, request.patch_size, request.overlap)
    area = area_from_polygons(request.area, request.area_layer, source) if request.area else None
    reporter.progress(0.0, "Reading the labels")
    labels = open_labels(request.labels, request.label_layer, request.class_field, mapping, source, reporter)
    return _Job(request, output, nomenclature, mapping, source, bands, labels, area, grid)


def _say_what_was_found(job: _Job, found: Survey, reporter: Reporter) -> None:
    grid, source = job.grid, job.source
    lost = 1 - grid.height * grid.width / (source.height * source.width)
    if lost > 0.05:
        reporter.log(
            f"{lost:.0%} of the image, at its lower and right edge, fill no whole patch and are left out; a smaller "
            "--patch-size or an --overlap leaves out less."
        )
    if found.contested:
        reporter.warning(
            f"Labels of different classes overlap on {found.contested} pixels: {job.labels.contested_rule}."
        )
    if found.poor:
        reporter.log(
            f"{found.poor} patches with less than {job.request.labelled:.0%} of their pixels labelled are left out."
        )
    invalid = int(found.invalid.sum())
    if invalid:
        share = invalid / (len(found.cells) * grid.size**2)
        reporter.warning(
            f"{invalid} pixels of the patches ({share:.2%}) hold no data (nodata, transparent or no number): they are "
            "0 in the images and without a label in the masks."
        )


def _split(job: _Job, found: Survey, reporter: Reporter) -> tuple[Survey, Integers, Integers, int]:
    """Return the patches that are kept, their blocks, their splits as positions in `SPLITS`, and the blocks' side."""
    request, reach = job.request, job.grid.reach
    shares = {"train": 1 - request.val_share - request.test_share, "val": request.val_share, "test": request.test_share}
    used = [index for index, split in enumerate(SPLITS) if shares[split] > 0]
    side = request.block or block_side(found.cells, 1 + reach)
    blocks = number_blocks(found.cells, side)
    count = int(blocks.max()) + 1
    learnt = [index for index, item in enumerate(job.nomenclature.classes) if not item.disabled]
    pixels = np.zeros((count, len(learnt)), dtype=np.int64)
    np.add.at(pixels, blocks, found.pixels[:, learnt])
    placed = assign_blocks(pixels, np.bincount(blocks), [shares[SPLITS[index]] for index in used], request.seed)
    splits = np.array(used)[placed][blocks]
    reporter.log(
        f"{len(blocks)} patches in {count} blocks of {side} x {side} are split {_percent(shares)} "
        f"between {', '.join(SPLITS[index] for index in used)}."
    )
    # The smallest splits keep what they have: they have least to lose.
    kept = drop_overlapping(found.cells, splits, reach, sorted(used, key=lambda index: (shares[SPLITS[index]], -index)))
    if not kept.all():
        reporter.log(f"{int((~kept).sum())} patches that would share pixels with another split are left out.")
        found = Survey(found.cells[kept], found.pixels[kept], found.invalid[kept], found.contested, found.poor)
        blocks, splits = blocks[kept], splits[kept]
    empty = [SPLITS[index] for index in used if not (splits == index).any()]
    if empty:
        raise InputError(
            f"No patch is left for {' and '.join(empty)}, since patches of different splits must not overlap.",
            "Give a smaller --overlap, or a larger --block.",
        )
    return found, blocks, splits, side


def _percent(shares: dict[str, float]) -> str:
    return " : ".join(f"{100 * share:.3g}" for share in shares.values() if share > 0)


def _name(job: _Job, found: Survey, blocks: Integers, splits: Integers) -> list[_Patch]:
    zones = {block: number for number, block in enumerate(np.unique(blocks).tolist(), 1)}
    year = re.search(r"(?<!\d)(?:19|20)\d\d(?!\d)", job.source.files[0].name)
    domain = f"D001_{year[0] if year else 'undated'}"
    return [
        _Patch(row, column, f"{domain}/Z{zones[block]:03d}/{number:06d}", SPLITS[split])
        for number, ((row, column), block, split) in enumerate(
            zip(found.cells.tolist(), blocks.tolist(), splits.tolist(), strict=True), 1
        )
    ]


def _write(
    job: _Job, folder: DatasetFolder, patches: list[_Patch], progress: _Progress, cancelled: threading.Event
) -> list[BandSums]:
    """Write what is not there yet and return the band sums of the training patches."""

    def cut(patch: _Patch) -> None:
        image, labels = readers.get()
        window = job.grid.window(patch.row, patch.column)
        values, valid = image.read(window)
        mask = mask_of(window, labels, valid, job.area)
        transform = job.source.transform * Affine.translation(window.column, window.row)
        folder.write_patch(
            patch.name,
            encode_image(values, job.bands, job.source.crs, transform),
            encode_mask(mask, job.nomenclature, job.source.crs, transform),
            {"sums": asdict(BandSums.of(values, valid))} if patch.split == "train" else {},
        )

    waiting = [patch for patch in patches if patch.name not in folder.done]
    before = len(patches) - len(waiting)
    with Readers(job.source, job.labels) as readers:
        for number, _ in enumerate(each(cut, waiting, cancelled), before + 1):
            share = number / len(patches)
            progress(SURVEYED + (0.99 - SURVEYED) * share, f"Writing patches, {number} of {len(patches)}")
    return [BandSums(**folder.done[patch.name]["sums"]) for patch in patches if patch.split == "train"]


def _describe(
    job: _Job,
    sums: list[BandSums],
    patches: list[_Patch],
    pixels: dict[str, dict[int, int]],
    counts: dict[str, int],
    side: int,
) -> DatasetFile:
    request, source = job.request, job.source
    gsd = float(np.sqrt(source.gsd[0] * source.gsd[1]))
    options = request.model_dump(exclude_defaults=True, exclude={"image", "labels", "output", "overwrite", "resume"})
    return DatasetFile(
        name=job.output.name,
        bands=band_statistics(sums, job.bands, source.dtype),
        nomenclature=job.nomenclature,
        ground_sampling_distance=round(gsd, 6),
        patch_size=job.grid.size,
        pixels=pixels,
        patches=counts,
        source={
            "images": [Path(path).name for path in request.image],
            "labels": [Path(path).name for path in request.labels],
            "classes": {job.mapping.titles[value]: code for value, code in job.mapping.given.items()},
            "crs": source.crs.to_string() if source.crs else None,
            "block": side,
            "seed": request.seed,
            "options": options,
            "version": __version__,
        },
    )


def _listed(patches: list[_Patch], split: str) -> str:
    pairs = [patch_paths(patch.name) for patch in patches if patch.split == split]
    return write_pairs(pairs)


def _count(patches: list[_Patch]) -> dict[str, int]:
    return {split: sum(patch.split == split for patch in patches) for split in SPLITS}


def _pixels(job: _Job, found: Survey, splits: Integers) -> dict[str, dict[int, int]]:
    codes = job.nomenclature.codes
    return {
        split: {
            code: pixels
            for code, pixels in zip(codes, found.pixels[splits == index].sum(axis=0).tolist(), strict=True)
            if pixels
        }
        for index, split in enumerate(SPLITS)
    }


def _holders(job: _Job, found: Survey, blocks: Integers) -> dict[int, int]:
    """Return how many blocks hold each class, by code."""
    return {
        code: len(np.unique(blocks[found.pixels[:, index] > 0])) for index, code in enumerate(job.nomenclature.codes)
    }


def _fingerprint(job: _Job) -> dict[str, Any]:
    options = job.request.model_dump(
        include={
            "class_field",
            "label_layer",
            "patch_size",
            "overlap",
            "labelled",
            "val_share",
            "test_share",
            "block",
            "seed",
        }
    )
    return {
        "version": __version__,
        "image": job.source.fingerprint(),
        "names": list(job.bands),
        "labels": fingerprint_of(job.request.labels),
        "nomenclature": job.nomenclature.to_dict(),
        "classes": [[str(value), code] for value, code in job.mapping.given.items()],
        "area": job.area.fingerprint() if job.area else None,
        **options,
    }


def _leave(folder: DatasetFolder, error: BaseException, seconds: float, reporter: Reporter) -> None:
    """Keep patches where going on makes sense, leave nothing behind where it does not."""
    hopeless = isinstance(error, EngineError) and error.kind == "input"
    if folder.done and not hopeless and (isinstance(error, Cancelled) or seconds > WORTH_KEEPING_SECONDS):
        reporter.log("The finished patches are kept: the same command goes on from there.")
        folder.close()
    else:
        folder.remove()

"""From an image and its labels to a data set of patches to learn from."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine

from engine import __version__
from engine.data.dataset_file import FILE_NAME, SPLITS, DatasetFile
from engine.data.pairs import write_pairs
from engine.errors import Cancelled, EngineError
from engine.events import Reporter, format_duration
from engine.extraction.band_sums import BandSums, band_statistics
from engine.extraction.class_mapping import ClassMapping
from engine.extraction.dataset_folder import DatasetFolder, check_output, patch_paths
from engine.extraction.image import open_image
from engine.extraction.labels import Labels
from engine.extraction.open_labels import fingerprint_of, open_labels
from engine.extraction.patch_choice import Choice, Patch, choose_patches
from engine.extraction.patch_grid import PatchGrid, lay_grid
from engine.extraction.patch_writer import encode_image, encode_mask
from engine.extraction.readers import Readers
from engine.extraction.survey import Survey, mask_of, survey
from engine.extraction.table import class_table, say_table, warn_of_gaps
from engine.nomenclature import Nomenclature, resolve_nomenclature
from engine.rasters.area import AreaOfInterest, area_from_polygons
from engine.rasters.parallel import each
from engine.rasters.source import RasterSource
from engine.requests import ExtractPatchesRequest

# Share of the progress bar.
SURVEYED = 0.3
# A run that failed sooner than this is as quickly done again.
WORTH_KEEPING_SECONDS = 60.0


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
    choice = choose_patches(
        found,
        job.nomenclature,
        reach=job.grid.reach,
        val_share=request.val_share,
        test_share=request.test_share,
        block=request.block,
        seed=request.seed,
        domain=_domain(job),
        reporter=reporter,
    )
    folder = DatasetFolder.open(
        job.output, _fingerprint(job), overwrite=request.overwrite, resume=request.resume, reporter=reporter
    )
    try:
        sums = _write(job, folder, choice.patches, progress, cancelled)
        lists = {f"{split}.csv": _listed(choice.patches, split) for split in SPLITS}
        folder.commit({**lists, FILE_NAME: _describe(job, sums, choice).to_yaml()})
    except BaseException as error:
        _leave(folder, error, time.monotonic() - began, reporter)
        raise
    table = class_table(choice.pixels, job.nomenclature)
    say_table(table, choice.counts, reporter)
    warn_of_gaps(table, choice, job.nomenclature, reporter)
    seconds = time.monotonic() - began
    reporter.progress(1.0, f"Done in {format_duration(seconds)}", 0.0)
    return {
        "output": request.output,
        "dataset": str(Path(request.output) / FILE_NAME),
        "patches": choice.counts,
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


def _domain(job: _Job) -> str:
    """Return the name of the outer folder, with the year that the first image's name tells."""
    year = re.search(r"(?<!\d)(?:19|20)\d\d(?!\d)", job.source.files[0].name)
    return f"D001_{year[0] if year else 'undated'}"


def _write(
    job: _Job, folder: DatasetFolder, patches: Sequence[Patch], progress: _Progress, cancelled: threading.Event
) -> list[BandSums]:
    """Write what is not there yet and return the band sums of the training patches."""

    def cut(patch: Patch) -> None:
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


def _describe(job: _Job, sums: Sequence[BandSums], choice: Choice) -> DatasetFile:
    request, source = job.request, job.source
    gsd = float(np.sqrt(source.gsd[0] * source.gsd[1]))
    options = request.model_dump(exclude_defaults=True, exclude={"image", "labels", "output", "overwrite", "resume"})
    return DatasetFile(
        name=job.output.name,
        bands=band_statistics(sums, job.bands, source.dtype),
        nomenclature=job.nomenclature,
        ground_sampling_distance=round(gsd, 6),
        patch_size=job.grid.size,
        pixels=choice.pixels,
        patches=choice.counts,
        source={
            "images": [Path(path).name for path in request.image],
            "labels": [Path(path).name for path in request.labels],
            "classes": {job.mapping.titles[value]: code for value, code in job.mapping.given.items()},
            "crs": source.crs.to_string() if source.crs else None,
            "block": choice.side,
            "seed": request.seed,
            "options": options,
            "version": __version__,
        },
    )


def _listed(patches: Sequence[Patch], split: str) -> str:
    return write_pairs([patch_paths(patch.name) for patch in patches if patch.split == split])


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

"""Judges a model on the patches of a data set, predicting as it goes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import __version__
from engine.commands.evaluation_output import Findings, few_units, percent, tell, write_findings
from engine.comparison.error_map import VERDICTS
from engine.comparison.patch_classes import PatchClasses, match_classes
from engine.comparison.result_folder import EVALUATION
from engine.comparison.tally import Comparer, Tally, most_units
from engine.data.dataset import UNDESCRIBED_IGNORED, Dataset, open_dataset
from engine.data.pairs import read_pairs
from engine.data.patch_index import PatchIndex, index_patches
from engine.errors import Cancelled, InputError
from engine.evaluation.scores import score
from engine.events import Reporter, format_duration
from engine.inference.device import choose_device
from engine.inference.load import load_predictor
from engine.inference.predictor import Predictor
from engine.models.resolve import ResolvedModel, resolve_model
from engine.nomenclature import NODATA, load_nomenclature
from engine.reports.evaluation_report import WorstPlace
from engine.reports.pictures import class_picture, picture
from engine.requests import EvaluateRequest

WORST = 6
# Network's stride: sides are padded to its multiples.
STRIDE = 32
# Shares of the progress bar when all files are looked at, and when all patches are predicted.
INDEXED, PREDICTED = 0.05, 0.97

Codes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class _Patch:
    """A patch that is shown.

    Args:
        name: File name of the image.
        pixels: Raw values, shape (bands, height, width).
        truth: Codes of the model, 0 where ignored, shape (height, width).
        predicted: Codes of the model, shape (height, width).
    """

    name: str
    pixels: npt.NDArray[Any]
    truth: Codes
    predicted: Codes


@dataclass(frozen=True)
class _Job:
    request: EvaluateRequest
    output: Path
    model: ResolvedModel
    device: str
    dataset: Dataset
    index: PatchIndex
    classes: PatchClasses
    comparer: Comparer

    @property
    def channels(self) -> tuple[int, ...]:
        """Band numbers in the files, in the network's order."""
        return tuple(self.index.bands.index(name) + 1 for name in self.model.manifest.band_names)


def evaluate_patches(request: EvaluateRequest, reporter: Reporter, cancelled: threading.Event) -> dict[str, Any]:
    """Judge a model; see `engine.commands.evaluate.run`."""
    began = time.monotonic()
    job = _prepare(request, reporter, cancelled)
    reporter.progress(INDEXED, "Loading the model")
    height, width = job.index.largest
    predictor = load_predictor(
        job.model,
        job.device,
        "exact",
        "codes",
        (),
        pixels=height * width * len(job.index.pairs[request.split]),
        threads=request.threads,
        reporter=reporter,
    ).predictor
    with EVALUATION.staged(job.output, overwrite=request.overwrite) as folder:
        tally = _judge(job, predictor, reporter, cancelled)
        found = _findings(job, tally, predictor.device, reporter)
        result = write_findings(request, found, folder, time.monotonic() - began)
    reporter.progress(1.0, f"Done in {format_duration(time.monotonic() - began)}", 0.0)
    return result


def _prepare(request: EvaluateRequest, reporter: Reporter, cancelled: threading.Event) -> _Job:
    output = Path(request.output).expanduser().resolve()
    data, named = request.data or "", request.model or ""
    EVALUATION.check(output, [data], overwrite=request.overwrite)
    device = choose_device(request.device)
    model = resolve_model(named, request.weights)
    # Before thousands of files are looked at.
    comparer = Comparer(model.manifest.nomenclature, request.definition)
    dataset = _dataset(request, data)
    # Codes that are mapped or ignored need not be in the data set's nomenclature: all are let in, and judged below.
    index = index_patches(replace(dataset, ignored=tuple(range(256))), reporter, cancelled, INDEXED)
    missing = [name for name in model.manifest.band_names if name not in index.bands]
    if missing:
        raise InputError(
            f"The model wants the bands {', '.join(model.manifest.band_names)}, but the data set lacks "
            f"{', '.join(missing)}; it holds {', '.join(index.bands)}.",
            "Choose a data set with these bands, or another model.",
        )
    ignored = set(dataset.ignored if request.ignore is None else request.ignore)
    classes = match_classes(
        dataset.nomenclature,
        model.manifest.nomenclature,
        request.classes,
        ignored,
        index.pixels(request.split),
        reporter,
    )
    return _Job(request, output, model, device, dataset, index, classes, comparer)


def _dataset(request: EvaluateRequest, data: str) -> Dataset:
    """Return the data set with the split alone that is judged on."""
    if data.lower().endswith(".csv"):
        root = Path(request.root).expanduser() if request.root else None
        pairs = read_pairs(Path(data).expanduser(), root)
        return Dataset(Path(data).stem, {request.split: pairs}, load_nomenclature("flair"), UNDESCRIBED_IGNORED)
    dataset = open_dataset(data, request.root)
    if request.split not in dataset.splits:
        raise InputError(
            f"The data set '{dataset.name}' has no {request.split} patches.",
            f"It has: {', '.join(dataset.splits)}; choose one with --split.",
        )
    return replace(dataset, splits={request.split: dataset.splits[request.split]})


def _judge(job: _Job, predictor: Predictor, reporter: Reporter, cancelled: threading.Event) -> Tally[_Patch]:
    nomenclature = job.model.manifest.nomenclature
    pairs = job.index.pairs[job.request.split]
    merged = -(-len(pairs) // most_units(len(nomenclature.classes)))
    tally: Tally[_Patch] = Tally(nomenclature, -(-len(pairs) // merged), WORST)
    began = time.monotonic()
    for number, patch in enumerate(_predicted(job, predictor, cancelled)):
        verdicts = job.comparer.verdicts(patch.truth, patch.predicted)
        compared = job.comparer.compare(patch.truth, patch.predicted, verdicts)
        tally.add(number // merged, compared, lambda patch=patch: patch)  # type: ignore[misc]
        done = (number + 1) / len(pairs)
        left = (time.monotonic() - began) / done * (1 - done)
        share = INDEXED + (PREDICTED - INDEXED) * done
        reporter.progress(share, f"Predicting, {number + 1} of {len(pairs)} patches", left)
    return tally


def _predicted(job: _Job, predictor: Predictor, cancelled: threading.Event) -> Iterator[_Patch]:
    """Yield all patches in their order; what a patch lacks to the largest is mirrored, as in training."""
    # It knows torch, which takes seconds to load.
    from engine.data.pieces import PatchReader

    codes = np.zeros(256, dtype=np.uint8)
    nomenclature = job.model.manifest.nomenclature
    codes[: len(nomenclature.codes)] = nomenclature.codes
    reader = PatchReader(
        pairs=job.index.pairs[job.request.split],
        bands=job.channels,
        table=job.classes.table,
        means=tuple(band.mean for band in job.model.manifest.bands),
        nodata=job.index.header.nodata,
    )
    height, width = (-(-side // STRIDE) * STRIDE for side in job.index.largest)
    for number, pair in enumerate(reader.pairs):
        if cancelled.is_set():
            raise Cancelled
        image, target = reader.read(number)
        rows, columns = target.shape
        padded = np.pad(image, ((0, 0), (0, height - rows), (0, width - columns)), mode="symmetric")
        found = predictor.predict(padded[np.newaxis]).codes
        if found is None:
            raise RuntimeError("The network gave no codes")
        yield _Patch(pair.image.name, image, codes[target], np.ascontiguousarray(found[0, :rows, :columns]))


def _findings(job: _Job, tally: Tally[_Patch], device: str, reporter: Reporter) -> Findings:
    request, nomenclature = job.request, job.model.manifest.nomenclature
    matrix = tally.matrix
    scores = score(matrix, request.definition)
    if not scores.pixels:
        raise InputError(
            f"No pixel of the {request.split} patches is of a class that the model can predict.",
            f"It predicts {', '.join(item.name for item in nomenclature.enabled)}; map the truth's with --classes.",
        )
    intervals = tally.intervals(request.definition, request.seed)
    notes = [*job.classes.notes, *few_units(intervals, "patches")]
    for note in notes:
        reporter.warning(note)
    tell(scores, intervals, reporter)
    pairs = job.index.pairs[request.split]
    names = job.model.manifest.band_names
    return Findings(
        title=f"{job.model.manifest.name} on {job.dataset.name}",
        matrix=matrix,
        scores=scores,
        intervals=intervals,
        drawn_from=f"{intervals.units} patches" if intervals else "",
        summary=[
            ("Model", job.model.manifest.name),
            ("Data set", f"{job.dataset.name}: {len(pairs)} {request.split} patches"),
            ("Bands", ", ".join(names)),
            ("Definition", request.definition),
            ("Ignored codes", ", ".join(map(str, sorted(job.classes.ignored - {NODATA}))) or "none"),
            ("Device", f"{device}, exact"),
            ("Version", f"FLAIR land cover {__version__}"),
        ],
        worst=[
            WorstPlace(
                image=picture(item.place.pixels, names),
                truth=class_picture(item.place.truth, nomenclature),
                prediction=class_picture(item.place.predicted, nomenclature),
                errors=class_picture(job.comparer.verdicts(item.place.truth, item.place.predicted), VERDICTS),
                caption=f"{item.place.name}: {item.wrong} of {item.judged} pixels wrong, "
                f"{percent(item.wrong / item.judged)}",
            )
            for item in tally.worst
        ],
        notes=notes,
    )

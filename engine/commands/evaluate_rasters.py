"""Judges a class raster by labels."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine import __version__
from engine.commands.evaluation_output import Findings, few_units, join, percent, tell, write_findings
from engine.comparison.error_map import VERDICTS, ErrorTiles
from engine.comparison.prediction import Prediction, open_prediction
from engine.comparison.result_folder import ERRORS, EVALUATION
from engine.comparison.shown_image import ShownImage
from engine.comparison.stream import Comparison, Outcome, compare, read_pair
from engine.comparison.tally import Comparer, Worst
from engine.comparison.truth import open_truth
from engine.comparison.words import speaking_of_truth
from engine.comparison.zones import Zones, read_zones
from engine.errors import InputError
from engine.evaluation.confusion import ConfusionMatrix
from engine.evaluation.scores import score
from engine.events import Reporter, format_duration, timed_progress
from engine.extraction.readers import Readers
from engine.nomenclature import Nomenclature, load_nomenclature
from engine.rasters.area import AreaOfInterest, area_from_polygons, whole_area
from engine.rasters.virtual_raster import OutputGrid
from engine.rasters.windows import PixelWindow
from engine.reports.evaluation_report import WorstPlace
from engine.reports.pictures import class_picture, picture
from engine.requests import EvaluateRequest

WORST = 6
# Share of the progress bar when all is compared; with a map of errors, and without.
COMPARED, COMPARED_ONLY = 0.7, 0.95
# A share of labelled pixels without a prediction, or of no class of it, that is worth a word.
NOTABLE = 0.001


@dataclass(frozen=True)
class _Job:
    request: EvaluateRequest
    output: Path
    comparison: Comparison
    image: ShownImage | None


def evaluate_rasters(request: EvaluateRequest, reporter: Reporter, cancelled: threading.Event) -> dict[str, Any]:
    """Judge a class raster; see `engine.commands.evaluate.run`."""
    began = time.monotonic()
    job = _prepare(request, reporter)
    step = timed_progress(reporter)
    with EVALUATION.staged(job.output, overwrite=request.overwrite) as folder:
        window = job.comparison.area.window
        tiles = None
        if request.error_map:
            source = job.comparison.prediction.source
            grid = OutputGrid(source.width, source.height, source.transform, source.crs).part(window)
            tiles = ErrorTiles(folder.work, job.output / ERRORS, grid, window)
        share = COMPARED if tiles else COMPARED_ONLY
        outcome = compare(
            job.comparison, tiles, WORST, lambda done: step(share * done, "Comparing the pixels"), cancelled
        )
        found = _findings(job, outcome, reporter)
        if tiles is not None:
            tags = {"FLAIR_VERSION": __version__, "FLAIR_DEFINITION": request.definition}
            tiles.finish(
                folder.path / ERRORS,
                tags,
                lambda done: step(share + (0.98 - share) * done, "Writing the map of errors"),
                cancelled.is_set,
            )
            found.error_map = True
        result = write_findings(request, found, folder, time.monotonic() - began)
    reporter.progress(1.0, f"Done in {format_duration(time.monotonic() - began)}", 0.0)
    return result


def _prepare(request: EvaluateRequest, reporter: Reporter) -> _Job:
    predictions, truths = request.prediction or [], request.truth or []
    output = Path(request.output).expanduser().resolve()
    images = request.image or []
    inputs = [*predictions, *truths, *images, *([request.area] if request.area else [])]
    EVALUATION.check(output, inputs, overwrite=request.overwrite)
    with speaking_of_truth():
        prediction = open_prediction(
            predictions,
            nomenclature=request.nomenclature,
            crs=request.crs,
            nodata=request.nodata,
            reporter=reporter,
        )
        area, zones = _area(request, prediction, reporter)
    comparer = Comparer(prediction.nomenclature, request.definition)
    reporter.progress(0.0, "Reading the truth")
    truth = open_truth(
        truths,
        layer=request.truth_layer,
        class_field=request.class_field,
        classes=request.classes,
        ignored=request.ignore or (),
        nomenclature=prediction.nomenclature,
        source=prediction.source,
        reporter=reporter,
    )
    image = ShownImage.open(images, request.bands, prediction.source, reporter) if images else None
    return _Job(request, output, Comparison(prediction, truth, comparer, area, zones, request.block), image)


def _area(request: EvaluateRequest, prediction: Prediction, reporter: Reporter) -> tuple[AreaOfInterest, Zones]:
    if not request.area:
        return whole_area(prediction.source), Zones((), ())
    area = area_from_polygons(request.area, request.area_layer, prediction.source)
    return area, read_zones(request.area, request.area_layer, request.area_field, prediction.source, reporter)


def _findings(job: _Job, outcome: Outcome, reporter: Reporter) -> Findings:
    request, comparison = job.request, job.comparison
    nomenclature, matrix = comparison.prediction.nomenclature, outcome.tally.matrix
    scores = score(matrix, request.definition)
    if not scores.pixels:
        raise _nothing_counts(matrix, nomenclature, bool(request.area))
    if not matrix.counts[:, :-1].any():
        raise InputError(
            "The prediction holds no class where the truth has one.",
            "Check that both show the same place, and the prediction's nodata value and nomenclature.",
        )
    intervals = outcome.tally.intervals(request.definition, request.seed)
    comparison.prediction.warn_of(outcome.strange, reporter)
    side = comparison.block * comparison.merged
    notes = [*_unjudged(matrix, nomenclature, request), *few_units(intervals, "blocks")]
    if outcome.contested:
        notes.append(
            f"Truth labels of different classes overlap on {outcome.contested} pixels: "
            f"{comparison.truth.contested_rule}."
        )
    for note in notes:
        reporter.warning(note)
    tell(scores, intervals, reporter)
    return Findings(
        title=comparison.prediction.source.files[0].name,
        matrix=matrix,
        scores=scores,
        intervals=intervals,
        drawn_from=f"{intervals.units} blocks of {side} x {side} pixels" if intervals else "",
        summary=_summary(job),
        polygons=list(zip(comparison.zones.names, outcome.zones, strict=True)),
        worst=list(_pictures(job, outcome.tally.worst)),
        notes=notes,
    )


def _nothing_counts(matrix: ConfusionMatrix, nomenclature: Nomenclature, area: bool) -> InputError:
    where = "inside the area" if area else "on the prediction"
    if matrix.counts.any():
        return InputError(
            f"No pixel of the truth {where} is of a class that the prediction can hold.",
            f"'{nomenclature.name}' has: {', '.join(item.name for item in nomenclature.enabled)}. "
            "Map the truth's classes with --classes.",
        )
    return InputError(
        f"The truth has no labelled pixel {where}.",
        "Check that both show the same place, the truth's nodata value, and what --ignore leaves out.",
    )


def _unjudged(matrix: ConfusionMatrix, nomenclature: Nomenclature, request: EvaluateRequest) -> list[str]:
    """Return notes on labelled pixels without a prediction, and on those of classes that the definition leaves out."""
    counts = matrix.counts[:-1]
    total = int(counts.sum())
    notes = []
    nothing = int(counts[:, -1].sum())
    if nothing > NOTABLE * total:
        effect = "dropped" if request.definition.startswith("ign") else "counted as missed"
        notes.append(f"{nothing} labelled pixels ({nothing / total:.1%}) have no prediction: {effect}.")
    disabled = [item for item in nomenclature.classes if item.disabled]
    rows = {item.code: int(row.sum()) for item, row in zip(nomenclature.classes, counts, strict=True)}
    met = [f"{item.name} ({rows[item.code]} pixels)" for item in disabled if rows[item.code]]
    if met and request.definition != "challenge12":
        own = request.nomenclature is None and nomenclature != load_nomenclature("flair")
        way = " To count as missed what the model could not predict, give --nomenclature." if own else ""
        notes.append(f"Classes that are disabled in '{nomenclature.name}' are not counted: {', '.join(met)}.{way}")
    return notes


def _summary(job: _Job) -> list[tuple[str, str]]:
    request, comparison = job.request, job.comparison
    source = comparison.prediction.source
    window = comparison.area.window
    rows = [
        ("Prediction", join([file.name for file in source.files])),
        ("Truth", join([Path(item).name for item in request.truth or ()])),
        ("Pixels looked at", f"{window.width} x {window.height}"),
        ("Pixel size", f"{abs(source.transform.a):g} units of {source.crs.to_string() if source.crs else 'no CRS'}"),
        ("Classes", f"{comparison.prediction.nomenclature.name}, {len(comparison.prediction.nomenclature.enabled)}"),
        ("Definition", request.definition),
        ("Ignored codes", ", ".join(map(str, request.ignore or ())) or "none"),
        ("Version", f"FLAIR land cover {__version__}"),
    ]
    if request.area:
        rows.insert(3, ("Area", f"{Path(request.area).name}, {len(comparison.zones.names)} polygons"))
    if job.image:
        rows.insert(2, ("Image", join([Path(item).name for item in request.image or ()])))
    return rows


def _pictures(job: _Job, worst: list[Worst[PixelWindow]]) -> Iterator[WorstPlace]:
    comparison = job.comparison
    nomenclature, transform = comparison.prediction.nomenclature, comparison.prediction.source.transform
    with Readers(comparison.prediction.source, comparison.truth) as readers:
        for item in worst:
            truth, predicted = read_pair(comparison, readers, item.place)
            verdicts = comparison.comparer.verdicts(truth, predicted)
            x, y = transform * (item.place.column + item.place.width / 2, item.place.row + item.place.height / 2)
            shown = job.image.read(item.place) if job.image else None
            yield WorstPlace(
                truth=class_picture(truth, nomenclature),
                prediction=class_picture(predicted, nomenclature),
                errors=class_picture(np.ascontiguousarray(verdicts), VERDICTS),
                caption=f"Around {x:.10g}, {y:.10g} (row {item.place.row}, column {item.place.column}): "
                f"{item.wrong} of {item.judged} pixels wrong, {percent(item.wrong / item.judged)}",
                image=picture(shown, job.image.names) if job.image and shown is not None else "",
            )

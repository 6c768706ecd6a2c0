"""What both kinds of evaluation write: metrics.json, confusion.csv, report.html, and the result."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from engine import __version__
from engine.comparison.error_map import VERDICTS
from engine.comparison.result_folder import CONFUSION, ERRORS, METRICS, REPORT
from engine.errors import RequestError
from engine.evaluation.bootstrap import Intervals
from engine.evaluation.confusion import ConfusionMatrix
from engine.evaluation.definitions import DEFINITIONS, definition_named
from engine.evaluation.scores import Scores, score
from engine.events import Reporter
from engine.rasters.result_folder import ResultFolder
from engine.reports.evaluation_report import EvaluationReport, WorstPlace, render
from engine.reports.page import write_report
from engine.requests import EvaluateRequest
from engine.text_file import write_whole

_SHOWN = ("miou", "overall_accuracy", "fscore", "kappa")
# Fewer blocks or patches than this make intervals that are too narrow.
FEW_UNITS = 10


@dataclass
class Findings:
    """What an evaluation found.

    Args:
        title: Name of what was judged.
        matrix: All pixels.
        scores: Their figures.
        intervals: Of the figures; None with fewer than two blocks or patches.
        drawn_from: What the intervals were drawn from, such as "24 blocks of 512 x 512 pixels".
        summary: Label and text of each line of the overview.
        polygons: Name and matrix of each polygon.
        worst: Places with most errors.
        notes: What a reader has to know.
        error_map: Whether a map of errors was written.
    """

    title: str
    matrix: ConfusionMatrix
    scores: Scores
    intervals: Intervals | None
    drawn_from: str
    summary: list[tuple[str, str]]
    polygons: list[tuple[str, ConfusionMatrix]] = field(default_factory=list)
    worst: list[WorstPlace] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    error_map: bool = False


def write_findings(request: EvaluateRequest, found: Findings, folder: ResultFolder, seconds: float) -> dict[str, Any]:
    """Write all but the map of errors, and return the result of the command.

    Args:
        request: What was asked for.
        found: What was found.
        folder: Where to write.
        seconds: Duration.

    Raises:
        OutputError: A file could not be written.
    """
    rule = definition_named(request.definition)
    scores = found.scores.to_dict()
    polygons = [_row(name, matrix, request.definition) for name, matrix in found.polygons]
    intervals = found.intervals.to_dict() if found.intervals else None
    others = _others(found.matrix, request.definition)
    options = {
        key: [Path(item).name for item in value] if key in ("prediction", "truth", "image") and value else value
        for key, value in request.model_dump(mode="json", exclude={"output", "overwrite"}, exclude_none=True).items()
    }
    metrics = {
        "engine": __version__,
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "definition": {"name": rule.name, "text": rule.text, "source": rule.source},
        "scores": scores,
        "intervals": intervals and {**intervals, "drawn_from": found.drawn_from, "seed": request.seed},
        "other_definitions": others,
        "polygons": polygons,
        "notes": found.notes,
        "options": options,
    }
    write_whole(folder.path / METRICS, json.dumps(metrics, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    found.matrix.to_csv(folder.path / CONFUSION)
    reduced = rule.reduce(found.matrix)
    report = EvaluationReport(
        title=found.title,
        scores=scores,
        definition=rule.text,
        source=rule.source,
        confusion=reduced.counts[: len(found.scores.classes)].tolist(),
        summary=found.summary,
        intervals=intervals,
        drawn_from=found.drawn_from,
        polygons=polygons,
        worst=found.worst,
        verdicts=VERDICTS.to_dict()["classes"],
        others=others,
        notes=found.notes,
        options=options,
    )
    write_report(folder.path / REPORT, render(report))
    output = folder.output
    return {
        "output": str(output),
        "report": str(output / REPORT),
        "metrics": str(output / METRICS),
        "confusion": str(output / CONFUSION),
        "error_map": str(output / ERRORS) if found.error_map else None,
        **{name: scores[name] for name in ("definition", "miou", "overall_accuracy", "kappa", "fscore", "pixels")},
        "classes": [_class_row(item) for item in scores["classes"]],
        "polygons": polygons,
        "seconds": round(seconds, 2),
    }


def tell(scores: Scores, intervals: Intervals | None, reporter: Reporter) -> None:
    """Say the figures in the log."""
    ends = intervals.means.get("miou") if intervals else None
    spread = f" ({percent(ends[0])} to {percent(ends[1])})" if ends else ""
    reporter.log(
        f"By '{scores.definition}': mean IoU {percent(scores.miou)}{spread}, overall accuracy "
        f"{percent(scores.overall_accuracy)}, kappa {scores.kappa:.3f}, on {scores.pixels} pixels."
    )
    for item in scores.classes:
        reporter.log(f"  {item.name:<24}{f'IoU {100 * item.iou:5.1f} %' if item.present else 'absent'}")


def percent(value: float) -> str:
    """Return a share in per cent; a dash where it has no value."""
    return "-" if math.isnan(value) else f"{100 * value:.1f} %"


def few_units(intervals: Intervals | None, what: str) -> list[str]:
    """Return the note on intervals that say little.

    Args:
        intervals: The intervals.
        what: What they are drawn from, in the plural.
    """
    if intervals is None:
        return [f"There are no intervals: they need at least two {what} with labelled pixels."]
    if intervals.units < FEW_UNITS:
        return [f"The intervals come from {intervals.units} {what} only and are likely too narrow."]
    return []


def _row(name: str, matrix: ConfusionMatrix, definition: str) -> dict[str, Any]:
    values = score(matrix, definition).to_dict()
    return {"name": name, "pixels": values["pixels"], **{key: values[key] for key in _SHOWN}}


def _class_row(item: dict[str, Any]) -> dict[str, Any]:
    row = {key: item[key] for key in ("code", "name", "color", "iou", "precision", "recall", "fscore")}
    return {**row, "pixels": item["truth_pixels"]}


def _others(matrix: ConfusionMatrix, definition: str) -> list[dict[str, Any]]:
    others: list[dict[str, Any]] = []
    for name in DEFINITIONS:
        if name != definition:
            try:
                values = score(matrix, name).to_dict()
            except RequestError:
                continue  # it needs more classes
            others.append({"name": name, **{key: values[key] for key in _SHOWN}})
    return others


def join(names: Sequence[str], most: int = 3) -> str:
    """Return some names in a row, the rest as a number."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more

"""The report of an evaluation: how good a map or a model is, and where it is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.reports.page import render_page
from engine.reports.tables import class_rows, confusion_rows, flat_options

# Rows that a person reads; metrics.json has them all.
MOST_POLYGONS = 200
_COLUMNS = (("Image", "image"), ("Truth", "truth"), ("Prediction", "prediction"), ("Errors", "errors"))


@dataclass(frozen=True)
class WorstPlace:
    """A block or patch with many errors.

    Args:
        truth: `data:` address of a picture, see `engine.reports.pictures`.
        prediction: Likewise.
        errors: Likewise.
        caption: Where it is, and how bad.
        image: Likewise a picture; empty where there is no image.
    """

    truth: str
    prediction: str
    errors: str
    caption: str
    image: str = ""


@dataclass(frozen=True)
class EvaluationReport:
    """All that a report shows, as plain values.

    Args:
        title: Heading, such as the name of the map.
        scores: Figures as `engine.evaluation.scores.Scores.to_dict` gives them.
        definition: The rule behind the figures, in sentences.
        source: Where the rule is laid down.
        confusion: Pixels of the classes of `scores`, in their order: rows truth, columns prediction, and one further
            column for what was predicted as something else or as nothing.
        summary: Label and text of each line of the overview.
        intervals: As `engine.evaluation.bootstrap.Intervals.to_dict` gives them; None where there are none.
        drawn_from: What the intervals were drawn from, such as "24 blocks of 512 x 512 pixels".
        polygons: One mapping a polygon: name, pixels, miou, overall_accuracy, fscore, kappa (None without a value).
        worst: Places with most errors.
        verdicts: Code, name and color of right and wrong, for the legend.
        others: Name, miou and overall_accuracy of the same matrix under the other definitions.
        notes: Warnings.
        options: Options of the run.
    """

    title: str
    scores: Mapping[str, Any]
    definition: str
    source: str
    confusion: Sequence[Sequence[int]]
    summary: Sequence[tuple[str, str]] = ()
    intervals: Mapping[str, Any] | None = None
    drawn_from: str = ""
    polygons: Sequence[Mapping[str, Any]] = ()
    worst: Sequence[WorstPlace] = ()
    verdicts: Sequence[Mapping[str, Any]] = ()
    others: Sequence[Mapping[str, Any]] = ()
    notes: Sequence[str] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


def render(report: EvaluationReport) -> str:
    """Return the report as one HTML page that needs no other file and no script.

    Raises:
        ValueError: The confusion matrix does not fit the classes.
    """
    rows, other = confusion_rows(report.scores["classes"], report.confusion)
    pictured = any(place.image for place in report.worst)
    return render_page(
        "evaluation.html",
        report=report,
        half=(len(report.summary) + 1) // 2,
        class_rows=class_rows(report.scores["classes"]),
        confusion_rows=rows,
        confusion_other=other,
        columns=_COLUMNS if pictured else _COLUMNS[1:],
        polygons=report.polygons[:MOST_POLYGONS],
        options=list(flat_options(report.options)),
    )

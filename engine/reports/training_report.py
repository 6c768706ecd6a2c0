"""The report of a training: what was trained on what, how it went, and how good the result is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.events import format_duration
from engine.reports.charts import Series, line_chart
from engine.reports.page import render_page
from engine.reports.tables import class_rows, confusion_rows, flat_options

_TRAIN, _VALIDATION = "#8a6d3b", "#17607a"


@dataclass(frozen=True)
class Sample:
    """One example: an image, what is true there and what was predicted.

    Args:
        image: `data:` address of a picture, see `engine.reports.pictures`.
        truth: Likewise.
        prediction: Likewise.
        caption: Where it is, or how good it is.
    """

    image: str
    truth: str
    prediction: str
    caption: str = ""


@dataclass(frozen=True)
class TrainingReport:
    """All that a report shows, as plain values; everything but the title may be missing.

    Args:
        title: Heading, such as the model's name.
        summary: Label and text of each line of the overview.
        history: One mapping an epoch: `epoch` (from 1), and where known `loss`, `val_loss`, `miou` (0 to 1),
            `learning_rate`, `seconds`; None or NaN where there is no value.
        best_epoch: Epoch whose weights were kept.
        scores: Figures as `engine.evaluation.scores.Scores.to_dict` gives them.
        definition: The rule behind the figures, in sentences.
        scored_on: What the figures were measured on.
        confusion: Pixels of the classes of `scores`, in their order: rows truth, columns prediction, and one further
            column for what was predicted as something else or as nothing.
        samples: Examples.
        notes: Warnings.
        options: Options of the run; those that are mappings themselves are unfolded.
    """

    title: str
    summary: Sequence[tuple[str, str]] = ()
    history: Sequence[Mapping[str, Any]] = ()
    best_epoch: int | None = None
    scores: Mapping[str, Any] | None = None
    definition: str = ""
    scored_on: str = "validation data"
    confusion: Sequence[Sequence[int]] | None = None
    samples: Sequence[Sample] = ()
    notes: Sequence[str] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


def render(report: TrainingReport) -> str:
    """Return the report as one HTML page that needs no other file and no script.

    Raises:
        ValueError: The confusion matrix does not fit the classes.
    """
    classes = report.scores["classes"] if report.scores else []
    rows, other = confusion_rows(classes, report.confusion) if report.confusion and classes else ([], False)
    return render_page(
        "training.html",
        report=report,
        half=(len(report.summary) + 1) // 2,
        charts=_charts(report),
        history=[
            {
                name: format_duration(value) if name == "seconds" and value is not None else value
                for name, value in ((name, epoch.get(name)) for name in _COLUMNS)
            }
            for epoch in report.history
        ],
        class_rows=class_rows(classes),
        confusion_rows=rows,
        confusion_other=other,
        options=list(flat_options(report.options)),
    )


_COLUMNS = ("epoch", "loss", "val_loss", "miou", "learning_rate", "seconds")


def _charts(report: TrainingReport) -> list[Any]:
    """Return the charts that have something to show."""

    def points(name: str, factor: float = 1.0) -> list[tuple[int, float | None]]:
        values = ((epoch["epoch"], epoch.get(name)) for epoch in report.history)
        return [(number, None if value is None else factor * value) for number, value in values]

    loss = line_chart(
        "Loss",
        [
            Series("training", _TRAIN, points("loss"), dashed=True),
            Series("validation", _VALIDATION, points("val_loss")),
        ],
        marked=report.best_epoch,
    )
    miou = line_chart(
        "Mean IoU",
        [Series("validation", _VALIDATION, points("miou", 100))],
        unit="%",
        marked=report.best_epoch,
        low=0,
    )
    return [chart for chart in (loss, miou) if chart]

"""The report of a study: several models beside what was published of them, and why figures differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from engine.reports.charts import bar
from engine.reports.page import MISSING, percent, render_page

FIGURES = (("miou", "Mean IoU"), ("fscore", "F-score"), ("precision", "Precision"), ("recall", "Recall"))
CLASS_FIGURES = (("iou", "IoU"), ("fscore", "F-score"), ("precision", "Precision"), ("recall", "Recall"))
# Models whose pictures stand beside image and truth; more get a table of their own.
_BESIDE = 5
_COLOR = "#175c4c"


@dataclass(frozen=True)
class Sample:
    """A patch that is shown.

    Args:
        caption: Which it is.
        image: `data:` address of a picture, see `engine.reports.pictures`.
        truth: Likewise.
        predictions: Likewise, one a model.
    """

    caption: str
    image: str
    truth: str
    predictions: Sequence[str]


@dataclass(frozen=True)
class SampleTable:
    """Patches of a test.

    Args:
        test: Its name.
        models: Names of the models, in the order of the predictions.
        samples: The patches.
        legend: Name and color of every class that is shown.
    """

    test: str
    models: Sequence[str]
    samples: Sequence[Sample]
    legend: Sequence[Mapping[str, str]]

    def parts(self) -> Iterator[tuple[Sequence[str], list[Sample]]]:
        """Yield names of models and samples, a few models at a time: a page is only so wide."""
        for start in range(0, len(self.models), _BESIDE):
            part = slice(start, start + _BESIDE)
            yield (
                self.models[part],
                [Sample(item.caption, item.image, item.truth, item.predictions[part]) for item in self.samples],
            )


@dataclass(frozen=True)
class BenchmarkReport:
    """All that a report shows, as plain values.

    Args:
        title: Heading.
        definition: Name, text and source of the rule behind the figures.
        summary: Label and text of each line of the overview.
        results: One mapping a model and test, as `engine.study.findings.pairing_values` gives them.
        samples: Patches that are shown, test by test.
    """

    title: str
    definition: Mapping[str, str]
    summary: Sequence[tuple[str, str]]
    results: Sequence[Mapping[str, Any]]
    samples: Sequence[SampleTable] = field(default_factory=list)

    @property
    def notes(self) -> list[str]:
        """What failed, and what a reader has to know."""
        left_out: dict[str, list[tuple[str, str]]] = {}
        for item in self.results:
            if item["error"]:
                left_out.setdefault(item["error"], []).append((item["model"], item["test"]))
        found = [
            f"{_pairs(pairs)} {'are' if len(pairs) > 1 else 'is'} left out: {error}"
            for error, pairs in left_out.items()
        ]
        for item in self.results:
            found += [f"{item['model']} on {item['test']}: {note}" for note in item.get("notes", ())]
        return found


def _sides(published: object, reproduced: object, figure: str) -> list[tuple[str, str]]:
    """Return the columns of a figure by class, with their headings; those that would be empty are left out."""
    sides = [("ours", "ours")]
    if published:
        sides.insert(0, ("published", "published"))
        if reproduced and figure == "iou":
            sides.insert(1, ("reproduced", "reproduced"))
        if figure == "iou":
            sides.append(("difference", "points"))
    return sides


def _pairs(pairs: Sequence[tuple[str, str]]) -> str:
    """Return models and tests in words, without naming one again for each of the other."""
    models, tests = list(dict.fromkeys(one for one, _ in pairs)), list(dict.fromkeys(other for _, other in pairs))
    if len(models) * len(tests) == len(pairs):
        return f"{_joined(models)} on {_joined(tests)}"
    return _joined([f"{model} on {test}" for model, test in pairs])


def _joined(names: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def render(report: BenchmarkReport) -> str:
    """Return the report as one HTML page that needs no other file and no script."""
    done = [item for item in report.results if not item["error"]]
    tests = list(dict.fromkeys(item["test"] for item in done))
    return render_page(
        "benchmark.html",
        report=report,
        half=(len(report.summary) + 1) // 2,
        figures=FIGURES,
        class_figures=CLASS_FIGURES,
        explained=any(item["worth_a_word"] for item in done),
        known=any(item["published"] for item in done),
        groups=[(test, [item for item in done if item["test"] == test]) for test in tests],
        miou_bar=_miou_bar,
        points=points,
        sides=_sides,
        plain=plain,
        megabytes=_megabytes,
        sentence_of_largest=_largest,
    )


def points(value: float | None, digits: int = 2) -> str:
    """Return a difference in points with its sign, such as `-10.39`; a dash for None."""
    return MISSING if value is None else f"{value:+.{digits}f}"


def plain(value: float | None, digits: int = 2) -> str:
    """Return a percentage without its sign, such as `54.72`; a dash for None."""
    return MISSING if value is None else f"{value:.{digits}f}"


def _miou_bar(value: float | None, name: str) -> Markup:
    share = None if value is None else value / 100
    return bar(share, _COLOR, f"Mean IoU, {name}: {percent(share)} %")


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f}".replace(",", "\N{NO-BREAK SPACE}")


def _largest(rows: Sequence[Mapping[str, Any]]) -> str:
    """Say which classes differ most."""
    return ", ".join(f"{row['name']} {points(row['points'], 1)}" for row in rows)

"""The report of areas: how many hectares each class covers, as a whole and by polygon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from engine.reports.charts import strip
from engine.reports.page import percent, render_page, safe_color, title
from engine.reports.tables import flat_options

# Rows that a person reads; areas.csv and areas.gpkg have them all.
MOST_POLYGONS = 200


@dataclass(frozen=True)
class ClassArea:
    """The area of one class.

    Args:
        code: Code of the class.
        name: Its name.
        color: `#rrggbb`.
        hectares: Its area.
        share: Its share of all that has a class, 0 to 1.
    """

    code: int
    name: str
    color: str
    hectares: float
    share: float


@dataclass(frozen=True)
class PolygonAreas:
    """The areas in one polygon.

    Args:
        name: Name of the polygon.
        hectares: What has a class in it.
        unclassified: Hectares without a class.
        shares: Shares of the classes of the report, in their order, 0 to 1.
    """

    name: str
    hectares: float
    unclassified: float
    shares: Sequence[float]


@dataclass(frozen=True)
class AreasReport:
    """All that a report shows.

    Args:
        title: Heading, such as the name of the raster.
        classes: Classes that occur, by code.
        hectares: All that has a class.
        unclassified: Hectares without a class.
        of: What is counted, in the plural, such as "polygons"; empty for a raster as a whole.
        polygons: Areas of each polygon, in their order.
        summary: Label and text of each line of the overview.
        notes: Warnings.
        method: How areas are measured, in sentences.
        options: Options of the run.
    """

    title: str
    classes: Sequence[ClassArea]
    hectares: float
    unclassified: float
    of: str = ""
    polygons: Sequence[PolygonAreas] = ()
    summary: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()
    method: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


def render(report: AreasReport) -> str:
    """Return the report as one HTML page that needs no other file and no script."""
    largest = max((item.share for item in report.classes), default=0.0) or 1.0
    ordered = sorted(report.classes, key=lambda item: -item.hectares)
    return render_page(
        "areas.html",
        report=report,
        half=(len(report.summary) + 1) // 2,
        whole=_strip(report.classes, [item.share for item in report.classes], 986, 34),
        rows=[(item, _bar(item, largest)) for item in ordered],
        leading=ordered[:4],
        polygons=[
            (item, _strip(report.classes, item.shares, 260, 14), _leading(report.classes, item.shares))
            for item in report.polygons[:MOST_POLYGONS]
        ],
        options=list(flat_options(report.options)),
    )


def _bar(item: ClassArea, largest: float) -> Markup:
    name = title(item.name)
    return strip([(name, safe_color(item.color), item.share / largest)], f"{name}: {percent(item.share)} %", 260, 14)


def _strip(classes: Sequence[ClassArea], shares: Sequence[float], width: int, height: int) -> Markup:
    parts = [
        (f"{title(item.name)} {percent(share)} %", safe_color(item.color), share)
        for item, share in zip(classes, shares, strict=True)
        if share > 0
    ]
    return strip(parts, ", ".join(words for words, _, _ in parts), width, height)


def _leading(classes: Sequence[ClassArea], shares: Sequence[float]) -> ClassArea | None:
    """Return the largest class of a polygon, None where it has none."""
    best = max(range(len(shares)), key=lambda place: shares[place], default=None)
    return classes[best] if best is not None and shares[best] > 0 else None

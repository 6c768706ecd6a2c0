"""The report of a change: what became what, and what each class gained and lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.reports.charts import balance
from engine.reports.page import hectares, render_page, safe_color, title
from engine.reports.tables import flat_options

# Rows that a person reads; change.csv has them all.
MOST_POLYGONS, MOST_TRANSITIONS = 200, 20
_LIGHT, _DARK = (255, 255, 255), (180, 83, 10)
"""Shades of no change and of the largest one."""


@dataclass(frozen=True)
class Balance:
    """What a class or a group of classes had, gained and lost.

    Args:
        code: Code of the class; None for a group.
        name: Its name.
        color: `#rrggbb`.
        before: Hectares before.
        gain: Hectares that became it.
        loss: Hectares that became something else.
    """

    code: int | None
    name: str
    color: str
    before: float
    gain: float
    loss: float

    @property
    def after(self) -> float:
        """Hectares after."""
        return self.before + self.gain - self.loss

    @property
    def net(self) -> float:
        """Hectares gained less those lost."""
        return self.gain - self.loss


@dataclass(frozen=True)
class PolygonChange:
    """The change in one polygon.

    Args:
        name: Name of the polygon.
        compared: Hectares that have a class before and after.
        changed: Hectares whose class is another one.
        gain: Hectares that the first group gained; None without groups.
        loss: Hectares that it lost.
    """

    name: str
    compared: float
    changed: float
    gain: float | None = None
    loss: float | None = None


@dataclass(frozen=True)
class ChangeReport:
    """All that a report shows.

    Args:
        title: Heading.
        classes: Classes that occur before or after, by code.
        matrix: Hectares of these classes: rows before, columns after.
        left_out: Hectares of changes that were left out.
        groups: Groups of classes, the one that matters most first.
        polygons: The change in each polygon.
        summary: Label and text of each line of the overview.
        notes: Warnings.
        method: How change is measured, in sentences.
        options: Options of the run.
    """

    title: str
    classes: Sequence[Balance]
    matrix: Sequence[Sequence[float]]
    left_out: float = 0.0
    groups: Sequence[Balance] = ()
    polygons: Sequence[PolygonChange] = ()
    summary: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()
    method: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def compared(self) -> float:
        """Hectares that have a class before and after."""
        return sum(sum(row) for row in self.matrix)

    @property
    def changed(self) -> float:
        """Hectares whose class is another one."""
        return sum(
            value for row, values in enumerate(self.matrix) for place, value in enumerate(values) if place != row
        )


@dataclass(frozen=True)
class _Cell:
    hectares: float
    same: bool
    background: str
    dark: bool
    hint: str


def render(report: ChangeReport) -> str:
    """Return the report as one HTML page that needs no other file and no script."""
    found = [
        (report.classes[row], report.classes[column], value)
        for row, values in enumerate(report.matrix)
        for column, value in enumerate(values)
        if row != column and value > 0
    ]
    found.sort(key=lambda item: -item[2])
    largest = found[0][2] if found else 0.0
    return render_page(
        "change.html",
        report=report,
        half=(len(report.summary) + 1) // 2,
        rows=[
            (item, [_cell(report, row, column, largest) for column in range(len(report.classes))])
            for row, item in enumerate(report.classes)
        ],
        balances=_bars(report.classes),
        groups=_bars(report.groups),
        transitions=found[:MOST_TRANSITIONS],
        more=len(found) - MOST_TRANSITIONS,
        polygons=report.polygons[:MOST_POLYGONS],
        options=list(flat_options(report.options)),
    )


def _cell(report: ChangeReport, row: int, column: int, largest: float) -> _Cell:
    value, same = report.matrix[row][column], row == column
    strength = (value / largest) ** 0.5 if largest and not same else 0.0
    shade = [round(light + (dark - light) * strength) for light, dark in zip(_LIGHT, _DARK, strict=True)]
    names = title(report.classes[row].name), title(report.classes[column].name)
    words = f"{names[0]}, unchanged" if same else f"{names[0]} to {names[1]}"
    background = "#eef1f0" if same else "#{:02x}{:02x}{:02x}".format(*shade)
    return _Cell(value, same, background, strength > 0.65, f"{words}: {hectares(value)} ha")


def _bars(balances: Sequence[Balance]) -> list[tuple[Balance, Any]]:
    largest = max((max(item.gain, item.loss) for item in balances), default=0.0) or 1.0
    return [
        (
            item,
            balance(
                item.loss,
                item.gain,
                largest,
                safe_color(item.color),
                f"{title(item.name)}: {hectares(item.loss)} ha lost, {hectares(item.gain)} ha gained",
            ),
        )
        for item in balances
    ]

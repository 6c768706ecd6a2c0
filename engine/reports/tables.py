"""What the tables of a report show, made from plain values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from engine.reports.charts import bar
from engine.reports.page import percent, safe_color, title

OTHER = "other or nothing"
_LIGHT, _DARK = (255, 255, 255), (23, 92, 120)
"""Shades of a share of 0 and of 1."""


@dataclass(frozen=True)
class ClassRow:
    """One class in the table of figures.

    Args:
        values: Figures as `ClassScores` has them, with None where there is no value.
        bar: Its IoU as an SVG element.
        share: Share of the pixels that count, 0 to 1; None where no pixel counts.
    """

    values: Mapping[str, Any]
    bar: Markup
    share: float | None


def class_rows(classes: Sequence[Mapping[str, Any]]) -> list[ClassRow]:
    """Return the rows of the table of figures.

    Args:
        classes: One mapping a class: code, name, color, iou, precision, recall, fscore (0 to 1 or None), truth_pixels,
            predicted_pixels, present.
    """
    total = sum(item["truth_pixels"] for item in classes)
    return [
        ClassRow(
            item,
            bar(item["iou"], safe_color(item["color"]), f"IoU of {item['name']}: {percent(item['iou'])} %"),
            item["truth_pixels"] / total if total else None,
        )
        for item in classes
    ]


@dataclass(frozen=True)
class Cell:
    """One cell of a confusion matrix.

    Args:
        count: Pixels.
        text: The row's share in whole percent; empty for 0.
        background: Shade, `#rrggbb`.
        dark: Whether the shade needs light letters.
        right: Whether prediction and truth agree here, in a row that has pixels.
        hint: The same in words.
    """

    count: int
    text: str
    background: str
    dark: bool
    right: bool
    hint: str


@dataclass(frozen=True)
class ConfusionRow:
    """One true class of a confusion matrix.

    Args:
        values: Code, name and color of the class.
        cells: One a predicted class.
        total: Pixels of the row.
    """

    values: Mapping[str, Any]
    cells: tuple[Cell, ...]
    total: int


def confusion_rows(
    classes: Sequence[Mapping[str, Any]], counts: Sequence[Sequence[int]]
) -> tuple[list[ConfusionRow], bool]:
    """Return the rows of a confusion matrix, each as shares of its own pixels.

    Args:
        classes: Code, name and color of the n classes.
        counts: Pixels, at least n rows (truth) of n columns (prediction). One further column counts what was predicted
            as something else or as nothing; further rows are not shown.

    Returns:
        The rows, and whether they have that further column.

    Raises:
        ValueError: There are fewer rows than classes, or rows of another length.
    """
    number = len(classes)
    shown = counts[:number]
    if (
        len(shown) < number
        or {len(row) for row in shown} - {number, number + 1}
        or len({len(row) for row in shown}) > 1
    ):
        raise ValueError(f"Expected a confusion matrix of {number} classes")
    names = [title(item["name"]) for item in classes] + [OTHER]
    rows = []
    for index, (item, row) in enumerate(zip(classes, shown, strict=True)):
        total = sum(row)
        cells = (
            _cell(count, total, column == index and total > 0, f"{names[index]} predicted as {names[column]}")
            for column, count in enumerate(row)
        )
        rows.append(ConfusionRow(item, tuple(cells), total))
    return rows, bool(shown) and len(shown[0]) > number


def _cell(count: int, total: int, right: bool, words: str) -> Cell:
    share = count / total if total else 0.0
    if not count:
        text = ""
    elif share < 0.005:
        text = "<1"
    else:
        # Only all of a row is 100: a class with errors must not look perfect.
        text = str(min(round(100 * share), 100 if count == total else 99))
    # The square root lets small shares, which are the errors one looks for, stand out from white.
    strength = math.sqrt(share)
    shade = [round(light + (dark - light) * strength) for light, dark in zip(_LIGHT, _DARK, strict=True)]
    background = "#{:02x}{:02x}{:02x}".format(*shade)
    return Cell(count, text, background, strength > 0.6, right, f"{words}: {percent(share)} %")


def flat_options(options: Mapping[str, Any], start: str = "") -> Iterator[tuple[str, str]]:
    """Yield names and texts of options; those inside of others get a name such as `augmentation.flip`."""
    for key, value in options.items():
        name = f"{start}{key}"
        if isinstance(value, Mapping) and value:
            yield from flat_options(value, f"{name}.")
        elif isinstance(value, (list, tuple)):
            yield name, ", ".join(str(item) for item in value)
        elif isinstance(value, bool):
            yield name, "yes" if value else "no"
        else:
            yield name, "" if value is None else str(value)

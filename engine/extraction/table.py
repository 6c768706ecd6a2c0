"""How much of each class is in each split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.data.dataset_file import SPLITS
from engine.events import Reporter
from engine.extraction.patch_choice import Choice
from engine.nomenclature import Nomenclature


def class_table(pixels: Mapping[str, Mapping[int, int]], nomenclature: Nomenclature) -> list[dict[str, Any]]:
    """Return one row for each class that occurs, by code: code, name, color, and pixels by split."""
    return [
        {
            "code": item.code,
            "name": item.name,
            "color": item.color,
            **{split: pixels.get(split, {}).get(item.code, 0) for split in SPLITS},
        }
        for item in sorted(nomenclature.classes, key=lambda item: item.code)
        if any(pixels.get(split, {}).get(item.code) for split in SPLITS)
    ]


def say_table(table: Sequence[Mapping[str, Any]], patches: Mapping[str, int], reporter: Reporter) -> None:
    """Write the table into the log, a line for each class."""
    width = max(10, *(len(str(row["name"])) for row in table))
    totals = {split: max(1, sum(row[split] for row in table)) for split in SPLITS}
    heads = "".join(f"{f'{split} ({patches.get(split, 0)} patches)':>24}" for split in SPLITS)
    reporter.log(f"{'Pixels by class':<{width + 5}}{heads}")
    for row in table:
        cells = "".join(f"{f'{row[split]:,}':>16} {100 * row[split] / totals[split]:5.1f} %" for split in SPLITS)
        reporter.log(f"{row['code']:>3}  {row['name']:<{width}}{cells}")


def warn_of_gaps(
    table: Sequence[Mapping[str, Any]],
    choice: Choice,
    nomenclature: Nomenclature,
    reporter: Reporter,
) -> None:
    """Warn where a split lacks a class, where there is a single class, and of classes that are never learnt.

    Args:
        table: See `class_table`.
        choice: The patches; splits without any were not asked for.
        nomenclature: The classes.
        reporter: Is warned.
    """
    disabled = {item.code for item in nomenclature.classes if item.disabled}
    learnt = [row for row in table if row["code"] not in disabled]
    if len(learnt) == 1:
        reporter.warning(
            f"Only one class occurs, {learnt[0]['code']} {learnt[0]['name']}: a model needs at least two to tell apart."
        )
    for row in learnt:
        lacking = [split for split in SPLITS if choice.counts[split] and not row[split]]
        if lacking:
            blocks = choice.holders[row["code"]]
            hold = "1 block holds" if blocks == 1 else f"{blocks} blocks hold"
            smaller = ", or give a smaller --block" if choice.side > 1 else ""
            reporter.warning(
                f"No pixel of {row['code']} {row['name']} is in {' and '.join(lacking)}: only {hold} that class. "
                f"Label more of it elsewhere{smaller}."
            )
    for row in table:
        if row["code"] in disabled:
            reporter.log(f"{row['code']} {row['name']} stays in the masks, but is never learnt nor scored.")

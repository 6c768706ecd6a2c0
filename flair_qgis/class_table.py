"""The table of pixels by class and split, as a page for QGIS's results."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any, Mapping, Sequence

from .errors import failure
from .i18n import tr

SPLITS = ("train", "val", "test")
COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
# Attributes and few rules, because old web views and Qt's own text browser show it too.
STYLE = (
    "body{font-family:sans-serif;margin:1em}"
    "table{border-collapse:collapse}"
    "th,td{padding:3px 10px;border-bottom:1px solid #cccccc}"
)


def class_table(name: str, table: Sequence[Mapping[str, Any]], patches: Mapping[str, int]) -> str:
    """Return the page.

    Args:
        name: Name of the data set.
        table: A row for each class: code, name, color, and pixels by split.
        patches: Number of patches by split.
    """
    titles = {"train": tr("Training"), "val": tr("Validation"), "test": tr("Test")}
    totals = {split: sum(_count(row.get(split)) for row in table) for split in SPLITS}
    heads = "".join(
        f'<th align="right">{_text(titles[split])}<br/>'
        f"{_text(tr('{count} patches').format(count=_grouped(patches.get(split))))}</th>"
        for split in SPLITS
    )
    rows = "".join(_row(row, totals) for row in table)
    sums = "".join(f'<td align="right"><b>{_grouped(totals[split])}</b></td>' for split in SPLITS)
    title = _text(tr("Pixels by class: {name}").format(name=name))
    return (
        f'<!DOCTYPE html><html><head><meta charset="utf-8"/><title>{title}</title><style>{STYLE}</style></head>'
        f'<body><h2>{title}</h2><table cellspacing="0"><tr><th></th><th align="right">{_text(tr("Code"))}</th>'
        f'<th align="left">{_text(tr("Class"))}</th>{heads}</tr>{rows}'
        f"<tr><td></td><td></td><td><b>{_text(tr('All'))}</b></td>{sums}</tr></table></body></html>\n"
    )


def write_class_table(path: str, name: str, table: Sequence[Mapping[str, Any]], patches: Mapping[str, int]) -> None:
    """Write the page; see `class_table`.

    Raises:
        QgsProcessingException: The file cannot be written.
    """
    try:
        Path(path).write_text(class_table(name, table, patches), encoding="utf-8")
    except OSError as error:
        raise failure(
            tr("The report {path} cannot be written: {reason}.").format(path=path, reason=error.strerror)
        ) from error


def _row(row: Mapping[str, Any], totals: Mapping[str, int]) -> str:
    color = str(row.get("color", ""))
    swatch = f' bgcolor="{color}"' if COLOUR.fullmatch(color) else ""
    cells = "".join(
        f'<td align="right">{_grouped(row.get(split))}&nbsp; {_share(row.get(split), totals[split])}</td>'
        for split in SPLITS
    )
    return (
        f"<tr><td{swatch}>&nbsp;&nbsp;&nbsp;</td>"
        f'<td align="right">{_text(row.get("code", ""))}</td><td>{_text(row.get("name", ""))}</td>{cells}</tr>'
    )


def _count(value: Any) -> int:
    return int(value) if isinstance(value, (int, float)) else 0


def _grouped(value: Any) -> str:
    return f"{_count(value):,}".replace(",", "&nbsp;")


def _share(value: Any, total: int) -> str:
    return f"{100 * _count(value) / total:.1f}&nbsp;%" if total else "-"


def _text(value: Any) -> str:
    return html.escape(str(value))

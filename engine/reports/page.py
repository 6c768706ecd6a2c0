"""Turns templates into self-contained pages and writes them."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2

from engine.resources import RESOURCES
from engine.text_file import write_whole

MISSING = "–"  # noqa: RUF001 - a dash, as tables show what has no value
_NO_COLOR = "#bbbbbb"


def render_page(template: str, **values: Any) -> str:
    """Return a page as one HTML text that needs no other file and no script.

    Args:
        template: Name of a file in `resources/reports`.
        values: What the template shows; all text is escaped.
    """
    return _environment().get_template(template).render(**values)


def write_report(path: Path, html: str) -> None:
    """Write a page whole or not at all.

    Raises:
        OutputError: The file could not be written; an earlier one is as it was.
    """
    write_whole(path, html)


def percent(value: float | None, digits: int = 1) -> str:
    """Return a share from 0 to 1 as a percentage without its sign, such as `58.6`; a dash for None and NaN."""
    return MISSING if value is None or not math.isfinite(value) else f"{100 * value:.{digits}f}"


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with some decimals, such as `0.412`; a dash for None and NaN."""
    return MISSING if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def brief(value: float | None) -> str:
    """Return a number of any size with three significant digits, such as `0.0002`; a dash for None and NaN."""
    return MISSING if value is None or not math.isfinite(value) else f"{value:.3g}"


def whole(value: int | None) -> str:
    """Return a count in groups of three digits, such as `1 234 567`, that no line breaks apart."""
    return MISSING if value is None else f"{value:,}".replace(",", "\N{NO-BREAK SPACE}")


def hectares(value: float | None) -> str:
    """Return hectares with two decimals, four where that would be too few, such as `1 234.56`; a dash for None."""
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{value:,.{4 if 0 < abs(value) < 0.0995 else 2}f}".replace(",", "\N{NO-BREAK SPACE}")


def short_hectares(value: float) -> str:
    """Return hectares as they fit into a narrow cell: two decimals, none from 100 on, `<0.01`, nothing for 0."""
    if not value:
        return ""
    if value < 0.005:
        return "<0.01"
    return f"{value:,.{0 if value >= 99.995 else 2}f}".replace(",", "\N{NO-BREAK SPACE}")


def title(name: str) -> str:
    """Return a class' name as a legend shows it."""
    return name[:1].upper() + name[1:]


def safe_color(text: object) -> str:
    """Return a colour `#rrggbb`, grey for anything else: escaping alone does not make a text harmless in a style."""
    return text if isinstance(text, str) and re.fullmatch("#[0-9a-fA-F]{6}", text) else _NO_COLOR


@lru_cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(RESOURCES / "reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=percent,
        number=number,
        brief=brief,
        whole=whole,
        hectares=hectares,
        short_hectares=short_hectares,
        class_title=title,
        safe_color=safe_color,
    )
    return environment

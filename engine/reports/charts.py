"""Charts as inline SVG: they print sharply, need no script, and old web views draw them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree  # it only writes; nothing is parsed  # nosec B405

from markupsafe import Markup

from engine.reports.axis import label, ticks, whole_ticks

Scale = Callable[[float], float]
"""From a value to a position in pixels."""
WIDTH, HEIGHT = 480, 264
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 40, 40
_GRID, _INK, _MARK = "#dfe4e2", "#53605b", "#b4530a"
_FONT = "Segoe UI, Helvetica Neue, Arial, DejaVu Sans, sans-serif"


@dataclass(frozen=True)
class Series:
    """One line of a chart.

    Args:
        name: For the legend.
        color: `#rrggbb`.
        points: Epoch and value; None, NaN and infinite values leave a gap.
        dashed: Whether the line is dashed, so that lines differ also in black and white.
    """

    name: str
    color: str
    points: Sequence[tuple[int, float | None]]
    dashed: bool = False


def line_chart(
    title: str, series: Sequence[Series], *, unit: str = "", marked: int | None = None, low: float | None = None
) -> Markup:
    """Return lines over epochs as an SVG element of 480 x 264 pixels.

    Args:
        title: Heading; also what a screen reader says.
        series: Lines; those without any value are left out.
        unit: Written behind the heading, such as `%`.
        marked: Epoch to mark with a line across and a dot on each line, such as the best one.
        low: Smallest value of the vertical axis; None follows the values.

    Returns:
        The element; empty where no series has a value.
    """
    lines = [(item, _finite(item.points)) for item in series]
    lines = [(item, points) for item, points in lines if points]
    if not lines:
        return Markup("")
    values = [value for _, points in lines for value in points.values()]
    marks = ticks(min(values) if low is None else min(low, *values), max(values))
    epochs = [epoch for item, _ in lines for epoch, _ in item.points]
    first, last = min(epochs), max(epochs)

    def across(epoch: float) -> float:
        inner = WIDTH - _LEFT - _RIGHT
        return round(_LEFT + inner * ((epoch - first) / (last - first) if last > first else 0.5), 1)

    def down(value: float) -> float:
        inner = HEIGHT - _TOP - _BOTTOM
        return round(HEIGHT - _BOTTOM - inner * (value - marks[0]) / (marks[-1] - marks[0]), 1)

    root = _root(title, WIDTH, HEIGHT)
    _text(root, _LEFT, 14, f"{title}, {unit}" if unit else title, size=13, weight="600", color="#1c2622")
    for tick in marks:
        _line(root, _LEFT, down(tick), WIDTH - _RIGHT, down(tick), _GRID)
        _text(root, _LEFT - 7, down(tick) + 4, label(tick), anchor="end")
    for epoch in whole_ticks(first, last):
        _line(root, across(epoch), HEIGHT - _BOTTOM, across(epoch), HEIGHT - _BOTTOM + 4, _INK)
        _text(root, across(epoch), HEIGHT - _BOTTOM + 17, str(epoch), anchor="middle")
    _text(root, WIDTH - _RIGHT, HEIGHT - 5, "Epoch", anchor="end")
    if marked is not None and first <= marked <= last:
        _line(root, across(marked), _TOP - 2, across(marked), HEIGHT - _BOTTOM, _MARK, dash="3 3")
    for item, points in lines:
        _polyline(root, item, points, across, down)
        if marked in points:
            _dot(root, across(marked), down(points[marked]), _MARK, 4)
    _legend(root, [item for item, _ in lines], marked)
    return _markup(root)


def bar(value: float | None, color: str, title: str) -> Markup:
    """Return a horizontal bar on a scale from 0 to 1 as an SVG element of 120 x 12 pixels.

    Args:
        value: Length, 0 to 1; None and NaN draw the empty scale.
        color: `#rrggbb`.
        title: What a screen reader says.
    """
    root = _root(title, 120, 12)
    _rectangle(root, 118, "#eef1f0", "none")
    if value is not None and math.isfinite(value) and value > 0:
        # The outline shows the bar of a white class.
        _rectangle(root, round(118 * min(value, 1.0), 1), color, "#66716c")
    return _markup(root)


def strip(shares: Sequence[tuple[str, str, float]], title: str, width: int, height: int) -> Markup:
    """Return shares side by side as one bar, an SVG element.

    Args:
        shares: Words, color `#rrggbb` and share, 0 to 1, of each; together at most 1, the rest stays empty.
        title: What a screen reader says.
        width: Pixels.
        height: Pixels.
    """
    root = _root(title, width, height)
    _rectangle(root, width - 2, "#eef1f0", "none", height=height - 2)
    left = 1.0
    for name, color, share in shares:
        right = left + (width - 2) * share
        # Whole hundredths of a pixel: hundreds of bars make a page large.
        part = _rectangle(root, round(right - left, 2), color, "none", height=height - 2, left=round(left, 2))
        ElementTree.SubElement(part, "title").text = name
        left = right
    _rectangle(root, width - 2, "none", "#66716c", height=height - 2)
    return _markup(root)


def balance(loss: float, gain: float, largest: float, color: str, title: str) -> Markup:
    """Return a bar of what was lost to the left of a line and one of what was gained to its right, 240 x 14 pixels.

    Args:
        loss: Not negative.
        gain: Not negative.
        largest: Value that takes a whole side; over 0.
        color: `#rrggbb` of the gain; the loss is pale.
        title: What a screen reader says.
    """
    root = _root(title, 240, 14)
    left, right = (round(118 * min(value / largest, 1.0), 1) for value in (loss, gain))
    _rectangle(root, left, "#ffffff", "#66716c", left=round(120 - left, 1), top=2)
    _rectangle(root, left, color, "none", left=round(120 - left, 1), top=2, opacity="0.4")
    _rectangle(root, right, color, "#66716c", left=120, top=2)
    _line(root, 120, 0, 120, 14, _INK)
    return _markup(root)


def _finite(points: Sequence[tuple[int, float | None]]) -> dict[int, float]:
    return {epoch: value for epoch, value in points if value is not None and math.isfinite(value)}


def _polyline(root: ElementTree.Element, item: Series, points: dict[int, float], across: Scale, down: Scale) -> None:
    """Draw a line that breaks where a value is missing; a value alone between two gaps becomes a dot."""
    pieces: list[list[str]] = [[]]
    for epoch, _ in item.points:
        if epoch in points:
            pieces[-1].append(f"{across(epoch)},{down(points[epoch])}")
        elif pieces[-1]:
            pieces.append([])
    for piece in pieces:
        if len(piece) == 1:
            x, y = piece[0].split(",")
            _dot(root, float(x), float(y), item.color, 3)
        elif piece:
            attributes = {"points": " ".join(piece), "fill": "none", "stroke": item.color, "stroke-width": "2"}
            attributes["stroke-linejoin"] = "round"
            if item.dashed:
                attributes["stroke-dasharray"] = "6 3"
            ElementTree.SubElement(root, "polyline", attributes)


def _legend(root: ElementTree.Element, series: Sequence[Series], marked: int | None) -> None:
    left = float(_LEFT)
    for item in series:
        _line(root, left, 27, left + 22, 27, item.color, width="2", dash="6 3" if item.dashed else "")
        _text(root, left + 27, 31, item.name)
        # No font is measured here: six pixels a letter is more than any of the fonts needs on average.
        left += 41 + 6 * len(item.name)
    if marked is not None:
        _dot(root, left + 4, 27, _MARK, 4)
        _text(root, left + 13, 31, f"best: epoch {marked}")


def _root(title: str, width: int, height: int) -> ElementTree.Element:
    root = ElementTree.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            # Both sizes in full: old web views make nothing of a view box alone.
            "width": str(width),
            "height": str(height),
            "viewBox": f"0 0 {width} {height}",
            "role": "img",
            "aria-label": title,
            "font-family": _FONT,
        },
    )
    ElementTree.SubElement(root, "title").text = title
    return root


def _line(
    root: ElementTree.Element,
    x1: float,
    y1: float,
    x2: float,
    y2: float,
    color: str,
    *,
    width: str = "1",
    dash: str = "",
) -> None:
    attributes = {"x1": str(x1), "y1": str(y1), "x2": str(x2), "y2": str(y2), "stroke": color, "stroke-width": width}
    if dash:
        attributes["stroke-dasharray"] = dash
    ElementTree.SubElement(root, "line", attributes)


def _text(
    root: ElementTree.Element,
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    size: int = 11,
    weight: str = "400",
    color: str = _INK,
) -> None:
    attributes = {"x": str(x), "y": str(y), "text-anchor": anchor, "font-size": str(size), "fill": color}
    ElementTree.SubElement(root, "text", {**attributes, "font-weight": weight}).text = text


def _dot(root: ElementTree.Element, x: float, y: float, color: str, radius: int) -> None:
    ElementTree.SubElement(root, "circle", {"cx": str(x), "cy": str(y), "r": str(radius), "fill": color})


def _rectangle(
    root: ElementTree.Element,
    width: float,
    fill: str,
    stroke: str,
    *,
    height: int = 10,
    left: float = 1,
    top: int = 1,
    opacity: str = "",
) -> ElementTree.Element:
    attributes = {"x": str(left), "y": str(top), "width": str(width), "height": str(height), "fill": fill}
    attributes.update({"stroke": stroke, "stroke-width": "0.6"})
    if opacity:
        attributes["fill-opacity"] = opacity
    return ElementTree.SubElement(root, "rect", attributes)


def _markup(root: ElementTree.Element) -> Markup:
    text = ElementTree.tostring(root, encoding="unicode")
    # The tree escapes names; nothing else than numbers and checked colours is in it.
    return Markup(text)  # nosec B704

"""How a raster is cut: core tiles that cover it once, and the windows that are predicted for them.

All windows of a plan have one shape, so that a network is compiled once. They
start at multiples of the network's stride, so that neighbouring windows see a
pixel in the same phase of every pooling step. Towards the image's edge a
window is shifted inwards rather than padded; only what is missing to the next
multiple of the stride lies beyond the edge.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from engine.rasters.model_grid import ModelGrid
from engine.rasters.windows import PixelWindow

STRIDE = 32
# A window may be this much longer than wide.
ELONGATION = 2


@dataclass(frozen=True)
class Tile:
    """A part of the output and what is predicted for it.

    Args:
        core: Pixels of the image that this tile decides.
        window: Pixels of the model grid that are predicted; may reach beyond the grid by less than 32.
    """

    core: PixelWindow
    window: PixelWindow


@dataclass(frozen=True)
class AxisPlan:
    """The cut of one axis.

    Args:
        size: Side of every window in model pixels, a multiple of 32.
        starts: First model pixel of each window.
        edges: Model pixel where each core begins, and the end of the last.
    """

    size: int
    starts: tuple[int, ...]
    edges: tuple[int, ...]


def plan_axis(length: int, start: int, stop: int, margin: int, count: int, align: int = STRIDE) -> AxisPlan | None:
    """Cut one axis into a number of windows.

    Args:
        length: Model pixels of the image.
        start: First model pixel wanted.
        stop: The one after the last.
        margin: Context in model pixels on either side of a core; rounded up to a multiple of `align`.
        count: Windows.
        align: Windows start and end at multiples of this; a multiple of 32.

    Returns:
        The smallest windows of one size that cover the axis, or None where fewer would do.
    """
    margin = round_up(margin, align)
    low = max(0, (start - margin) // align * align)
    high = min(round_up(length, align), round_up(stop + margin, align))
    span = high - low
    if count == 1:
        return AxisPlan(span, (low,), (start, stop))
    step = round_up(math.ceil((span - 2 * margin) / count), align)
    size = step + 2 * margin
    if span - 2 * margin <= (count - 1) * step or size >= span:
        return None
    starts = tuple(min(low + index * step, high - size) for index in range(count))
    inner = tuple(low + index * step + margin for index in range(1, count))
    return AxisPlan(size, starts, (start, *inner, stop))


def round_up(value: int, multiple: int) -> int:
    """Return the least multiple that is not under a value."""
    return -(-value // multiple) * multiple


@dataclass(frozen=True)
class TilePlan:
    """All tiles of a run, in rows.

    Args:
        rows: Cut of the vertical axis.
        columns: Cut of the horizontal axis.
        row_edges: `rows.edges` in image pixels.
        column_edges: `columns.edges` in image pixels.
    """

    rows: AxisPlan
    columns: AxisPlan
    row_edges: tuple[int, ...]
    column_edges: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.rows.starts) * len(self.columns.starts)

    def __iter__(self) -> Iterator[Tile]:
        for row in _filled(self.row_edges):
            for column in _filled(self.column_edges):
                yield self._tile(row, column)

    def in_blocks(self, row_edges: Sequence[int], column_edges: Sequence[int]) -> Iterator[Tile]:
        """Yield all tiles block by block, so that one block after the other is complete.

        A block has all its tiles once those that begin in it, and in the blocks above and to the left, are done.

        Args:
            row_edges: Image row at which each row of blocks begins, and the end of the last.
            column_edges: The same of the columns.
        """
        columns = _by_block(self.column_edges, column_edges)
        for rows in _by_block(self.row_edges, row_edges):
            for block in columns:
                for row in rows:
                    for column in block:
                        yield self._tile(row, column)

    def tiles_in(self, window: PixelWindow) -> list[Tile]:
        """Return the tiles whose cores overlap a window of the image."""
        rows = _overlapping(self.row_edges, window.row, window.bottom)
        columns = _overlapping(self.column_edges, window.column, window.right)
        return [self._tile(row, column) for row in rows for column in columns]

    def _tile(self, row: int, column: int) -> Tile:
        top, left = self.row_edges[row], self.column_edges[column]
        core = PixelWindow(top, left, self.row_edges[row + 1] - top, self.column_edges[column + 1] - left)
        start = self.rows.starts[row], self.columns.starts[column]
        return Tile(core, PixelWindow(*start, self.rows.size, self.columns.size))

    @property
    def window_pixels(self) -> int:
        """Pixels of one window."""
        return self.rows.size * self.columns.size

    @property
    def computed_pixels(self) -> int:
        """Model pixels predicted if every tile holds data."""
        return len(self) * self.window_pixels

    def to_dict(self) -> dict[str, list[int] | int]:
        """Return the plan as plain values, to tell whether a stored run was cut alike."""
        return {
            "rows": list(self.row_edges),
            "columns": list(self.column_edges),
            "window_height": self.rows.size,
            "window_width": self.columns.size,
        }


def _filled(edges: Sequence[int]) -> list[int]:
    """Return the numbers of the parts that hold a pixel."""
    return [number for number, (start, stop) in enumerate(pairwise(edges)) if stop > start]


def _by_block(edges: Sequence[int], blocks: Sequence[int]) -> list[list[int]]:
    """Return the numbers of the parts that begin in each block."""
    found: dict[int, list[int]] = {}
    for number in _filled(edges):
        found.setdefault(bisect_right(blocks, edges[number]), []).append(number)
    return [found[block] for block in sorted(found)]


def _overlapping(edges: Sequence[int], start: int, stop: int) -> list[int]:
    first, last = bisect_right(edges, start) - 1, bisect_left(edges, stop)
    return [number for number in range(max(0, first), min(last, len(edges) - 1)) if edges[number + 1] > edges[number]]


def plan_tiles(grid: ModelGrid, area: PixelWindow, margin: int, largest: int, align: int = STRIDE) -> TilePlan:
    """Cut an area of an image into the windows that compute least twice.

    Args:
        grid: Model grid over the image.
        area: Image pixels wanted; inside the image.
        margin: Context in model pixels.
        largest: Side of the square, in model pixels, whose area no window exceeds, unless the margins alone do.
        align: See `plan_axis`.
    """
    axes = []
    for axis, length, start, count in (
        (0, grid.height, area.row, area.height),
        (1, grid.width, area.column, area.width),
    ):
        indices = grid.image_to_model_index(start, count, axis)
        first, last = int(indices[0]), int(indices[-1])
        cuts = list(_cuts(length, first, last + 1, margin, largest, align))
        axes.append((cuts, indices, start, count))
    rows, columns = min(
        ((rows, columns) for rows in axes[0][0] for columns in axes[1][0]),
        key=lambda pair: _cost(pair[0], pair[1], largest * largest),
    )
    edges = []
    for plan, (_, indices, start, count) in zip((rows, columns), axes, strict=True):
        inner = [start + int(indices.searchsorted(edge)) for edge in plan.edges[1:-1]]
        edges.append((start, *inner, start + count))
    return TilePlan(rows, columns, edges[0], edges[1])


def _cuts(length: int, start: int, stop: int, margin: int, largest: int, align: int) -> Iterator[AxisPlan]:
    """Yield the cuts of one axis whose windows are neither much longer nor much shorter than a square one.

    There is always one: where the margins alone are too large, a core as long as one of them.
    """
    whole = plan_axis(length, start, stop, margin, 1, align)
    if whole is not None and whole.size <= largest * ELONGATION:
        yield whole
    margins = 2 * round_up(margin, align)
    core = align if margins + align <= largest else max(align, margins // 2)
    shortest = max(largest // ELONGATION, margins + core)
    longest = max(largest * ELONGATION, shortest)
    span = 0 if whole is None else whole.size - margins
    # By core and not by count: of the many counts on a long axis only a few give windows of another size.
    cuts = 0
    for step in range((longest - margins) // align * align, 0, -align):
        plan = plan_axis(length, start, stop, margin, max(1, math.ceil(span / step)), align)
        if plan is None or len(plan.starts) == 1:
            continue
        yield plan
        cuts += 1
        if plan.size <= shortest:
            return
    if not cuts and whole is not None and whole.size > largest * ELONGATION:
        yield whole


def _cost(rows: AxisPlan, columns: AxisPlan, largest_pixels: int) -> tuple[int, int, int]:
    pixels = rows.size * columns.size
    computed = pixels * len(rows.starts) * len(columns.starts)
    # Reading whole blocks costs less with windows that are not too narrow.
    return max(0, pixels - largest_pixels), computed, abs(rows.size - columns.size)

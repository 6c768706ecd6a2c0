"""Where the pixels of one raster lie under the grid of another, and their values there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.rasters.virtual_raster import OutputGrid
from engine.rasters.windows import PixelWindow

# Grids closer than this, in pixels, are one grid: interpolation would change nothing but blur.
_SAME = 1e-3
# Half the weight: beyond it a pixel is made up rather than measured.
_MOST_MISSING = 0.5 + 1e-9

Heights = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Taps:
    """For each row (or column) of the grid, the raster's rows that it is made of.

    Args:
        indices: Rows of the raster, clamped to it, shape (rows, taps).
        weights: Weights that sum to 1, shape (rows, taps).
        inside: Whether the row's centre lies on the raster, shape (rows,).
    """

    indices: npt.NDArray[np.int64]
    weights: Heights
    inside: Mask

    @property
    def first(self) -> int:
        """First row of the raster that is needed."""
        return int(self.indices.min())

    @property
    def count(self) -> int:
        """Rows of the raster from the first to the last that is needed."""
        return int(self.indices.max()) - self.first + 1


@dataclass(frozen=True)
class Axis:
    """One axis of the raster under the same axis of the grid.

    Args:
        offset: Where the grid's edge lies on the raster, in the raster's pixels.
        step: Pixels of the raster per pixel of the grid.
        size: Pixels of the raster.
    """

    offset: float
    step: float
    size: int

    @property
    def exact(self) -> bool:
        """Whether every pixel of the grid is one of the raster's."""
        return abs(self.step - 1) * self.size < _SAME and abs(self.offset - round(self.offset)) < _SAME

    def taps(self, start: int, count: int) -> Taps:
        """Return what rows `start` to `start + count` of the grid are made of.

        A grid as fine as the raster, or finer, is interpolated linearly between the raster's centres; a coarser one
        gets the mean over each pixel's own footprint. Only absolute positions enter, so that a row is made of the
        same whichever window asks for it.
        """
        rows = np.arange(start, start + count, dtype=np.float64)
        centres = self.offset + self.step * (rows + 0.5)
        if self.exact:
            indices = (rows + round(self.offset)).astype(np.int64)[:, None]
            weights = np.ones((count, 1))
        elif self.step <= 1 + _SAME:
            first = np.floor(centres - 0.5)
            share = centres - 0.5 - first
            indices = (first[:, None] + np.arange(2)).astype(np.int64)
            weights = np.stack([1 - share, share], axis=1)
        else:
            lower, upper = centres - self.step / 2, centres + self.step / 2
            first = np.floor(lower)
            spots = first[:, None] + np.arange(int(np.ceil(self.step)) + 1)
            weights = np.clip(np.minimum(spots + 1, upper[:, None]) - np.maximum(spots, lower[:, None]), 0, None)
            weights /= weights.sum(axis=1, keepdims=True)
            indices = spots.astype(np.int64)
        inside = (centres >= 0) & (centres <= self.size)
        return Taps(np.clip(indices, 0, self.size - 1), weights, inside)


@dataclass(frozen=True)
class Alignment:
    """A raster under a grid; neither is rotated, and both run the same way.

    Args:
        rows: The vertical axis.
        columns: The horizontal axis.
    """

    rows: Axis
    columns: Axis

    @classmethod
    def of(cls, grid: OutputGrid, raster: OutputGrid) -> Alignment:
        """Return how a raster lies under a grid in the same CRS."""
        inverse = ~raster.transform
        left, top = inverse * (grid.transform.c, grid.transform.f)
        return cls(
            Axis(float(top), float(grid.transform.e / raster.transform.e), raster.height),
            Axis(float(left), float(grid.transform.a / raster.transform.a), raster.width),
        )

    @property
    def exact(self) -> bool:
        """Whether every pixel of the grid is one of the raster's, so that values are copied."""
        return self.rows.exact and self.columns.exact

    @property
    def shift(self) -> tuple[float, float]:
        """Fractions of the raster's pixel by which the grids differ, across and down, -0.5 to 0.5."""
        across, down = self.columns.offset, self.rows.offset
        return across - round(across), down - round(down)

    def taps(self, window: PixelWindow) -> tuple[Taps, Taps]:
        """Return the taps of the rows and of the columns of a window of the grid."""
        return self.rows.taps(window.row, window.height), self.columns.taps(window.column, window.width)


def window_of(rows: Taps, columns: Taps) -> PixelWindow:
    """Return the raster's window that taps read."""
    return PixelWindow(rows.first, columns.first, rows.count, columns.count)


def resample(
    values: npt.NDArray[Any], valid: Mask, window: PixelWindow, rows: Taps, columns: Taps
) -> tuple[Heights, Mask]:
    """Return values on the grid, over valid pixels only.

    Args:
        values: The raster's values in `window`, shape (height, width).
        valid: Which of them are data.
        window: Window of the raster that covers all taps.
        rows: Taps of the grid's rows.
        columns: Taps of the grid's columns.

    Returns:
        Values, 0 where there is none, and which of them are data: at least half of what a pixel is made of is, and
        its centre lies on the raster. Both have the shape (grid rows, grid columns).
    """
    inside = rows.inside[:, None] & columns.inside
    if valid.all():
        result = _apply(values.astype(np.float64), window, rows, columns)
        return np.where(inside, result, 0.0), inside
    result = _apply(np.where(valid, values, 0).astype(np.float64), window, rows, columns)
    missing = _apply((~valid).astype(np.float64), window, rows, columns)
    inside &= missing <= _MOST_MISSING
    # Only where something is missing: elsewhere the weights already sum to 1, up to a rounding that would depend on
    # what lies in the rest of the window.
    present = np.where(inside & (missing > 0), 1 - missing, 1.0)
    return np.where(inside, result / present, 0.0), inside


def _apply(values: Heights, window: PixelWindow, rows: Taps, columns: Taps) -> Heights:
    partial = _along(values, rows, window.row, 0)
    return _along(partial, columns, window.column, 1)


def _along(values: Heights, taps: Taps, first: int, axis: int) -> Heights:
    total: Heights = np.zeros(())
    for tap in range(taps.indices.shape[1]):
        weights = taps.weights[:, tap].reshape((-1, 1) if axis == 0 else (1, -1))
        term = np.take(values, taps.indices[:, tap] - first, axis=axis) * weights
        total = total + term if tap else term
    return total

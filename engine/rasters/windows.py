"""Rectangles of whole pixels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class PixelWindow:
    """A rectangle in whole pixels of a raster; it may reach beyond the raster.

    Args:
        row: First row, 0 at the raster's upper edge.
        column: First column, 0 at the raster's left edge.
        height: Rows, at least 0.
        width: Columns, at least 0.
    """

    row: int
    column: int
    height: int
    width: int

    @property
    def bottom(self) -> int:
        """The row after the last."""
        return self.row + self.height

    @property
    def right(self) -> int:
        """The column after the last."""
        return self.column + self.width

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.height * self.width

    def expanded(self, margin: int) -> PixelWindow:
        """Return the window with `margin` more pixels on each side."""
        return PixelWindow(self.row - margin, self.column - margin, self.height + 2 * margin, self.width + 2 * margin)

    def intersection(self, other: PixelWindow) -> PixelWindow:
        """Return the common part; its height or width is 0 where there is none."""
        row, column = max(self.row, other.row), max(self.column, other.column)
        return PixelWindow(
            row,
            column,
            max(0, min(self.bottom, other.bottom) - row),
            max(0, min(self.right, other.right) - column),
        )

    def slices_in(self, other: PixelWindow) -> tuple[slice, slice]:
        """Return the row and column slices that this window takes in an array holding `other`."""
        row, column = self.row - other.row, self.column - other.column
        return slice(row, row + self.height), slice(column, column + self.width)

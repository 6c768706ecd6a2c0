"""Where the pixels that a network gets come from."""

from __future__ import annotations

from dataclasses import dataclass

from engine.rasters.windows import PixelWindow


@dataclass(frozen=True)
class View:
    """A window of the model grid, perhaps turned: for networks that look at more than the image.

    Args:
        window: The window as it lies on the model grid.
        quarters: Quarter turns against the clock that were done to its pixels.
        mirrored: Whether left and right were changed afterwards.
    """

    window: PixelWindow
    quarters: int = 0
    mirrored: bool = False

    def part(self, rows: slice, columns: slice) -> View:
        """Return the view of a part of the pixels.

        Args:
            rows: Rows of the pixels as they are, turned or not; start and stop may lie beyond.
            columns: Columns of them.
        """
        turned = self.quarters % 2 == 1
        height, width = self.window.height, self.window.width
        if turned:
            height, width = width, height
        top, bottom, _ = rows.indices(height)
        left, right, _ = columns.indices(width)
        if self.mirrored:
            left, right = width - right, width - left
        for _ in range(self.quarters % 4):
            # A quarter turn back: columns become rows, and the last row the first column.
            top, bottom, left, right = left, right, height - bottom, height - top
            height, width = width, height
        origin = self.window
        window = PixelWindow(origin.row + top, origin.column + left, bottom - top, right - left)
        return View(window, self.quarters, self.mirrored)

    def turned(self, quarters: int, mirrored: bool) -> View:
        """Return the view of straight pixels after a turn."""
        return View(self.window, quarters, mirrored)

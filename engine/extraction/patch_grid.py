"""Where patches lie."""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import InputError
from engine.rasters.windows import PixelWindow

_SMALLEST, _STEP = 64, 32
_MOST_PLACES = 2_000_000


@dataclass(frozen=True)
class PatchGrid:
    """A regular grid of patches from the upper-left pixel of an image; all lie wholly inside.

    Args:
        rows: Rows of patches.
        columns: Columns of patches.
        size: Side of a patch in pixels.
        step: Pixels from one patch to the next.
    """

    rows: int
    columns: int
    size: int
    step: int

    @property
    def reach(self) -> int:
        """How many patches away a patch still shares pixels; 0 without overlap."""
        return (self.size - 1) // self.step

    def window(self, row: int, column: int) -> PixelWindow:
        """Return the pixels of a patch."""
        return PixelWindow(row * self.step, column * self.step, self.size, self.size)

    @property
    def height(self) -> int:
        """Rows of pixels from the first patch to the end of the last."""
        return (self.rows - 1) * self.step + self.size

    @property
    def width(self) -> int:
        """Columns of pixels from the first patch to the end of the last."""
        return (self.columns - 1) * self.step + self.size


def lay_grid(height: int, width: int, size: int, overlap: int) -> PatchGrid:
    """Lay patches over an image; what is left at the lower and right edge is in none of them.

    Args:
        height: Rows of the image.
        width: Columns of the image.
        size: Side of a patch in pixels.
        overlap: Pixels that neighbouring patches share, less than `size`.

    Raises:
        InputError: The image is smaller than a patch, or there would be too many.
    """
    if min(height, width) < size:
        fitting = min(height, width) // _STEP * _STEP
        hint = (
            f"Give a smaller --patch-size: {fitting} or less."
            if fitting >= _SMALLEST
            else f"The smallest patch is {_SMALLEST} pixels wide: choose a larger image."
        )
        raise InputError(f"The image, {width} x {height} pixels, is smaller than a patch of {size} pixels.", hint)
    step = size - overlap
    grid = PatchGrid((height - size) // step + 1, (width - size) // step + 1, size, step)
    if grid.rows * grid.columns > _MOST_PLACES:
        raise InputError(
            f"An overlap of {overlap} pixels gives {grid.rows * grid.columns} places for patches.",
            "Give a smaller --overlap or a larger --patch-size.",
        )
    return grid

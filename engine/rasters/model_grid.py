"""The pixel grid that a model sees when the image's ground sampling distance is not the model's."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.rasters.windows import PixelWindow

# Ratios this close to 1 change nothing that a network could see, and resampling would only blur.
_TOLERANCE = 0.02
# Keeps a rounding error of the scale from adding a row or column.
_EPSILON = 1e-6


@dataclass(frozen=True)
class ModelGrid:
    """A grid over the image, from the same upper left corner, with pixels of the model's size.

    Args:
        width: Model columns that cover the image.
        height: Model rows that cover the image.
        scale_x: Model columns per image column.
        scale_y: Model rows per image row.
    """

    width: int
    height: int
    scale_x: float
    scale_y: float

    @classmethod
    def fit(cls, width: int, height: int, gsd: tuple[float, float], model_gsd: float) -> ModelGrid:
        """Return the grid of a model over an image; the image's own where both scales are within 2 % of 1.

        Args:
            width: Columns of the image.
            height: Rows of the image.
            gsd: Metres on the ground per image pixel (x, y).
            model_gsd: Metres on the ground per model pixel.
        """
        scale_x, scale_y = gsd[0] / model_gsd, gsd[1] / model_gsd
        if abs(scale_x - 1) <= _TOLERANCE and abs(scale_y - 1) <= _TOLERANCE:
            return cls(width, height, 1.0, 1.0)
        return cls(
            max(1, math.ceil(width * scale_x - _EPSILON)),
            max(1, math.ceil(height * scale_y - _EPSILON)),
            scale_x,
            scale_y,
        )

    @property
    def identity(self) -> bool:
        """Whether the grid is the image's own."""
        return self.scale_x == 1.0 and self.scale_y == 1.0

    def to_model(self, window: PixelWindow) -> PixelWindow:
        """Return the smallest window of whole model pixels that covers a window of image pixels."""
        if self.identity:
            return window
        row, height = _cover(window.row, window.bottom, self.scale_y)
        column, width = _cover(window.column, window.right, self.scale_x)
        return PixelWindow(row, column, height, width)

    def image_to_model_index(self, start: int, count: int, axis: int) -> npt.NDArray[np.int64]:
        """Return the model row (axis 0) or column (axis 1) that holds the centre of each image row or column.

        Args:
            start: First image row or column.
            count: Number of them.
            axis: 0 for rows, 1 for columns.

        Returns:
            Model rows or columns, shape (count,).
        """
        scale = self.scale_y if axis == 0 else self.scale_x
        indices: npt.NDArray[np.int64] = np.floor((np.arange(start, start + count) + 0.5) * scale).astype(np.int64)
        return indices


def _cover(start: int, stop: int, scale: float) -> tuple[int, int]:
    first = math.floor(start * scale + _EPSILON)
    return first, max(0, math.ceil(stop * scale - _EPSILON) - first)

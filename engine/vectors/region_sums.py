"""What pixels have in common that lie in one region: their mean confidence, their area on the ground."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import InputError
from engine.events import SilentReporter
from engine.rasters.raster_file import describe
from engine.rasters.source import RasterSource

# Share of a pixel by which grids may lie apart, and still be the same grid.
_SAME_GRID = 0.01


def open_confidence(path: str, source: RasterSource) -> RasterSource:
    """Open the raster of confidence that belongs to a class raster.

    Args:
        path: Raster of one band on the same grid.
        source: The class raster.

    Raises:
        InputError: It cannot be read, has several bands, or another grid.
    """
    file = describe(path)
    if len(file.data_bands) != 1:
        raise InputError(
            f"The confidence '{file.name}' has {len(file.data_bands)} bands.",
            "Choose the raster that --confidence of the classification has written, which has one.",
        )
    corners = ((0, 0), (source.width, source.height))
    apart = max(
        abs(value) for corner in corners for value in np.subtract(~source.transform * (file.transform * corner), corner)
    )
    if (file.width, file.height) != (source.width, source.height) or apart > _SAME_GRID:
        raise InputError(
            f"The confidence '{file.name}' lies on another grid than the class raster.",
            "Choose the one that was written together with it.",
        )
    bands = {"confidence": file.data_bands[0]}
    return RasterSource.open(
        [path], ("confidence",), bands=bands, ground_sampling_distance=1.0, reporter=SilentReporter()
    )


class RegionSums:
    """Sums of pixels' values by region.

    Args:
        regions: Number of regions.
    """

    def __init__(self, regions: int) -> None:
        self.total = np.zeros(regions + 1)
        self.count = np.zeros(regions + 1, dtype=np.int64)

    def add(
        self, regions: npt.NDArray[np.int32], values: npt.NDArray[Any], valid: npt.NDArray[np.bool_] | None = None
    ) -> None:
        """Take the values of some pixels.

        Args:
            regions: Region of each pixel, from 1.
            values: Value of each.
            valid: Which of them count; None for all.
        """
        numbers = regions.ravel() if valid is None else regions[valid]
        taken = (values.ravel() if valid is None else values[valid]).astype(np.float64, copy=False)
        if not len(numbers):
            return
        low, high = int(numbers.min()), int(numbers.max()) + 1
        numbers = numbers - low
        self.total[low:high] += np.bincount(numbers, weights=taken, minlength=high - low)
        self.count[low:high] += np.bincount(numbers, minlength=high - low)

    def means(self, regions: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return the means of some regions, NaN where a region has no value."""
        with np.errstate(invalid="ignore", divide="ignore"):
            means: npt.NDArray[np.float64] = self.total[regions] / self.count[regions]
        return means

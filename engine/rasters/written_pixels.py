"""Whether a raster holds what was written into it: GDAL keeps blocks back, and tells nobody when closing fails."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.windows import Window

from engine.rasters.disk import WRITE_ERRORS, output_error


class WrittenPixels:
    """Remembers what is written into a raster, and compares once it is closed.

    Args:
        path: The raster.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sums: list[tuple[Window, int]] = []

    def write(self, dataset: Any, values: npt.NDArray[Any], window: Window) -> None:
        """Write all bands of a window; windows must not overlap.

        Args:
            dataset: The raster, open for writing.
            values: Shape (bands, height, width), in the raster's own type.
            window: Where they go.
        """
        dataset.write(values, window=window)
        self._sums.append((window, _sum(values)))

    def check(self, output: Path) -> None:
        """Read everything back.

        Args:
            output: What errors call the raster.

        Raises:
            OutputError: The raster cannot be read, or holds something else.
        """
        try:
            with rasterio.open(self._path) as dataset:
                whole = all(_sum(dataset.read(window=window)) == known for window, known in self._sums)
        except WRITE_ERRORS as error:
            raise output_error(output, error) from error
        if not whole:
            raise output_error(output, ValueError("other pixels than were written"))


def _sum(values: npt.NDArray[Any]) -> int:
    return zlib.crc32(np.ascontiguousarray(values).tobytes())

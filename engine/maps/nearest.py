"""A raster read on the grid of another one."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.enums import Resampling
from rasterio.errors import CRSError
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from engine.errors import InputError
from engine.rasters.polygons import footprint
from engine.rasters.raster_file import GDAL_ERRORS, on_earth, open_dataset
from engine.rasters.source import RasterSource
from engine.rasters.windows import PixelWindow

# Share of a pixel by which grids may lie apart, and still be the same grid.
_SAME_GRID = 0.01


@dataclass(frozen=True)
class NearestRaster:
    """One band of a raster, whose pixel nearest to the centre of each pixel of another raster counts.

    Args:
        source: The raster.
        target: The other one.
        same: Whether both have one grid.
        what: What errors call it, at the beginning of a sentence.
    """

    source: RasterSource
    target: RasterSource
    same: bool
    what: str

    @classmethod
    def on(cls, source: RasterSource, target: RasterSource, what: str) -> NearestRaster:
        """Return a raster on the grid of another.

        A raster without a CRS, or with a local one, is taken to be in the other's.

        Raises:
            InputError: They do not overlap, or it cannot be told.
        """
        alike = not (on_earth(source.crs) and on_earth(target.crs)) or source.crs == target.crs
        if alike and (source.width, source.height) == (target.width, target.height):
            corners = ((0, 0), (target.width, 0), (0, target.height), (target.width, target.height))
            moved = [~target.transform * (source.transform * corner) for corner in corners]
            away = np.abs(np.array(moved) - np.array(corners)).max()
            if away < _SAME_GRID:
                return cls(source, target, True, what)
        frame = footprint(source.transform, PixelWindow(0, 0, source.height, source.width))
        bounds = frame.bounds
        try:
            if not alike:
                bounds = transform_bounds(source.crs, target.crs, *bounds, densify_pts=21)
        except (CRSError, *GDAL_ERRORS) as error:
            raise InputError(f"{what} cannot be converted to the later raster's CRS.", "Warp it first.") from error
        left, bottom, right, top = footprint(target.transform, PixelWindow(0, 0, target.height, target.width)).bounds
        west, south, east, north = bounds
        if np.isfinite(bounds).all() and (west >= right or east <= left or south >= top or north <= bottom):
            raise InputError(
                f"{what} does not overlap the later raster.",
                "Check the CRS of both, and that they show the same place.",
            )
        return cls(source, target, False, what)

    def reader(self) -> NearestReader:
        """Return a reader, to be used in one thread, as a context manager."""
        return NearestReader(self)


class NearestReader:
    """Reads a raster on the grid of another.

    Args:
        raster: What to read.
    """

    def __init__(self, raster: NearestRaster) -> None:
        self._raster = raster
        self._stack = ExitStack()
        source, target = raster.source, raster.target
        if raster.same:
            self._reader = self._stack.enter_context(source.reader())
            return
        # Closed, never entered: rasterio ties what is entered to the thread.
        dataset: Any = open_dataset(source.files[0].path)
        self._stack.callback(dataset.close)
        self._dataset: Any = WarpedVRT(
            dataset,
            src_crs=source.crs if on_earth(source.crs) and on_earth(target.crs) else target.crs,
            crs=target.crs,
            transform=target.transform,
            width=target.width,
            height=target.height,
            resampling=Resampling.nearest,
            # rasterio takes no 0; so little moves a class by no pixel that could be seen.
            tolerance=0.001,
            add_alpha=source.files[0].alpha is None,
        )
        self._stack.callback(self._dataset.close)

    def __enter__(self) -> NearestReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def read(self, window: PixelWindow) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
        """Return pixels and validity of a window of the other raster, both of shape (height, width).

        Raises:
            InputError: The file cannot be read there.
        """
        if self._raster.same:
            values, valid = self._reader.read(window)
            return values[0], valid
        area = Window(window.column, window.row, window.width, window.height)
        band = self._raster.source.band_numbers[0]
        try:
            pixels, mask = self._dataset.read(band, window=area), self._dataset.read_masks(band, window=area)
        except (*GDAL_ERRORS, OSError) as error:
            raise InputError(
                f"{self._raster.what} cannot be read in rows {window.row} to {window.bottom - 1} of the later raster.",
                "The file is damaged or incomplete: copy or download it again.",
            ) from error
        return pixels, mask > 0

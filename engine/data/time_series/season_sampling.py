"""Values of a satellite image at points of the ground."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.warp import transform
from rasterio.windows import Window

from engine.data.patch_file import READ_ERRORS, missing_pixels
from engine.errors import InputError

# Sentinel-2's own value for no data, where a file names none.
_NODATA = 0.0
# Of a pixel: less is rounding of coordinates.
_NOISE = 1e-4
_Pixels = npt.NDArray[Any]
_Places = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Points:
    """Points of the ground in rows and columns.

    Args:
        crs: Their CRS.
        x: Coordinates, shape (H, W).
        y: Coordinates, shape (H, W).
    """

    crs: CRS
    x: _Places
    y: _Places
    # All dates of a series, and their masks, mostly have one CRS.
    _moved: dict[CRS, tuple[_Places, _Places]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def moved_to(self, crs: CRS) -> tuple[_Places, _Places]:
        """Return coordinates x and y in a CRS, not finite where there are none; what was asked for once is kept.

        Raises:
            RasterioError, OSError, ValueError: The points cannot be brought to it.
        """
        if crs not in self._moved:
            found = (self.x, self.y)
            if self.crs != crs:
                x, y = transform(self.crs, crs, self.x.ravel(), self.y.ravel())
                found = np.reshape(x, self.x.shape), np.reshape(y, self.x.shape)
            self._moved[crs] = found
        return self._moved[crs]


@dataclass(frozen=True)
class Sampled:
    """What an image shows at points.

    Args:
        values: Shape (bands, H, W), float32, bilinear between pixels; of no meaning where missing.
        missing: Where a pixel beyond the image or without data would be needed, shape (H, W).
        rows: Rows of the image at the points, 0 in the middle of its first pixel.
        columns: Columns of the image at the points.
    """

    values: _Pixels
    missing: npt.NDArray[np.bool_]
    rows: _Places
    columns: _Places


def opened(path: Path) -> Any:
    """Open an image.

    Raises:
        InputError: It cannot be opened.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            return rasterio.open(path)
    except READ_ERRORS as error:
        if not path.exists():
            raise InputError(f"There is no file '{path}'.", "Check its path.") from error
        raise InputError(f"'{path}' cannot be read: {error}.", "Copy or download it again.") from error


def sample(path: Path, points: Points) -> Sampled | None:
    """Return what an image shows at points; None where it shows nothing of them.

    No data is the file's nodata value, 0 where it names none, in all bands.

    Raises:
        InputError: The file cannot be read, or the points cannot be brought to its CRS.
    """
    with opened(path) as dataset:
        rows, columns = _places(dataset, path, points)
        height, width = dataset.height, dataset.width
        inside = (rows >= 0) & (columns >= 0) & (rows <= height - 1) & (columns <= width - 1)
        if not inside.any():
            return None
        top, left = int(np.floor(rows[inside].min())), int(np.floor(columns[inside].min()))
        bottom, right = int(np.ceil(rows[inside].max())), int(np.ceil(columns[inside].max()))
        try:
            read = dataset.read(window=Window(left, top, right - left + 1, bottom - top + 1))
        except READ_ERRORS as error:
            raise InputError(f"'{path}' cannot be read: {error}.", "Copy or download it again.") from error
        nodata = _NODATA if dataset.nodata is None else float(dataset.nodata)
    absent = missing_pixels(read, nodata)
    # Points beyond the image are missing whatever they are given.
    down = np.where(inside, rows - top, 0.0)
    across = np.where(inside, columns - left, 0.0)
    missing = ~inside
    if absent.any():
        missing |= _bilinear(absent[None].astype(np.float32), down, across)[0] > 0
    read = read.astype(np.float32)
    # Beside the points, and of no weight in them; what is not finite would weigh all the same.
    read[:, absent] = 0
    return Sampled(_bilinear(read, down, across), missing, rows, columns)


def sample_nearest(path: Path, points: Points) -> _Pixels:
    """Return the value of the pixel that holds each point, shape (bands, H, W); 0 beyond the image.

    Raises:
        InputError: The file cannot be read, or the points cannot be brought to its CRS.
    """
    with opened(path) as dataset:
        rows, columns = (np.rint(part) for part in _places(dataset, path, points))
        inside = (rows >= 0) & (columns >= 0) & (rows < dataset.height) & (columns < dataset.width)
        found = np.zeros((dataset.count, *inside.shape), dtype=dataset.dtypes[0])
        if not inside.any():
            return found
        row, column = rows[inside].astype(np.int64), columns[inside].astype(np.int64)
        window = Window(column.min(), row.min(), np.ptp(column) + 1, np.ptp(row) + 1)
        try:
            read = dataset.read(window=window)
        except READ_ERRORS as error:
            raise InputError(f"'{path}' cannot be read: {error}.", "Copy or download it again.") from error
    found[:, inside] = read[:, row - row.min(), column - column.min()]
    return found


def _places(dataset: Any, path: Path, points: Points) -> tuple[_Places, _Places]:
    """Return rows and columns of points, counted from the centre of an image's first pixel; not finite where none."""
    try:
        x, y = points.moved_to(dataset.crs)
    except READ_ERRORS as error:
        raise InputError(f"The image cannot be brought to the CRS of '{path.name}': {error}.") from error
    columns, rows = ~dataset.transform * (x, y)
    rows, columns = _snapped(np.asarray(rows) - 0.5), _snapped(np.asarray(columns) - 0.5)
    known = np.isfinite(rows) & np.isfinite(columns)
    return np.where(known, rows, -1.0), np.where(known, columns, -1.0)


def _snapped(places: _Places) -> _Places:
    near = np.rint(places)
    return np.where(np.abs(places - near) < _NOISE, near, places)


def _bilinear(values: _Pixels, rows: _Places, columns: _Places) -> _Pixels:
    """Return values (bands, H, W) at places between pixel centres, shape (bands, *places)."""
    top = np.minimum(rows.astype(np.int64), values.shape[1] - 1)
    left = np.minimum(columns.astype(np.int64), values.shape[2] - 1)
    bottom, right = np.minimum(top + 1, values.shape[1] - 1), np.minimum(left + 1, values.shape[2] - 1)
    down, across = (rows - top).astype(np.float32), (columns - left).astype(np.float32)
    above = values[:, top, left] * (1 - across) + values[:, top, right] * across
    below = values[:, bottom, left] * (1 - across) + values[:, bottom, right] * across
    return np.asarray(above * (1 - down) + below * down, dtype=np.float32)

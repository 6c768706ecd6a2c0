"""Several files laid side by side on one grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from affine import Affine

from engine.errors import InputError
from engine.rasters.raster_file import RasterFile
from engine.rasters.windows import PixelWindow

# A file's edge is stretched by up to this share of a pixel: neighbours half a pixel apart still leave no gap.
_STRETCH = 0.25
_ROUNDING = 1e-6
_RESOLUTION_RATIO = 2.0


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a file lies in a mosaic.

    Args:
        window: Mosaic pixels that the file fills.
        top: Upper edge of the file in mosaic rows, a fraction where the grids differ.
        left: Left edge in mosaic columns.
        row_ratio: File rows per mosaic row.
        column_ratio: File columns per mosaic column.
        height: Rows of the file.
        width: Columns of the file.
    """

    window: PixelWindow
    top: float
    left: float
    row_ratio: float
    column_ratio: float
    height: int
    width: int

    def file_rows(self, start: int, count: int) -> npt.NDArray[np.int64]:
        """Return the file row under the centre of each mosaic row, never descending."""
        return _nearest(start, count, self.top, self.row_ratio, self.height)

    def file_columns(self, start: int, count: int) -> npt.NDArray[np.int64]:
        """Return the file column under the centre of each mosaic column, never descending."""
        return _nearest(start, count, self.left, self.column_ratio, self.width)


@dataclass(frozen=True)
class Mosaic:
    """Files on one grid: that of the first file, over the union of all.

    Later files lie on top of earlier ones, as in GDAL; pixels that are invalid, or black in all of three or more
    bands, let through what lies below. Each mosaic pixel takes the file pixel under its centre, without
    interpolation.

    Args:
        width: Columns.
        height: Rows.
        transform: Pixel to CRS coordinates.
        placements: Where each file lies, in the order of the files.
    """

    width: int
    height: int
    transform: Affine
    placements: tuple[Placement, ...]


def lay_out(files: Sequence[RasterFile]) -> Mosaic:
    """Lay files out on the grid of the first.

    Raises:
        InputError: A file differs in CRS, number of bands or type, is rotated, or has pixels of another size.
    """
    first = files[0]
    for file in files:
        _check(first, file)
    alone = [place(first.transform, file.transform, file.height, file.width) for file in files]
    row, column = min(p.window.row for p in alone), min(p.window.column for p in alone)
    placements = tuple(
        replace(
            p,
            window=PixelWindow(p.window.row - row, p.window.column - column, p.window.height, p.window.width),
            top=p.top - row,
            left=p.left - column,
        )
        for p in alone
    )
    return Mosaic(
        max(p.window.right for p in placements),
        max(p.window.bottom for p in placements),
        first.transform * Affine.translation(column, row),
        placements,
    )


def place(grid: Affine, transform: Affine, height: int, width: int) -> Placement:
    """Return where a raster lies on another grid; neither is rotated, and both run the same way.

    Args:
        grid: Pixel to CRS coordinates of the grid.
        transform: The same of the raster.
        height: Rows of the raster.
        width: Columns of the raster.
    """
    left, top = ~grid * (transform.c, transform.f)
    row_ratio, column_ratio = grid.e / transform.e, grid.a / transform.a
    window = _fill(top, left, height / row_ratio, width / column_ratio)
    return Placement(window, top, left, row_ratio, column_ratio, height, width)


def _fill(top: float, left: float, height: float, width: float) -> PixelWindow:
    row, rows = _range(top, height)
    column, columns = _range(left, width)
    return PixelWindow(row, column, rows, columns)


def _range(start: float, length: float) -> tuple[int, int]:
    """Return the first pixel with its centre on a stretch of the axis, and how many there are; at least one."""
    first = math.ceil(start - 0.5 - _STRETCH)
    last = math.floor(start + length - 0.5 + _STRETCH)
    return (first, last - first + 1) if last >= first else (math.floor(start + length / 2), 1)


def _nearest(start: int, count: int, edge: float, ratio: float, size: int) -> npt.NDArray[np.int64]:
    centres = (np.arange(start, start + count) + 0.5 - edge) * ratio
    nearest: npt.NDArray[np.int64] = np.clip(np.floor(centres + _ROUNDING), 0, size - 1).astype(np.int64)
    return nearest


def _check(first: RasterFile, file: RasterFile) -> None:
    both = f"{first.name} and {file.name}"
    # Comparing CRSs takes longer than all else here, and files of one kind share theirs.
    if file.crs is not first.crs and file.crs != first.crs:
        raise InputError(f"{both} have different CRSs.", "Reproject them to one CRS first, with gdalwarp for example.")
    if len(file.data_bands) != len(first.data_bands):
        raise InputError(
            f"{both} differ in their number of bands: {len(first.data_bands)} and {len(file.data_bands)}.",
            "Choose files of one kind.",
        )
    if file.dtypes != first.dtypes and set(file.dtypes) != set(first.dtypes):
        raise InputError(
            f"{both} differ in their type: {first.dtypes[0]} and {file.dtypes[0]}.",
            "Convert them to one type first, with gdal_translate -ot for example.",
        )
    transform = file.transform
    if transform.b or transform.d or transform.e * first.transform.e <= 0 or transform.a * first.transform.a <= 0:
        raise InputError(
            f"{file.name} is rotated or mirrored, and can't be part of a mosaic.",
            "Warp it to a north-up grid first with gdalwarp, or classify it alone.",
        )
    for size, other in ((transform.a, first.transform.a), (transform.e, first.transform.e)):
        if not 1 / _RESOLUTION_RATIO <= abs(size / other) <= _RESOLUTION_RATIO:
            raise InputError(
                f"{both} have pixels of very different size: {abs(other):g} and {abs(size):g}.",
                "Resample them to one size first, or classify them one by one.",
            )


def differ_in_size(files: Sequence[RasterFile]) -> bool:
    """Return whether pixel sizes differ by more than 1 %."""
    sizes = sorted(abs(file.transform.a) for file in files)
    return any(high / low > 1.01 for low, high in pairwise((sizes[0], sizes[-1])))

"""The grid that all dates of a series are brought to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.warp import transform_bounds

from engine.data.time_series.season_sampling import opened
from engine.errors import InputError
from engine.rasters.raster_file import GDAL_ERRORS

# More than a country at 10 m: then it is the extent that is wrong.
LARGEST_SIDE = 60_000


@dataclass(frozen=True)
class Extent:
    """A rectangle.

    Args:
        bounds: Left, bottom, right, top.
        crs: Their CRS.
        what: What it is called in sentences.
    """

    bounds: tuple[float, float, float, float]
    crs: CRS
    what: str


@dataclass(frozen=True)
class SeriesGrid:
    """A grid of satellite pixels.

    Args:
        crs: CRS, in metres.
        transform: Pixel to CRS coordinates.
        height: Rows.
        width: Columns.
    """

    crs: CRS
    transform: Affine
    height: int
    width: int


def grid_around(extent: Extent, example: Path, pixel: float, margin: float) -> SeriesGrid:
    """Return the grid of an image's own pixels over an extent and a margin.

    Where the image's pixels are of the size wanted and its CRS is in metres, none is ever computed anew.

    Args:
        extent: The ground.
        example: A satellite image.
        pixel: Metres of a pixel.
        margin: Metres around the ground.

    Raises:
        InputError: The image has no CRS, or the extent cannot be brought to it.
    """
    with opened(example) as dataset:
        crs, placed = dataset.crs, dataset.transform
    if not crs:
        raise InputError(f"'{example}' has no CRS.", "Give it one: nothing else says where it lies.")
    origin = (placed.c, placed.f)
    if not crs.is_projected or abs(crs.linear_units_factor[1] - 1) > 1e-6:
        west, south, east, north = _moved(extent, CRS.from_epsg(4326))
        zone = min(60, max(1, int(((west + east) / 2 + 180) // 6) + 1))
        crs, origin = CRS.from_epsg((32600 if south + north >= 0 else 32700) + zone), (0.0, 0.0)
    left, bottom, right, top = _moved(extent, crs)
    first_column = math.floor((left - margin - origin[0]) / pixel)
    last_column = math.ceil((right + margin - origin[0]) / pixel)
    first_row = math.floor((origin[1] - top - margin) / pixel)
    last_row = math.ceil((origin[1] - bottom + margin) / pixel)
    height, width = last_row - first_row, last_column - first_column
    if max(height, width) > LARGEST_SIDE:
        raise InputError(
            f"{extent.what} is {width} x {height} satellite pixels of {pixel:g} m, more than {LARGEST_SIDE} a side.",
            "Check the extent and its CRS, or prepare it in parts.",
        )
    corner = Affine(pixel, 0, origin[0] + first_column * pixel, 0, -pixel, origin[1] - first_row * pixel)
    return SeriesGrid(crs, corner, height, width)


def _moved(extent: Extent, crs: CRS) -> tuple[float, float, float, float]:
    try:
        left, bottom, right, top = transform_bounds(extent.crs, crs, *extent.bounds, densify_pts=21)
    except (CRSError, *GDAL_ERRORS) as error:
        raise InputError(f"{extent.what} cannot be brought to the satellite images' CRS: {error}.") from error
    bounds = (float(left), float(bottom), float(right), float(top))
    if not all(math.isfinite(value) for value in bounds):
        raise InputError(f"{extent.what} cannot be brought to the satellite images' CRS.", "Check its CRS.")
    return bounds

"""How many metres on the ground a pixel measures."""

from __future__ import annotations

import math

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.warp import transform as warp_transform

from engine.errors import InputError
from engine.events import Reporter
from engine.rasters.raster_file import GDAL_ERRORS

# WGS 84 ellipsoid, NIMA TR8350.2: semi-major axis in metres, flattening.
_SEMI_MAJOR = 6378137.0
_FLATTENING = 1 / 298.257223563
_WGS84 = CRS.from_epsg(4326)
# Projections invert to about 1e-10 rad, 0.6 mm: half this many pixels either side drown that in the measure.
_BASELINE = 100


def ground_sampling_distance(
    crs: CRS, transform: Affine, width: int, height: int, reporter: Reporter
) -> tuple[float, float]:
    """Return the metres on the ground per pixel along a row and along a column, at the raster's centre.

    The centre and points around it are taken to longitude and latitude; their differences become metres through the
    ellipsoid's radii of curvature in the meridian and in the prime vertical (Snyder, Map Projections: A Working
    Manual, USGS Professional Paper 1395, 1987, equations 4-18 and 4-20):

        M = a (1 - e^2) / (1 - e^2 sin^2 phi)^(3/2)      N = a / (1 - e^2 sin^2 phi)^(1/2)
        dy = M dphi                                       dx = N cos phi dlambda

    Args:
        crs: The raster's CRS: projected in any unit, or geographic.
        transform: Pixel to CRS coordinates; may be rotated.
        width: Columns.
        height: Rows.
        reporter: Is warned where the CRS has no place on earth and its units are taken as metres.

    Raises:
        InputError: The pixel has no extent, or the raster's centre lies outside the CRS's area.
    """
    pixel = math.hypot(transform.a, transform.d), math.hypot(transform.b, transform.e)
    if not all(math.isfinite(v) for v in transform[:6]) or not abs(transform.determinant) > 0:
        raise InputError(
            "The image's georeference gives its pixels no size.", "Georeference the image anew, in QGIS for example."
        )
    step = max(1, min(_BASELINE, width, height)) / 2
    column, row = width / 2, height / 2
    points = [transform * p for p in _cross(column, row, step)]
    try:
        longitudes, latitudes = warp_transform(crs, _WGS84, [p[0] for p in points], [p[1] for p in points])
        back = warp_transform(_WGS84, crs, longitudes[:1], latitudes[:1])
    except (CRSError, *GDAL_ERRORS) as error:
        if crs.is_geographic or crs.is_projected:
            raise _outside(crs, points[0]) from error
        reporter.warning("The image's CRS is a local one without a place on earth; its units are taken as metres.")
        return pixel
    distance = math.hypot(back[0][0] - points[0][0], back[1][0] - points[0][1])
    if not np.isfinite([*longitudes, *latitudes]).all() or not distance <= max(pixel) or abs(latitudes[0]) > 90:
        raise _outside(crs, points[0])
    along_row = _metres(longitudes[1], latitudes[1], longitudes[2], latitudes[2], latitudes[0])
    along_column = _metres(longitudes[3], latitudes[3], longitudes[4], latitudes[4], latitudes[0])
    if not min(along_row, along_column) > 0:
        raise _outside(crs, points[0])
    return along_row / (2 * step), along_column / (2 * step)


def _cross(column: float, row: float, step: float) -> list[tuple[float, float]]:
    """Return the centre, then the points left, right, above and below it."""
    return [(column, row), (column - step, row), (column + step, row), (column, row - step), (column, row + step)]


def _metres(longitude1: float, latitude1: float, longitude2: float, latitude2: float, at: float) -> float:
    """Return the length of a short line, by the radii of curvature at the latitude `at`; all in degrees."""
    eccentricity2 = _FLATTENING * (2 - _FLATTENING)
    phi = math.radians(at)
    w = math.sqrt(1 - eccentricity2 * math.sin(phi) ** 2)
    meridian, prime_vertical = _SEMI_MAJOR * (1 - eccentricity2) / w**3, _SEMI_MAJOR / w
    turn = (longitude2 - longitude1 + 180) % 360 - 180
    return math.hypot(
        prime_vertical * math.cos(phi) * math.radians(turn), meridian * math.radians(latitude2 - latitude1)
    )


def _outside(crs: CRS, point: tuple[float, float]) -> InputError:
    name = crs.to_string() if crs.to_epsg() else "its CRS"
    return InputError(
        f"The image's centre ({point[0]:.6g}, {point[1]:.6g}) lies outside the area of {name}.",
        "Check the image's CRS and georeference.",
    )

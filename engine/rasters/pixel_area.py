"""How many square metres on the ground each pixel covers."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.warp import transform as warp_transform

from engine.rasters.raster_file import GDAL_ERRORS
from engine.rasters.windows import PixelWindow

Areas = npt.NDArray[np.float64]

# WGS 84 ellipsoid, NIMA TR8350.2: semi-major axis in metres, flattening. Others differ by 2 parts in 100,000 of area.
_SEMI_MAJOR = 6378137.0
_FLATTENING = 1 / 298.257223563
_E2 = _FLATTENING * (2 - _FLATTENING)
_WGS84 = CRS.from_epsg(4326)
# Half the length in metres over which the map's distortion is measured: long enough to drown the 0.6 mm to which
# projections invert, and so short that the distortion's own change along it is a part in 10^8.
_HALF = 500.0
# Distance in metres of the points where it is measured, and most of them along an axis.
_SPACING, _MOST = 5000.0, 1025


def zone_area(south: npt.ArrayLike, north: npt.ArrayLike) -> Areas:
    """Return the square metres of the WGS 84 ellipsoid between two parallels, for a radian of longitude.

    Exact: a^2 (q(north) - q(south)) / 2, with q of the authalic latitude (Snyder, Map Projections: A Working Manual,
    USGS Professional Paper 1395, 1987, equation 3-12):

        q = (1 - e^2) [sin phi / (1 - e^2 sin^2 phi) - 1 / (2 e) ln((1 - e sin phi) / (1 + e sin phi))]

    Args:
        south: Latitude in radians.
        north: Likewise; where it lies south of the other, the area is negative.
    """
    return np.asarray(_SEMI_MAJOR**2 / 2 * (_q(north) - _q(south)), dtype=np.float64)


def _q(latitude: npt.ArrayLike) -> Areas:
    sine, e = np.sin(np.asarray(latitude, dtype=np.float64)), math.sqrt(_E2)
    # ln((1 - x) / (1 + x)) = -2 artanh(x)
    return np.asarray((1 - _E2) * (sine / (1 - _E2 * sine**2) + np.arctanh(e * sine) / e), dtype=np.float64)


class PixelAreas:
    """Areas on the WGS 84 ellipsoid of a raster's pixels; safe to use from several threads.

    On an upright raster in degrees they are exact, see `zone_area`. Elsewhere they are the area of a pixel on the map
    times the distortion of the map, which is measured at points 5 km apart (1,025 at most along a side) and
    interpolated: at each, differences of longitude and latitude over 1 km become metres by the radii of curvature

        M = a (1 - e^2) / (1 - e^2 sin^2 phi)^(3/2)      N = a / (1 - e^2 sin^2 phi)^(1/2)

    (Snyder, equations 4-18 and 4-20), which is right to a part in a million. Pixels without a place on earth have no
    area. In a local CRS, which has no place on earth either, the map is taken as it stands.

    Args:
        crs: The raster's CRS.
        transform: Pixel to CRS coordinates; may be rotated.
        width: Columns.
        height: Rows.
    """

    def __init__(self, crs: CRS, transform: Affine, width: int, height: int) -> None:
        unit = float(crs.units_factor[1]) if crs.is_geographic or crs.is_projected else _unit(crs)
        self._rows: Areas | None = None
        if crs.is_geographic and not (transform.b or transform.d):
            edges = np.clip((transform.f + transform.e * np.arange(height + 1)) * unit, -math.pi / 2, math.pi / 2)
            self._rows = np.abs(zone_area(edges[:-1], edges[1:])) * abs(transform.a) * unit
            return
        metres = unit * (_SEMI_MAJOR if crs.is_geographic else 1.0)
        pixel = math.hypot(transform.a, transform.d) * metres, math.hypot(transform.b, transform.e) * metres
        counts = (
            int(np.clip(math.ceil(n * size / _SPACING), 1, _MOST - 1)) + 1
            for n, size in zip((width, height), pixel, strict=True)
        )
        self._columns_at, self._rows_at = (
            np.linspace(0, n, count) for n, count in zip((width, height), counts, strict=True)
        )
        try:
            self._nodes = self._measured(crs, transform, max(0.5, _HALF / min(pixel)))
        except (CRSError, *GDAL_ERRORS):
            if crs.is_geographic or crs.is_projected:
                raise
            self._nodes = np.full((len(self._rows_at), len(self._columns_at)), abs(transform.determinant) * unit**2)

    def of(self, window: PixelWindow) -> Areas:
        """Return the square metres of the pixels of a window inside the raster, shape (height, width)."""
        if self._rows is not None:
            rows = self._rows[window.row : window.bottom, None]
            return np.broadcast_to(rows, (window.height, window.width))
        down = _between(self._nodes, self._rows_at, window.row, window.height)
        return np.ascontiguousarray(_between(down.T, self._columns_at, window.column, window.width).T)

    def _measured(self, crs: CRS, transform: Affine, half: float) -> Areas:
        columns, rows = (array.ravel() for array in np.meshgrid(self._columns_at, self._rows_at))
        moved = [(columns, rows), (columns - half, rows), (columns + half, rows)]
        moved += [(columns, rows - half), (columns, rows + half)]
        x = np.concatenate([transform.a * c + transform.b * r + transform.c for c, r in moved])
        y = np.concatenate([transform.d * c + transform.e * r + transform.f for c, r in moved])
        found = np.radians(np.array(warp_transform(crs, _WGS84, x.tolist(), y.tolist())[:2]))
        (_, west, east, above, below), (here, *sides) = found.reshape(2, 5, -1)
        with np.errstate(invalid="ignore"):
            turn = [_turn(east - west), _turn(below - above)]
            climb = [sides[1] - sides[0], sides[3] - sides[2]]
            w2 = 1 - _E2 * np.sin(here) ** 2
            density = _SEMI_MAJOR**2 * (1 - _E2) / w2**2 * np.cos(here)
            areas = density * np.abs(turn[0] * climb[1] - turn[1] * climb[0]) / (2 * half) ** 2
        areas[~np.isfinite(areas)] = 0.0
        return np.asarray(areas.reshape(len(self._rows_at), len(self._columns_at)), dtype=np.float64)


def _unit(crs: CRS) -> float:
    """Return the metres of a local CRS's unit, 1 where it tells none."""
    try:
        return float(crs.units_factor[1])
    except (CRSError, *GDAL_ERRORS):
        return 1.0


def _turn(difference: Areas) -> Areas:
    """Return differences of longitude on their short way around."""
    return np.asarray((difference + math.pi) % (2 * math.pi) - math.pi, dtype=np.float64)


def _between(nodes: Areas, at: Areas, start: int, count: int) -> Areas:
    """Return rows interpolated linearly at the centres of `count` pixels from `start` on."""
    centres = np.arange(start, start + count) + 0.5
    first = np.clip(np.searchsorted(at, centres, side="right") - 1, 0, len(at) - 2)
    share = ((centres - at[first]) / (at[first + 1] - at[first]))[:, None]
    return np.asarray(nodes[first] * (1 - share) + nodes[first + 1] * share, dtype=np.float64)

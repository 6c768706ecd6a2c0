"""The pixels that are asked of a service, and in what pieces."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import shapely
from affine import Affine
from rasterio.crs import CRS, epsg_treats_as_latlong, epsg_treats_as_northingeasting
from rasterio.errors import CRSError
from rasterio.warp import transform_bounds

from engine.errors import InputError, RequestError
from engine.events import SilentReporter
from engine.rasters.area import parse_extent, read_polygons
from engine.rasters.ground_sampling import ground_sampling_distance
from engine.rasters.raster_file import GDAL_ERRORS
from engine.rasters.virtual_raster import OutputGrid
from engine.rasters.windows import PixelWindow
from engine.services.address import ServiceAddress

LARGEST = 2_000_000_000
# 0.2 m is 0.2 units of a projection in metres, although map projections stretch distances by some per mille.
_NOMINAL = 0.02
# A hair more than whole pixels, as arithmetic makes it, is not a pixel more.
_HAIR = 0.01


@dataclass(frozen=True)
class Part:
    """The part of the earth that is wanted.

    Args:
        bounds: Left, bottom, right, top.
        crs: Their CRS; None for that of the service.
    """

    bounds: tuple[float, float, float, float]
    crs: CRS | None

    @classmethod
    def of(cls, extent: str | None, area: str | None, area_layer: str | None) -> Part | None:
        """Return the part that an extent or the polygons of a file bound; None where there is neither.

        Raises:
            EngineError: Extent or file cannot be read.
        """
        if extent:
            left, right, bottom, top, crs = parse_extent(extent)
            return cls((left, bottom, right, top), crs)
        if area:
            shapes, crs = read_polygons(area, area_layer)
            left, bottom, right, top = (float(value) for value in shapely.total_bounds(shapes))
            return cls((left, bottom, right, top), crs)
        return None


@dataclass(frozen=True)
class Frame:
    """A grid of pixels, north up.

    Args:
        crs: Its CRS, which has a code.
        left: West edge in units of the CRS (longitude or easting).
        top: North edge.
        step_x: Width of a pixel.
        step_y: Height of a pixel.
        width: Columns.
        height: Rows.
    """

    crs: CRS
    left: float
    top: float
    step_x: float
    step_y: float
    width: int
    height: int

    @property
    def grid(self) -> OutputGrid:
        """The same as the rasters have it."""
        return OutputGrid(
            self.width, self.height, Affine(self.step_x, 0.0, self.left, 0.0, -self.step_y, self.top), self.crs
        )

    @property
    def crs_name(self) -> str:
        """Name of the CRS in a question, such as `EPSG:2154`."""
        return crs_name(self.crs)

    @property
    def north_first(self) -> bool:
        """Whether the CRS's own order of axes is north before east, as in EPSG:4326."""
        if not self.crs_name.startswith("EPSG:"):
            return False
        return bool(epsg_treats_as_latlong(self.crs) or epsg_treats_as_northingeasting(self.crs))

    def box(self, window: PixelWindow) -> tuple[float, float, float, float]:
        """Return left, bottom, right, top of a window, computed from the corner: neighbours share their edge."""
        return (
            self.left + window.column * self.step_x,
            self.top - window.bottom * self.step_y,
            self.left + window.right * self.step_x,
            self.top - window.row * self.step_y,
        )

    def pieces(self, side: int) -> Iterator[PixelWindow]:
        """Yield windows of at most `side` pixels that cover all, in rows."""
        for row in range(0, self.height, side):
            for column in range(0, self.width, side):
                yield PixelWindow(row, column, min(side, self.height - row), min(side, self.width - column))

    def widened(self, pixels: int) -> Frame:
        """Return the same grid with more pixels on all sides."""
        return replace(
            self,
            left=self.left - pixels * self.step_x,
            top=self.top + pixels * self.step_y,
            width=self.width + 2 * pixels,
            height=self.height + 2 * pixels,
        )

    def to_json(self) -> list[Any]:
        """Return it as JSON values."""
        return [self.crs_name, self.left, self.top, self.step_x, self.step_y, self.width, self.height]


def crs_name(crs: CRS) -> str:
    """Return the name of a CRS in a question to a service.

    Raises:
        InputError: It has no code.
    """
    authority = crs.to_authority()
    if authority is None:
        raise InputError(
            "The CRS has no code by which a service could be asked.", "Name one in the address, such as &crs=EPSG:2154."
        )
    return "CRS:84" if authority == ("OGC", "CRS84") else ":".join(authority)


def frame_of(address: ServiceAddress, part: Part, distance: float) -> Frame:
    """Return the grid of a service over a part of the earth, its corner at the part's upper left.

    The CRS is the address's; else the part's where it is a projection; else the service's usual one.

    Args:
        address: The service.
        part: What is wanted.
        distance: Metres on the ground per pixel.

    Raises:
        RequestError: The CRS is not known, or nobody says one.
        InputError: The part cannot be brought into it, or has too many pixels.
    """
    crs = _chosen_crs(address, part)
    left, bottom, right, top = part.bounds
    if part.crs is not None and part.crs != crs:
        try:
            left, bottom, right, top = transform_bounds(part.crs, crs, left, bottom, right, top, densify_pts=21)
        except (CRSError, *GDAL_ERRORS) as error:
            raise _not_there(crs) from error
    if not all(math.isfinite(value) for value in (left, bottom, right, top)):
        raise _not_there(crs)
    metres_x, metres_y = _metres(crs, (left + right) / 2, (bottom + top) / 2)
    step_x, step_y = distance / metres_x, distance / metres_y
    if abs(step_x / step_y - 1) < _NOMINAL:
        # Square pixels wherever the CRS allows it.
        step_x = step_y = math.sqrt(step_x * step_y)
    width = max(1, math.ceil((right - left) / step_x - _HAIR))
    height = max(1, math.ceil((top - bottom) / step_y - _HAIR))
    if width * height > LARGEST:
        raise InputError(
            f"The extent is too large to ask of {address.host}: {width} x {height} pixels of {distance:g} m.",
            "Choose a smaller extent, or get the images as files.",
        )
    return Frame(crs, left, top, step_x, step_y, width, height)


def round_distance(distance: float) -> float:
    """Return a distance of two digits that is within 2 % of one: a model that learnt from 0.2002 m is asked 0.2 m."""
    digits = float(f"{distance:.1e}")
    return digits if abs(digits / distance - 1) <= _NOMINAL else distance


def _chosen_crs(address: ServiceAddress, part: Part) -> CRS:
    if address.crs:
        name = "OGC:CRS84" if address.crs.upper() == "CRS:84" else address.crs
        try:
            return CRS.from_user_input(name)
        except (CRSError, ValueError) as error:
            raise RequestError(
                f"'{address.crs}' in the address is no known CRS.", "Give one such as EPSG:2154."
            ) from error
    if part.crs is not None and (part.crs.is_projected or not address.default_crs):
        return part.crs
    if address.default_crs:
        return CRS.from_user_input(address.default_crs)
    raise RequestError(
        f"It is not known in which CRS {address.host} is to be asked.",
        "Give it with the extent, such as 651000,652000,6861000,6862000 [EPSG:2154], or as &crs= in the address.",
    )


def _metres(crs: CRS, x: float, y: float) -> tuple[float, float]:
    """Return the metres that a unit of a CRS measures at a point, across and down, as people count them."""
    unit = 1e-5 if crs.is_geographic else 1.0
    around = Affine(unit, 0, x - 100 * unit, 0, -unit, y + 100 * unit)
    across, down = (value / unit for value in ground_sampling_distance(crs, around, 200, 200, SilentReporter()))
    if abs(across - 1) <= _NOMINAL and abs(down - 1) <= _NOMINAL:
        return 1.0, 1.0
    return across, down


def _not_there(crs: CRS) -> InputError:
    return InputError(
        f"The extent cannot be converted to {crs_name(crs)}, in which the service is asked.", "Choose another extent."
    )

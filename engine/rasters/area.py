"""The part of an image that is to be classified."""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyogrio
import shapely
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.features import rasterize
from rasterio.warp import transform_bounds

from engine.errors import InputError, RequestError
from engine.rasters.polygons import (
    VECTOR_ERRORS,
    choose_layer,
    footprint,
    layer_crs,
    not_a_vector_file,
    reproject,
    valid_parts,
)
from engine.rasters.raster_file import GDAL_ERRORS
from engine.rasters.source import RasterSource
from engine.rasters.windows import PixelWindow

_EXTENT_EXAMPLE = (
    "Give xmin,xmax,ymin,ymax and, if it is not the image's, the CRS: 651000,652000,6861000,6862000 [EPSG:2154]."
)


@dataclass(frozen=True)
class AreaOfInterest:
    """A part of a raster: whole pixels, those whose centre lies inside.

    Args:
        window: Smallest window around it, clipped to the raster.
        geometry: Polygons in the image's CRS, or None where the window is the area.
        transform: The raster's pixel to CRS coordinates.
    """

    window: PixelWindow
    geometry: tuple[Any, ...] | None = None
    transform: Affine = field(default_factory=Affine.identity)

    def mask(self, window: PixelWindow) -> npt.NDArray[np.bool_]:
        """Return True for the pixels of a window that lie inside the area, shape (height, width)."""
        inside = np.zeros((window.height, window.width), dtype=np.bool_)
        part = self.window.intersection(window)
        if not part.pixels:
            return inside
        target = part.slices_in(window)
        if self.geometry is None:
            inside[target] = True
            return inside
        # A pixel more around, so that clipping never touches a pixel of the window.
        frame = footprint(self.transform, part.expanded(1))
        shapes = [self.geometry[int(index)] for index in self._tree.query(frame, predicate="intersects")]
        shapes = [shape for shape in shapely.intersection(shapes, frame) if not shape.is_empty] if shapes else []
        if shapes:
            offset = self.transform * Affine.translation(part.column, part.row)
            inside[target] = rasterize(
                shapes, out_shape=(part.height, part.width), transform=offset, default_value=1, dtype="uint8"
            ).astype(np.bool_)
        return inside

    def touches(self, window: PixelWindow) -> bool:
        """Return False only when no pixel of the window lies inside the area; quick."""
        part = self.window.intersection(window)
        if not part.pixels or self.geometry is None:
            return bool(part.pixels)
        return len(self._tree.query(footprint(self.transform, part), predicate="intersects")) > 0

    def fingerprint(self) -> dict[str, Any]:
        """Return what identifies the area, as JSON values."""
        digest = hashlib.sha256()
        for shape in self.geometry or ():
            digest.update(shapely.to_wkb(shape))
        w = self.window
        return {
            "window": [w.row, w.column, w.height, w.width],
            "geometry": None if self.geometry is None else digest.hexdigest(),
        }

    @cached_property
    def _tree(self) -> Any:
        return shapely.STRtree(list(self.geometry or ()))


def whole_area(source: RasterSource) -> AreaOfInterest:
    """Return the whole raster as area."""
    return AreaOfInterest(PixelWindow(0, 0, source.height, source.width), None, source.transform)


def area_from_extent(text: str, source: RasterSource) -> AreaOfInterest:
    """Return the area of an extent as QGIS writes it: `xmin,xmax,ymin,ymax [EPSG:code]`.

    An extent in another CRS becomes the upright rectangle around it in the image's CRS.

    Raises:
        RequestError: The text is no extent.
        InputError: It lies outside the image, or its CRS cannot be brought together with the image's.
    """
    left, right, bottom, top, crs = parse_extent(text)
    if crs is not None and crs != source.crs:
        if source.crs is None:
            raise InputError(
                "The extent has a CRS, but the image has none.", "Give the image's CRS too, such as --crs EPSG:2154."
            )
        try:
            left, bottom, right, top = transform_bounds(crs, source.crs, left, bottom, right, top, densify_pts=21)
        except (CRSError, *GDAL_ERRORS) as error:
            raise InputError(
                f"The extent '{text}' cannot be converted to the image's CRS.", "Give it in the image's CRS."
            ) from error
    if not all(math.isfinite(value) for value in (left, right, bottom, top)):
        raise InputError(f"The extent '{text}' cannot be converted to the image's CRS.", "Give it in the image's CRS.")
    return area_of_polygons((shapely.box(left, bottom, right, top),), source, f"The extent '{text}'")


def area_from_polygons(path: str, layer: str | None, source: RasterSource) -> AreaOfInterest:
    """Return the area of the polygons in a vector file.

    Polygons in another CRS are reprojected, those without one are taken to be in the image's. Invalid polygons are
    repaired; points and lines are left out.

    Args:
        path: Any vector file that GDAL reads.
        layer: Name of the layer; None takes the first with polygons.
        source: The image.

    Raises:
        InputError: The file cannot be read, or holds no polygon that overlaps the image.
    """
    shapes, crs = read_polygons(path, layer)
    if crs is not None and source.crs is not None and crs != source.crs:
        shapes, _ = valid_parts(reproject(shapes, crs, source.crs, path))
    return area_of_polygons(tuple(shapes), source, f"The area in '{Path(path).name}'")


def parse_extent(text: str) -> tuple[float, float, float, float, CRS | None]:
    """Return xmin, xmax, ymin, ymax of an extent as QGIS writes it, and its CRS where it names one.

    Raises:
        RequestError: The text is no extent.
    """
    match = re.fullmatch(r"\s*([^\[\]]+?)\s*(?:\[\s*(.+?)\s*\])?\s*", text)
    try:
        left, right, bottom, top = (float(part) for part in (match.group(1) if match else "").split(","))
    except ValueError as error:
        raise RequestError(f"'{text}' is no extent.", _EXTENT_EXAMPLE) from error
    if not (right > left and top > bottom):
        raise RequestError(f"The extent '{text}' has no area.", _EXTENT_EXAMPLE)
    name = match.group(2) if match else None
    try:
        return left, right, bottom, top, CRS.from_user_input(name) if name else None
    except (CRSError, ValueError) as error:
        raise RequestError(f"The CRS '{name}' of the extent is not known.", _EXTENT_EXAMPLE) from error


def read_polygons(path: str, layer: str | None) -> tuple[list[Any], CRS | None]:
    """Return the valid polygons of a vector file, and its CRS.

    Raises:
        InputError: The file cannot be read, or holds no polygon.
    """
    chosen = choose_layer(path, layer, "the area")
    try:
        meta, _, geometries, _ = pyogrio.raw.read(path, layer=chosen, columns=[], force_2d=True)
    except VECTOR_ERRORS as error:
        raise not_a_vector_file(path) from error
    if geometries is None or len(geometries) == 0:
        raise InputError(f"The layer '{chosen}' of '{path}' is empty.", "Draw a polygon in it, or choose another one.")
    shapes, _ = valid_parts(shapely.from_wkb(geometries, on_invalid="ignore"))
    if not shapes:
        raise InputError(f"The layer '{chosen}' of '{path}' holds no polygons.", "Choose a layer of polygons.")
    return shapes, layer_crs(meta.get("crs"), path)


def area_of_polygons(shapes: tuple[Any, ...], source: RasterSource, what: str) -> AreaOfInterest:
    """Return the area of polygons in the CRS of a raster.

    Args:
        shapes: Valid polygons.
        source: The raster.
        what: What errors call them, at the beginning of a sentence.

    Raises:
        InputError: They hold no pixel of the raster.
    """
    full = PixelWindow(0, 0, source.height, source.width)
    frame = footprint(source.transform, full)
    shapes = tuple(shape for shape in shapes if shape.intersects(frame))
    common = [part for part in (shape.intersection(frame) for shape in shapes) if part.area > 0]
    if not common:
        spans = source.crs.to_string() if source.crs and source.crs.to_epsg() else "its CRS"
        left, bottom, right, top = frame.bounds
        raise InputError(
            f"{what} lies outside the image.",
            f"The image spans {left:.10g},{right:.10g},{bottom:.10g},{top:.10g} in {spans}.",
        )
    points = shapely.get_coordinates(common)
    inverse = ~source.transform
    columns = inverse.a * points[:, 0] + inverse.b * points[:, 1] + inverse.c
    rows = inverse.d * points[:, 0] + inverse.e * points[:, 1] + inverse.f
    column, last_column = _centres(columns.min(), columns.max())
    row, last_row = _centres(rows.min(), rows.max())
    window = PixelWindow(row, column, max(0, last_row - row), max(0, last_column - column)).intersection(full)
    if not window.pixels:
        raise InputError(f"{what} holds no whole pixel of the image.", "Choose a larger area.")
    upright = not (source.transform.b or source.transform.d)
    rectangle = upright and len(shapes) == 1 and shapes[0].equals(shapely.box(*shapes[0].bounds))
    return AreaOfInterest(window, None if rectangle else shapes, source.transform)


def _centres(low: float, high: float) -> tuple[int, int]:
    """Return the first pixel whose centre lies between two positions, and the one after the last."""
    return math.ceil(low - 0.5 - 1e-6), math.floor(high - 0.5 + 1e-6) + 1

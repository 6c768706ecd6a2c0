"""Polygons of vector files: found, made valid, and brought to an image's CRS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyogrio
import shapely
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.warp import transform as warp_transform

from engine.errors import InputError
from engine.rasters.raster_file import GDAL_ERRORS, configure_gdal
from engine.rasters.windows import PixelWindow
from engine.remote_path import is_remote
from engine.storage.inputs import check_readable

VECTOR_ERRORS = (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError)


def choose_layer(path: str, layer: str | None, what: str) -> str:
    """Return the layer to read: the one named, or else the first with polygons.

    Args:
        path: Any vector file that GDAL reads.
        layer: Name of the layer, or None.
        what: What the file is for, in words that end "Check the path of ...".

    Raises:
        InputError: The file cannot be read or has no such layer.
    """
    configure_gdal()
    if is_remote(path):
        check_readable(path)
    if not path.startswith("/vsi") and not Path(path).exists():
        raise InputError(f"There is no file '{path}'.", f"Check the path of {what}.")
    try:
        kinds = {str(name): str(kind) for name, kind in pyogrio.list_layers(path)}
    except VECTOR_ERRORS as error:
        raise not_a_vector_file(path) from error
    if layer is not None and layer not in kinds:
        raise InputError(f"'{path}' has no layer '{layer}'.", f"It has: {', '.join(kinds) or 'none'}.")
    if not kinds:
        raise InputError(f"'{path}' has no layers.", "Choose a vector file with polygons.")
    likely = [name for name, kind in kinds.items() if "Polygon" in kind or "Surface" in kind]
    return layer or (likely or list(kinds))[0]


def layer_crs(text: str | None, path: str) -> CRS | None:
    """Return the CRS that a layer states, or None where it states none.

    Raises:
        InputError: It is none that is known.
    """
    try:
        return CRS.from_user_input(text) if text else None
    except CRSError as error:
        raise InputError(f"The CRS of '{path}' is not known.", "Set the layer's CRS, in QGIS for example.") from error


def valid_parts(shapes: Sequence[Any] | npt.NDArray[np.object_]) -> tuple[list[Any], npt.NDArray[np.int64]]:
    """Return the valid polygons that geometries hold, also within collections.

    Args:
        shapes: Geometries of any kind; None and empty ones hold nothing.

    Returns:
        The polygons, and for each the position of the geometry that it is a part of.
    """
    given = np.asarray(shapes, dtype=object)
    if not given.size:
        return [], np.empty(0, dtype=np.int64)
    once, first = shapely.get_parts(shapely.make_valid(given), return_index=True)
    parts, second = shapely.get_parts(once, return_index=True)
    kept = (shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & ~shapely.is_empty(parts)
    return list(parts[kept]), np.asarray(first[second[kept]], dtype=np.int64)


def reproject(shapes: Sequence[Any], crs: CRS, target: CRS, path: str) -> npt.NDArray[np.object_]:
    """Return polygons in another CRS; None where a point has no place in it.

    Raises:
        InputError: There is no way from one CRS to the other.
    """

    def move(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        x, y = warp_transform(crs, target, points[:, 0].tolist(), points[:, 1].tolist())
        return np.column_stack([x, y])

    try:
        moved = shapely.transform(np.array(shapes, dtype=object), move)
    except (CRSError, *GDAL_ERRORS) as error:
        raise InputError(
            f"The polygons of '{path}' cannot be converted to the image's CRS.", "Save them in the image's CRS."
        ) from error
    coordinates, owners = shapely.get_coordinates(moved, return_index=True)
    placed: npt.NDArray[np.object_] = moved.copy()
    placed[np.unique(owners[~np.isfinite(coordinates).all(axis=1)])] = None
    return placed


def footprint(transform: Affine, window: PixelWindow) -> Any:
    """Return the polygon that a window covers, in the CRS of the raster that `transform` belongs to."""
    corners = ((0, 0), (window.width, 0), (window.width, window.height), (0, window.height))
    return shapely.Polygon([transform * (window.column + x, window.row + y) for x, y in corners])


def not_a_vector_file(path: str) -> InputError:
    """Return the error for a file that GDAL reads as no vector file."""
    return InputError(
        f"'{path}' is not a vector file that can be read.", "Choose a GeoPackage, Shapefile or GeoJSON of polygons."
    )

"""Labels that are polygons with a class in one of their fields."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
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

from engine.errors import InputError
from engine.events import Reporter
from engine.extraction.class_mapping import ClassMapping, LabelValue, label_value
from engine.extraction.labels import Codes, LabelWindow
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

CLASS_FIELDS = ("code", "class", "class_code", "class_name", "classe")
"""Fields that hold the class where none was named; the first that exists is taken."""


@dataclass(frozen=True)
class LabelPolygons:
    """Polygons with class codes.

    A pixel belongs to the polygon in which its centre lies. Where polygons overlap the one with the smaller area lies
    on top; of two equal ones the later.

    Args:
        shapes: Polygons in the image's CRS, from the lowest to the uppermost.
        codes: Their class codes; 0 covers what lies below.
        transform: The image's pixel to CRS coordinates.
    """

    shapes: npt.NDArray[np.object_]
    codes: Codes
    transform: Affine
    contested_rule: str = "there the smaller polygon lies on top"

    @classmethod
    def read(
        cls,
        paths: Sequence[str],
        layer: str | None,
        class_field: str | None,
        mapping: ClassMapping,
        source: RasterSource,
        reporter: Reporter,
    ) -> LabelPolygons:
        """Read the polygons that touch an image.

        Invalid polygons are repaired; those in another CRS are reprojected, those without a CRS taken to be in the
        image's. Features without a class, and points and lines, are left out. All of that is said.

        Args:
            paths: Vector files.
            layer: Name of the layer in each; None takes the first with polygons.
            class_field: Field that holds the class; None takes the first of `CLASS_FIELDS` that exists.
            mapping: Label values to codes.
            source: The image.
            reporter: Is told what was found.

        Raises:
            InputError: A file cannot be read, has no such field, no polygon with a class lies inside the image, or a
                class is unknown.
        """
        shapes: list[Any] = []
        values: list[LabelValue] = []
        counts: Counter[LabelValue] = Counter()
        for path in paths:
            for shape, value, _ in (found := _read_file(path, layer, class_field, source, reporter)):
                shapes.append(shape)
                values.append(value)
            counts.update({feature: value for _, value, feature in found}.values())
        if not counts:
            raise InputError(
                "No polygon with a class lies inside the image.", "Check that labels and image show the same place."
            )
        mapping.check(counts, "polygons", reporter)
        codes = np.array([mapping.code_of(value) or 0 for value in values], dtype=np.uint8)
        drawn = np.array(shapes, dtype=object)
        order = np.argsort(-shapely.area(drawn), kind="stable")
        polygons = cls(drawn[order], codes[order], source.transform)
        # Built before threads share it.
        _ = polygons._tree
        return polygons

    def touches(self, window: PixelWindow) -> bool:
        """Return False only when surely no pixel of a window has a label; quick."""
        return len(self._tree.query(footprint(self.transform, window), predicate="intersects")) > 0

    def reader(self) -> PolygonReader:
        """Return a reader."""
        return PolygonReader(self)

    def check(self, values: Mapping[LabelValue, int]) -> None:
        """Do nothing: the classes of all polygons were checked when they were read."""

    def draw(self, window: PixelWindow, *, examine: bool = False) -> LabelWindow:
        """Return the labels of a window; see `LabelReader.read`."""
        # A pixel more around, so that clipping never touches a pixel of the window.
        frame = footprint(self.transform, window.expanded(1))
        found = np.sort(self._tree.query(frame, predicate="intersects"))
        empty = np.zeros((window.height, window.width), dtype=np.uint8)
        if not found.size:
            return LabelWindow(empty)
        clipped = shapely.intersection(self.shapes[found], frame)
        drawn = [
            (shape, int(code))
            for shape, code in zip(clipped, self.codes[found], strict=True)
            if not shape.is_empty and shape.area > 0
        ]
        if not drawn:
            return LabelWindow(empty)
        codes = self._burn(drawn, window)
        contested = 0
        if examine and len({code for _, code in drawn}) > 1:
            contested = int((self._burn(drawn[::-1], window) != codes).sum())
        return LabelWindow(codes, contested=contested)

    def _burn(self, drawn: Sequence[tuple[Any, int]], window: PixelWindow) -> Codes:
        codes: Codes = rasterize(
            drawn,
            out_shape=(window.height, window.width),
            transform=self.transform * Affine.translation(window.column, window.row),
            dtype="uint8",
        )
        return codes

    @cached_property
    def _tree(self) -> Any:
        return shapely.STRtree(self.shapes)


def choose_field(fields: Sequence[str], named: str | None, path: str, reporter: Reporter) -> str:
    """Return the field that holds the class.

    Args:
        fields: Fields that exist.
        named: The one asked for, in any case; None takes the first of `CLASS_FIELDS`.
        path: The file, to be named.
        reporter: Is told what was chosen where there are several.

    Raises:
        InputError: There is none; the message names those that exist.
    """
    name = Path(path).name
    plain = {field.casefold(): field for field in reversed(fields)}
    has = f"It has: {', '.join(fields)}." if fields else "It has no fields."
    if named is not None:
        if named in fields:
            return named
        if named.casefold() in plain:
            return plain[named.casefold()]
        near = difflib.get_close_matches(named.casefold(), list(plain), n=1)
        raise InputError(
            f"The labels '{name}' have no field '{named}'.",
            (f"Did you mean '{plain[near[0]]}'? " if near else "") + has,
        )
    known = [plain[field] for field in CLASS_FIELDS if field in plain]
    if not known:
        raise InputError(
            f"Which field of the labels '{name}' holds the class is not known.", f"Name it with --class-field. {has}"
        )
    others = f"; there is also {', '.join(repr(field) for field in known[1:])}" if known[1:] else ""
    reporter.log(f"The classes of {name} are in its field '{known[0]}'{others}.")
    return known[0]


def _read_file(
    path: str, layer: str | None, class_field: str | None, source: RasterSource, reporter: Reporter
) -> list[tuple[Any, LabelValue, int]]:
    """Return polygons inside the image with their label and the number of the feature they are part of."""
    name = Path(path).name
    chosen = choose_layer(path, layer, "the labels")
    try:
        info = pyogrio.read_info(path, layer=chosen)
    except VECTOR_ERRORS as error:
        raise not_a_vector_file(path) from error
    if info["geometry_type"] is None:
        raise InputError(f"The layer '{chosen}' of '{path}' holds no polygons.", "Choose a layer of polygons.")
    field = choose_field([str(item) for item in info["fields"]], class_field, path, reporter)
    crs = layer_crs(info["crs"], path)
    if crs is None and source.crs is not None:
        reporter.warning(f"The labels {name} carry no CRS: taken to be in the image's.")
    if crs is not None and source.crs is None:
        reporter.warning(f"The image has no CRS: the coordinates of {name} are taken as they are.")
    moved = crs is not None and source.crs is not None and crs != source.crs
    try:
        _, _, binary, (attributes,) = pyogrio.raw.read(
            path,
            layer=chosen,
            columns=[field],
            force_2d=True,
            bbox=_bounds_in(crs if moved else None, source),
        )
    except VECTOR_ERRORS as error:
        raise not_a_vector_file(path) from error
    geometries = shapely.from_wkb(binary, on_invalid="ignore")
    if not geometries.size:
        raise _nothing_inside(path, chosen, info["features"] == 0, source)
    _say_what_is_no_polygon(geometries, name, reporter)
    shapes, owners = valid_parts(geometries)
    if not shapes:
        raise InputError(f"The layer '{chosen}' of '{path}' holds no polygons.", "Choose a layer of polygons.")
    if moved and crs is not None:
        reporter.log(f"The labels {name} are reprojected to the image's CRS.")
        shapes, again = valid_parts(reproject(shapes, crs, source.crs, path))
        owners = owners[again]
    frame = footprint(source.transform, PixelWindow(0, 0, source.height, source.width))
    shapely.prepare(frame)
    inside = shapely.intersects(frame, np.array(shapes, dtype=object)) if shapes else np.zeros(0, dtype=np.bool_)
    if not inside.any():
        raise _nothing_inside(path, chosen, False, source)
    values = [label_value(value) for value in attributes.tolist()]
    kept = [(shapes[index], int(owners[index])) for index in np.flatnonzero(inside).tolist()]
    without = len({feature for _, feature in kept if values[feature] is None})
    if without:
        reporter.warning(f"{without} polygons of {name} have nothing in '{field}': left out.")
    return [(shape, value, feature) for shape, feature in kept if (value := values[feature]) is not None]


def _bounds_in(crs: CRS | None, source: RasterSource) -> tuple[float, float, float, float] | None:
    """Return the image's bounds, in another CRS if one is given; None where they have no place in it."""
    bounds = footprint(source.transform, PixelWindow(0, 0, source.height, source.width)).bounds
    if crs is not None:
        try:
            bounds = transform_bounds(source.crs, crs, *bounds, densify_pts=21)
        except (CRSError, *GDAL_ERRORS):
            return None
        # Straight edges of polygons bend on the way: a little more is read than is needed.
        spare = 0.01 * max(bounds[2] - bounds[0], bounds[3] - bounds[1])
        bounds = (bounds[0] - spare, bounds[1] - spare, bounds[2] + spare, bounds[3] + spare)
    return bounds if np.isfinite(bounds).all() and bounds[0] < bounds[2] and bounds[1] < bounds[3] else None


def _say_what_is_no_polygon(geometries: npt.NDArray[np.object_], name: str, reporter: Reporter) -> None:
    empty = shapely.is_missing(geometries) | shapely.is_empty(geometries)
    flat = ~empty & (shapely.get_dimensions(geometries) < 2)
    invalid = ~empty & ~flat & ~shapely.is_valid(geometries)
    if empty.any():
        reporter.warning(f"{int(empty.sum())} features of {name} have no geometry that can be read: left out.")
    if flat.any():
        reporter.warning(f"{int(flat.sum())} features of {name} are points or lines: left out.")
    if invalid.any():
        reporter.warning(f"{int(invalid.sum())} polygons of {name} are invalid (crossing themselves, say): repaired.")


def _nothing_inside(path: str, layer: str, empty: bool, source: RasterSource) -> InputError:
    if empty:
        return InputError(f"The layer '{layer}' of '{path}' is empty.", "Draw polygons in it, or choose another one.")
    left, bottom, right, top = footprint(source.transform, PixelWindow(0, 0, source.height, source.width)).bounds
    return InputError(
        f"No polygon of '{path}' lies inside the image.",
        f"The image spans {left:.10g},{right:.10g},{bottom:.10g},{top:.10g} in its CRS; check the CRS of both.",
    )


class PolygonReader:
    """Reads polygons through the interface of all labels.

    Args:
        labels: The polygons.
    """

    def __init__(self, labels: LabelPolygons) -> None:
        self._labels = labels

    def __enter__(self) -> PolygonReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(self, window: PixelWindow, *, examine: bool = False) -> LabelWindow:
        """See `LabelReader`."""
        return self._labels.draw(window, examine=examine)

    def close(self) -> None:
        """Nothing is open."""

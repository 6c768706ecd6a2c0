"""Polygons that get figures of their own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyogrio
import shapely

from engine.errors import InputError
from engine.events import Reporter
from engine.polygon_names import NUMBERS, name_of, naming_field
from engine.rasters.area import AreaOfInterest, area_of_polygons
from engine.rasters.polygons import VECTOR_ERRORS, choose_layer, layer_crs, not_a_vector_file, reproject, valid_parts
from engine.rasters.source import RasterSource
from engine.rasters.windows import PixelWindow

# A row for each of more polygons is read by nobody, and each holds a matrix.
MOST = 5000


@dataclass(frozen=True)
class Zones:
    """Polygons by name, in the order of their file.

    Args:
        names: One a polygon.
        areas: The pixels of each.
    """

    names: tuple[str, ...]
    areas: tuple[AreaOfInterest, ...]

    def touching(self, window: PixelWindow) -> list[int]:
        """Return the numbers of the polygons that may hold pixels of a window, ascending."""
        box = shapely.box(window.column, window.row, window.right, window.bottom)
        found: list[int] = np.sort(self._tree.query(box)).tolist()
        return [number for number in found if self.areas[number].touches(window)]

    @cached_property
    def _tree(self) -> Any:
        windows = (area.window for area in self.areas)
        return shapely.STRtree([shapely.box(w.column, w.row, w.right, w.bottom) for w in windows])


def read_zones(path: str, layer: str | None, field: str | None, source: RasterSource, reporter: Reporter) -> Zones:
    """Read the polygons of a layer that hold pixels of a raster; a feature of several parts is one.

    Args:
        path: Any vector file that GDAL reads.
        layer: Name of the layer; None takes the first with polygons.
        field: Field that names the polygons; None takes the first of `polygon_names.NAME_FIELDS`, an id or code only
            where each polygon has its own; else numbers from 1.
        source: The raster.
        reporter: Is told what is left out.

    Raises:
        InputError: The file cannot be read, has no such field, too many polygons or none on the raster.
    """
    chosen = choose_layer(path, layer, "the area")
    try:
        fields = [str(item) for item in pyogrio.read_info(path, layer=chosen)["fields"]]
        naming = naming_field(fields, field, path)
        meta, _, binary, attributes = pyogrio.raw.read(
            path, layer=chosen, columns=[naming] if naming else [], force_2d=True
        )
    except VECTOR_ERRORS as error:
        raise not_a_vector_file(path) from error
    geometries = shapely.from_wkb(binary, on_invalid="ignore")
    if len(geometries) > MOST:
        raise InputError(
            f"The area '{path}' has {len(geometries)} polygons; up to {MOST} can each have a row.",
            "Dissolve them to fewer, in QGIS for example.",
        )
    texts = [name_of(value) for value in attributes[0].tolist()] if naming else [""] * len(geometries)
    if naming and field is None and naming.casefold() in NUMBERS and len(set(texts)) < len(texts):
        # Polygons of classes share their codes, which tells none from another.
        texts = [""] * len(geometries)
    crs = layer_crs(meta.get("crs"), path)
    names: list[str] = []
    areas: list[AreaOfInterest] = []
    for number, geometry in enumerate(geometries):
        parts, _ = valid_parts([geometry])
        if parts and crs is not None and source.crs is not None and crs != source.crs:
            parts, _ = valid_parts(reproject(parts, crs, source.crs, path))
        try:
            area = area_of_polygons(tuple(parts), source, "The polygon") if parts else None
        except InputError:
            area = None
        if area is not None:
            names.append(texts[number] or str(number + 1))
            areas.append(area)
    if len(names) < len(geometries):
        reporter.log(f"{len(geometries) - len(names)} polygons of the area hold no pixel of the prediction: left out.")
    zones = Zones(tuple(names), tuple(areas))
    if areas:
        # Built before threads share it.
        _ = zones._tree
    return zones

"""Which kind of labels files hold."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyogrio
import rasterio

from engine.errors import InputError
from engine.events import Reporter
from engine.extraction.class_mapping import ClassMapping
from engine.extraction.label_polygons import LabelPolygons
from engine.extraction.label_raster import LabelRasters
from engine.extraction.labels import Labels
from engine.rasters.polygons import VECTOR_ERRORS
from engine.rasters.raster_file import GDAL_ERRORS, configure_gdal
from engine.rasters.source import RasterSource, stamp
from engine.remote_path import is_remote
from engine.storage.inputs import check_readable

# A Shapefile keeps its attributes and its CRS in files of their own.
_BESIDE = (".dbf", ".shx", ".prj", ".cpg")


def open_labels(
    paths: Sequence[str],
    layer: str | None,
    class_field: str | None,
    mapping: ClassMapping,
    source: RasterSource,
    reporter: Reporter,
) -> Labels:
    """Open labels: vector files or rasters.

    Args:
        paths: Files, all of one kind.
        layer: Layer of vector files.
        class_field: Field of vector files that holds the class.
        mapping: Label values to codes.
        source: The image.
        reporter: Is told what was found.

    Raises:
        InputError: A file is missing, empty or neither kind, there are both kinds, or see the two kinds of labels.
    """
    vectors = [path for path in paths if _is_vector(path)]
    if vectors and len(vectors) < len(paths):
        other = next(path for path in paths if path not in vectors)
        raise InputError(
            f"'{vectors[0]}' holds polygons and '{other}' pixels: labels must be of one kind.",
            "Extract them one after another, or rasterise the polygons first.",
        )
    if vectors:
        return LabelPolygons.read(paths, layer, class_field, mapping, source, reporter)
    for name, value in (("--label-layer", layer), ("--class-field", class_field)):
        if value is not None:
            reporter.warning(f"{name} has no effect: the labels are rasters.")
    return LabelRasters.open(paths, mapping, source, reporter)


def fingerprint_of(paths: Sequence[str]) -> list[list[Any]]:
    """Return path, size and time of label files, as JSON values."""
    beside = [str(Path(path).with_suffix(suffix)) for path in paths if path.endswith(".shp") for suffix in _BESIDE]
    return [[path, *stamp(path)] for path in [*paths, *beside]]


def _is_vector(path: str) -> bool:
    """Return whether a file holds layers of features rather than pixels.

    Raises:
        InputError: It is missing, empty, or neither.
    """
    configure_gdal()
    if is_remote(path):
        check_readable(path)
    plain = not path.startswith("/vsi")
    if plain and not Path(path).exists():
        raise InputError(f"There is no file '{path}'.", "Check the path of the labels.")
    if plain and Path(path).is_file() and Path(path).stat().st_size == 0:
        raise InputError(f"The file '{path}' is empty.", "Copy or save the labels again.")
    with contextlib.suppress(*VECTOR_ERRORS):
        if len(pyogrio.list_layers(path)):
            return True
    try:
        with rasterio.open(path):
            return False
    except (*GDAL_ERRORS, OSError, ValueError) as error:
        raise InputError(
            f"'{path}' holds no labels that can be read, neither polygons nor a raster.",
            "Choose a GeoPackage, Shapefile or GeoJSON of polygons, or a GeoTIFF of class codes.",
        ) from error

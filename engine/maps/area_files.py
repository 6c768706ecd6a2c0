"""The table and the polygons that areas are written to."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyogrio
import shapely

from engine.errors import OutputError
from engine.maps.areas import ClassAreas, Counted
from engine.maps.zones import Zones
from engine.nomenclature import LandCoverClass
from engine.rasters.disk import output_error
from engine.rasters.polygons import VECTOR_ERRORS
from engine.text_file import write_whole

COLUMNS = ("name", "feature", "code", "class", "hectares", "percent", "pixels")
LAYER = "areas"


def write_area_table(path: Path, counted: Counted, zones: Zones | None) -> None:
    """Write one line for each polygon and class that occurs in it, the whole first.

    Columns: name and number of the polygon in its file (empty for the whole), code and name of the class (0 and "no
    class" for what has none), hectares, per cent of all that has a class, pixels.

    Args:
        path: File to write (.csv), UTF-8 with a byte order mark, since spreadsheets ask for it.
        counted: The areas.
        zones: The polygons, or None.

    Raises:
        OutputError: It could not be written.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_lines("whole", "", counted.whole, counted.classes))
    for number, name in enumerate(zones.names if zones is not None else ()):
        feature = zones.features[number] if zones is not None else ""
        writer.writerows(_lines(name, feature, counted.zones.row(number), counted.classes))
    write_whole(path, "\ufeff" + stream.getvalue())


def _lines(name: str, feature: int | str, areas: ClassAreas, classes: Sequence[LandCoverClass]) -> list[list[object]]:
    hectares, shares = areas.hectares, areas.shares
    lines: list[list[object]] = [
        [name, feature, item.code, item.name, f"{hectares[n]:.6f}", f"{100 * shares[n]:.4f}", int(areas.pixels[n])]
        for n, item in enumerate(classes)
        if areas.pixels[n]
    ]
    if areas.pixels[-1]:
        lines.append([name, feature, 0, "no class", f"{areas.unclassified:.6f}", "", int(areas.pixels[-1])])
    return lines


def write_area_polygons(path: Path, output: Path, counted: Counted, zones: Zones) -> None:
    """Write the polygons as they were drawn, with fields of their areas.

    Fields: name, feature (number in the file it came from), hectares (of what has a class), no_class_ha, on_raster_pct
    (share of the polygon that lies on the raster), largest and largest_code (the class with most area), and for each
    class that occurs its hectares and per cent, such as building_ha and building_pct.

    Args:
        path: File to write (.gpkg).
        output: What errors call it.
        counted: The areas.
        zones: The polygons.

    Raises:
        OutputError: It could not be written.
    """
    areas, shares = counted.zones.hectares, counted.zones.shares
    best = shares.argmax(axis=1)
    some = shares.max(axis=1) > 0
    codes, names = [item.code for item in counted.classes], [item.title for item in counted.classes]
    fields: dict[str, npt.NDArray[np.generic]] = {
        "name": np.array(zones.names, dtype=object),
        "feature": np.array(zones.features, dtype=np.int64),
        "hectares": areas.sum(axis=1).round(6),
        "no_class_ha": counted.zones.unclassified.round(6),
        "on_raster_pct": (100 * np.array(zones.covered)).round(2),
        "largest": np.where(some, np.array(names, dtype=object)[best], ""),
        "largest_code": np.where(some, np.array(codes)[best], 0).astype(np.int32),
    }
    for place, slug in class_fields(counted):
        fields[f"{slug}_ha"] = areas[:, place].round(6)
        fields[f"{slug}_pct"] = (100 * shares[:, place]).round(4)
    crs = zones.crs
    try:
        pyogrio.raw.write(
            path,
            geometry=shapely.to_wkb([_multi(shape) for shape in zones.drawn]),
            field_data=list(fields.values()),
            fields=list(fields),
            crs=crs.to_wkt() if crs is not None else None,
            geometry_type="MultiPolygon",
            layer=LAYER,
            driver="GPKG",
            # What GDAL wrote up to 3.10: that of an older QGIS warns of anything newer.
            VERSION="1.2",
        )
    except (*VECTOR_ERRORS, OSError, RuntimeError) as error:
        problem: OutputError = output_error(output, error)
        raise problem from error


def class_fields(counted: Counted) -> list[tuple[int, str]]:
    """Return place and field name of each class that occurs; a name that two share gets its code."""
    found: list[tuple[int, str]] = []
    for place, item in enumerate(counted.classes):
        if counted.whole.pixels[place]:
            slug = _slug(item.name)
            taken = not slug or any(other == slug for _, other in found)
            found.append((place, f"{slug or 'class'}_{item.code}" if taken else slug))
    return found


def _slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_")[:40]


def _multi(shape: object) -> object:
    return shape if shapely.get_type_id(shape) == shapely.GeometryType.MULTIPOLYGON else shapely.multipolygons([shape])

"""Hectares and per cent by class, as a whole or by polygons."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from engine import __version__
from engine.commands.remote_output import uploads
from engine.errors import InputError
from engine.events import Reporter, format_duration, timed_progress
from engine.maps.area_files import write_area_polygons, write_area_table
from engine.maps.areas import HECTARE, ClassAreas, Counted, count_areas
from engine.maps.class_map import ClassMap, open_class_map
from engine.maps.noting import Noting
from engine.maps.zones import Zones, grid_zones, read_zones
from engine.nomenclature import LandCoverClass
from engine.rasters.result_folder import FolderKind
from engine.reports.areas_report import AreasReport, ClassArea, PolygonAreas, render
from engine.reports.page import write_report
from engine.requests import AreaStatisticsRequest

TABLE, POLYGONS, REPORT = "areas.csv", "areas.gpkg", "report.html"
FOLDER = FolderKind("folder of areas", frozenset({TABLE, POLYGONS, REPORT, f"{POLYGONS}-wal", f"{POLYGONS}-shm"}))
# Polygons that a caller gets a row for; the files have all.
MOST_ROWS = 1000
METHOD = (
    "Areas are measured on the WGS 84 ellipsoid, pixel by pixel, so that they are true in any CRS. On the map's own "
    "grid they come out up to a few parts in a thousand different (in Web Mercator, twice as large at 45 degrees). "
    "A pixel belongs to a polygon when its centre does; where polygons overlap, it counts in each."
)


@uploads("output", folder=True)
def run(request: AreaStatisticsRequest, reporter: Reporter, cancelled: threading.Event) -> dict[str, Any]:
    """Count the areas of all classes.

    Args:
        request: What to do.
        reporter: Receives progress, facts and warnings.
        cancelled: Set to stop; nothing is left behind.

    Returns:
        Paths of folder, report, table and polygons (None without any); classes (code, name, color, hectares, percent);
        hectares, unclassified (hectares), areas (name and hectares of up to 1000 polygons), seconds.

    Raises:
        EngineError: Something is wrong with the request, the inputs or the disk.
    """
    began = time.monotonic()
    output = Path(request.output).expanduser().resolve()
    FOLDER.check(output, [request.input, *([request.area] if request.area else [])], overwrite=request.overwrite)
    noting = Noting(reporter)
    raster = open_class_map(
        request.input, nomenclature=request.nomenclature, crs=request.crs, what="The class raster", reporter=reporter
    )
    areas = raster.areas(noting)
    zones = _zones(request, raster, noting)
    step = timed_progress(reporter)
    with FOLDER.staged(output, overwrite=request.overwrite) as folder:
        counted = count_areas(raster, areas, zones, lambda done: step(0.95 * done, "Counting areas"), cancelled)
        _check(counted, raster, noting)
        step(0.96, "Writing tables")
        write_area_table(folder.path / TABLE, counted, zones)
        if zones is not None:
            write_area_polygons(folder.path / POLYGONS, output / POLYGONS, counted, zones)
        write_report(folder.path / REPORT, render(_report(request, raster, counted, zones, noting.notes)))
    for item in _rows(counted.classes, counted.whole):
        reporter.log(f"  {item['code']:>3}  {item['name']:<24}{item['hectares']:>14,.3f} ha {item['percent']:6.2f} %")
    seconds = time.monotonic() - began
    reporter.progress(1.0, f"Done in {format_duration(seconds)}", 0.0)
    return {
        "output": str(output),
        "report": str(output / REPORT),
        "table": str(output / TABLE),
        "polygons": str(output / POLYGONS) if zones is not None else None,
        "classes": _rows(counted.classes, counted.whole),
        "hectares": round(float(counted.whole.hectares.sum()), 6),
        "unclassified": round(float(counted.whole.unclassified), 6),
        "areas": _zone_rows(counted, zones),
        "seconds": round(seconds, 2),
    }


def _zones(request: AreaStatisticsRequest, raster: ClassMap, reporter: Reporter) -> Zones | None:
    if request.grid:
        return grid_zones(request.grid, raster.source, reporter)
    if request.area:
        return read_zones(request.area, request.area_layer, request.area_field, raster.source, reporter)
    return None


def _check(counted: Counted, raster: ClassMap, reporter: Reporter) -> None:
    if not counted.whole.pixels[:-1].any():
        odd = raster.warning_of(counted.strange, "nothing else was found")
        raise InputError(
            f"{raster.what} holds no class where areas are counted.",
            odd or "Check its nodata value, and that polygons lie where it has classes.",
        )
    odd = raster.warning_of(counted.strange, "they are counted as without a class")
    if odd:
        reporter.warning(odd)


def _rows(classes: tuple[LandCoverClass, ...], areas: ClassAreas) -> list[dict[str, Any]]:
    return [
        {
            "code": item.code,
            "name": item.name,
            "color": item.color,
            "hectares": round(float(areas.hectares[place]), 6),
            "percent": round(100 * float(areas.shares[place]), 4),
        }
        for place, item in enumerate(classes)
        if areas.pixels[place]
    ]


def _zone_rows(counted: Counted, zones: Zones | None) -> list[dict[str, Any]]:
    if zones is None:
        return []
    hectares = counted.zones.hectares.sum(axis=1)
    return [{"name": name, "hectares": round(float(hectares[n]), 6)} for n, name in enumerate(zones.names[:MOST_ROWS])]


def _report(
    request: AreaStatisticsRequest, raster: ClassMap, counted: Counted, zones: Zones | None, notes: list[str]
) -> AreasReport:
    source = raster.source
    present = [place for place in range(len(counted.classes)) if counted.whole.pixels[place]]
    unit = float(raster.crs.linear_units_factor[1]) if raster.crs.is_projected else 0.0
    flat = abs(source.transform.determinant) * unit**2
    summary = [
        ("Class raster", source.files[0].name),
        ("Pixels", f"{source.width} x {source.height}"),
        ("Pixel size", f"{abs(source.transform.a):g} units of {raster.crs.to_string()}"),
        ("Classes", f"{raster.nomenclature.name}, {len(present)} occur"),
        ("Version", f"FLAIR land cover {__version__}"),
    ]
    if flat:
        grid = float(counted.whole.pixels[:-1].sum()) * flat / HECTARE
        summary.insert(3, ("On the map's grid", f"{grid:,.3f} ha".replace(",", "\N{NO-BREAK SPACE}")))
    of = ""
    if zones is not None:
        of = "cells" if request.grid else "polygons"
        label, text = ("Grid", f"{request.grid:g} m") if request.grid else ("Area", Path(request.area or "").name)
        summary.insert(1, (label, f"{text}, {len(zones)} {of}"))
    whole = counted.whole
    return AreasReport(
        title=source.files[0].name,
        classes=[
            ClassArea(item.code, item.name, item.color, float(whole.hectares[place]), float(whole.shares[place]))
            for place in present
            for item in (counted.classes[place],)
        ],
        hectares=float(whole.hectares.sum()),
        unclassified=float(whole.unclassified),
        of=of,
        polygons=_polygons(counted, zones, present),
        summary=summary,
        notes=notes,
        method=METHOD,
        options=request.model_dump(mode="json", exclude={"output", "overwrite"}, exclude_none=True),
    )


def _polygons(counted: Counted, zones: Zones | None, present: list[int]) -> list[PolygonAreas]:
    if zones is None:
        return []
    areas = counted.zones
    totals, shares = areas.hectares.sum(axis=1), areas.shares[:, present]
    return [
        PolygonAreas(name, float(totals[n]), float(areas.unclassified[n]), shares[n].tolist())
        for n, name in enumerate(zones.names)
    ]

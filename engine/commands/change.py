"""What changed between two class rasters: a raster, a table and a report."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from engine import __version__
from engine.commands.change_output import BalanceOf, report_of
from engine.commands.remote_output import uploads
from engine.errors import InputError
from engine.events import Reporter, SilentReporter, format_duration, timed_progress
from engine.maps.change import Change, Pair, compare
from engine.maps.change_table import write_change_table
from engine.maps.class_map import ClassMap, open_class_map
from engine.maps.groups import Groups, read_groups
from engine.maps.nearest import NearestRaster
from engine.maps.noting import Noting
from engine.maps.transitions import NOT_COMPARED, Transitions, common_classes
from engine.maps.zones import read_zones
from engine.rasters.class_raster import class_dressing
from engine.rasters.cog import write_cog
from engine.rasters.disk import output_error
from engine.rasters.raster_file import on_earth
from engine.rasters.result_folder import FolderKind
from engine.rasters.source import RasterSource
from engine.rasters.style import class_aux_xml, class_qml
from engine.rasters.tile_pile import TilePile
from engine.rasters.virtual_raster import Layer, OutputGrid
from engine.reports.change_report import render
from engine.reports.page import write_report
from engine.requests import ChangeRequest

RASTER, STYLE, TABLE, REPORT = "change.tif", "change.qml", "change.csv", "report.html"
FOLDER = FolderKind("folder of a change", frozenset({RASTER, STYLE, TABLE, REPORT, f"{RASTER}.aux.xml"}))
COMPARED = 0.75


@dataclass(frozen=True)
class _Job:
    request: ChangeRequest
    output: Path
    before: ClassMap
    pair: Pair
    groups: Groups | None


@uploads("output", folder=True)
def run(request: ChangeRequest, reporter: Reporter, cancelled: threading.Event) -> dict[str, Any]:
    """Find what changed between two class rasters.

    Args:
        request: What to do.
        reporter: Receives progress, facts and warnings.
        cancelled: Set to stop; nothing is left behind.

    Returns:
        Paths of folder, raster, style, table and report; compared, changed and left_out (hectares); transitions (code,
        from, to, color, hectares), the largest first; groups and polygons with gains and losses; seconds.

    Raises:
        EngineError: Something is wrong with the request, the inputs or the disk.
    """
    began = time.monotonic()
    noting = Noting(reporter)
    job = _prepare(request, noting)
    pair, step = job.pair, timed_progress(reporter)
    classes = pair.transitions.classes
    with FOLDER.staged(job.output, overwrite=request.overwrite) as folder:
        source = pair.after.source
        grid = OutputGrid(source.width, source.height, source.transform, source.crs)
        pile = TilePile(folder.work, job.output / RASTER, grid, Layer("change", 1, "uint16", NOT_COMPARED))
        change = compare(
            pair, request.minimum_area, pile, lambda done: step(COMPARED * done, "Comparing the rasters"), cancelled
        )
        _check(change, job, noting)
        pairs = [(row, column) for row, column in np.argwhere(change.whole.pixels > 0).tolist() if row != column]
        legend = pair.transitions.legend(pairs, change.left_out > 0)
        tags = {"FLAIR_VERSION": __version__, "FLAIR_CHANGE_FACTOR": str(pair.transitions.factor)}
        write_cog(
            folder.path / RASTER,
            job.output / RASTER,
            grid,
            pile.layer,
            pile.files,
            replace(class_dressing(legend, tags), descriptions=("Change",)),
            "mode",
            lambda done: step(COMPARED + (0.97 - COMPARED) * done, "Writing the raster"),
            cancelled.is_set,
        )
        try:
            for name, text in ((f"{RASTER}.aux.xml", class_aux_xml(legend)), (STYLE, class_qml(legend))):
                (folder.path / name).write_text(text, encoding="utf-8", newline="\n")
        except OSError as error:
            raise output_error(job.output / RASTER, error) from error
        write_change_table(folder.path / TABLE, change, classes, pair.zones)
        report = report_of(request, job.before, pair, change, job.groups, noting.notes)
        write_report(folder.path / REPORT, render(report))
    hectares = change.whole.hectares
    colors = {item.code: item.color for item in legend.classes}
    transitions = [
        {
            "code": code,
            "from": classes[row].name,
            "to": classes[column].name,
            "color": colors[code],
            "hectares": round(float(hectares[row, column]), 6),
        }
        for row, column in sorted(pairs, key=lambda place: -hectares[place])
        for code in (pair.transitions.code(classes[row].code, classes[column].code),)
    ]
    for item in transitions[:10]:
        reporter.log(f"  {item['from']} -> {item['to']}: {item['hectares']:,.4f} ha")
    seconds = time.monotonic() - began
    reporter.progress(1.0, f"Done in {format_duration(seconds)}", 0.0)
    return {
        "output": str(job.output),
        "raster": str(job.output / RASTER),
        "style": str(job.output / STYLE),
        "table": str(job.output / TABLE),
        "report": str(job.output / REPORT),
        "compared": round(float(hectares.sum()), 6),
        "changed": round(float(change.whole.changed), 6),
        "left_out": round(change.left_out, 6),
        "transitions": transitions,
        "groups": [BalanceOf(item).to_dict() for item in report.groups],
        "polygons": [
            {"name": item.name, "compared": round(item.compared, 6), "changed": round(item.changed, 6)}
            for item in report.polygons[:1000]
        ],
        "seconds": round(seconds, 2),
    }


def _prepare(request: ChangeRequest, reporter: Reporter) -> _Job:
    output = Path(request.output).expanduser().resolve()
    confidences = [item for item in (request.before_confidence, request.after_confidence) if item]
    area = [request.area] if request.area else []
    FOLDER.check(output, [request.before, request.after, *confidences, *area], overwrite=request.overwrite)
    before, after = (
        open_class_map(path, nomenclature=request.nomenclature, crs=None, what=what, reporter=reporter)
        for path, what in ((request.before, "The earlier raster"), (request.after, "The later raster"))
    )
    if after.source.crs is None:
        raise InputError(
            f"{after.what} has no CRS, so its hectares are unknown.",
            "Give it one first, with gdal_edit.py -a_srs EPSG:2154, or with 'Assign projection' in QGIS.",
        )
    areas = after.areas(reporter)
    if not on_earth(before.source.crs):
        reporter.warning(f"{before.what} has no CRS with a place on earth: taken to be in the later one's.")
    transitions = Transitions(common_classes(before, after))
    groups = read_groups(request.groups, transitions.classes)
    if groups is None:
        reporter.log("The classes are not FLAIR's, so sealed ground is not summed up; name groups with --groups.")
    older = NearestRaster.on(before.source, after.source, before.what)
    if not older.same:
        reporter.warning(
            f"{before.what} lies on another grid than the later one: each pixel of that takes the class nearest to "
            "its centre."
        )
    zones = None
    if request.area:
        zones = read_zones(request.area, request.area_layer, request.area_field, after.source, reporter)
    least = request.minimum_confidence
    certain = [_confidence(path, after) for path in confidences] if least > 0 else []
    return _Job(request, output, before, Pair(after, older, certain, least, transitions, areas, zones), groups)


def _confidence(path: str, after: ClassMap) -> NearestRaster:
    source = RasterSource.open(
        [path], ("confidence",), bands={"confidence": 1}, ground_sampling_distance=1.0, reporter=SilentReporter()
    )
    if len(source.files[0].data_bands) != 1:
        raise InputError(
            f"The confidence '{source.files[0].name}' has {len(source.files[0].data_bands)} bands.",
            "Choose a raster of one band with per cents, as Classify land cover writes it.",
        )
    return NearestRaster.on(source, after.source, f"The confidence '{source.files[0].name}'")


def _check(change: Change, job: _Job, reporter: Reporter) -> None:
    for raster, strange in zip((job.before, job.pair.after), change.strange, strict=True):
        odd = raster.warning_of(strange, "they are not compared")
        if odd:
            reporter.warning(odd)
    if not change.whole.pixels.any():
        raise InputError(
            "No pixel has a class in both rasters.",
            "Check that they show the same place, and their nodata values and nomenclature.",
        )
    if change.left_out > 0:
        reasons = []
        if job.request.minimum_area > 0:
            reasons.append(f"smaller than {job.request.minimum_area:g} m\N{SUPERSCRIPT TWO}")
        if job.pair.confidences:
            reasons.append(f"less certain than {job.request.minimum_confidence:g} %")
        reporter.warning(
            f"Changes of {_area_text(change.left_out)} are left out ({' or '.join(reasons)}): counted as unchanged."
        )


def _area_text(hectares: float) -> str:
    # single pixels would be 0.0000 ha
    return f"{hectares:,.4f} ha" if hectares >= 0.001 else f"{1e4 * hectares:,.2f} m\N{SUPERSCRIPT TWO}"

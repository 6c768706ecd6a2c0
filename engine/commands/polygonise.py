"""From a class raster to polygons."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.commands.remote_output import uploads
from engine.errors import Cancelled, InputError, RequestError
from engine.events import Reporter, format_duration
from engine.inference.memory import GIGABYTE, USABLE_SHARE, available_memory
from engine.nomenclature import NODATA, SPARE_COLORS, LandCoverClass, Nomenclature, resolve_nomenclature
from engine.rasters.named_classes import named_classes
from engine.rasters.pixel_area import PixelAreas
from engine.rasters.source import RasterSource
from engine.rasters.staged_output import StagedOutput, check_overwrite, check_writable
from engine.requests import PolygoniseRequest
from engine.vectors.arc_store import ArcStore
from engine.vectors.boundary_sweep import BoundarySweep
from engine.vectors.class_pixels import open_class_raster
from engine.vectors.crossings import redraw_crossing
from engine.vectors.faces import rings_of
from engine.vectors.outlines import Outline
from engine.vectors.polygon_file import PolygonFile
from engine.vectors.polygon_style import class_polygons_qml
from engine.vectors.polygons import PolygonBuilder
from engine.vectors.region_raster import RegionRaster, divide
from engine.vectors.region_sums import RegionSums, open_confidence

# Pixels of the rows that are looked at together, and points of the polygons that are.
STRIP_PIXELS = 4_000_000
BATCH_POINTS = 1_000_000
# Share of the whole that is done when regions are found, arcs are drawn, and polygons are checked.
FOUND, DRAWN, CHECKED = 0.3, 0.6, 0.8

# Pixels that a border may move: below, lines drawn across many steps keep some of them.
TOLERANCE = 1.5
# Share of its area by which the outline may change a class before that is told.
MOVED = 0.05

Step = Callable[[float, str], None]


@dataclass(frozen=True)
class _Job:
    request: PolygoniseRequest
    source: RasterSource
    confidence: RasterSource | None
    nomenclature: Nomenclature
    output: Path
    layer: str
    least: int
    outline: Outline


@dataclass(frozen=True)
class _Sums:
    ground: RegionSums
    confidence: RegionSums | None


@uploads("output")
def run(request: PolygoniseRequest, reporter: Reporter, cancelled: threading.Event) -> dict[str, Any]:
    """Make polygons of a class raster.

    Polygons are connected by pixels' edges, share their borders exactly whatever the outline, and carry `code`,
    `class`, `area_m2` (of the polygon, on the ground), `pixels`, and with a raster of confidence `confidence`.

    Args:
        request: What to do.
        reporter: Receives progress and what was found.
        cancelled: Set to stop.

    Returns:
        `output`, `style`, `layer`, `polygons`, `joined` (regions below the smallest area), `pixels`, `area_m2`,
        `classes` (code, name, color, polygons and area_m2 of each) and `seconds`.

    Raises:
        Cancelled: `cancelled` was set.
        InputError: A raster cannot be used, or no class is left.
        OutOfMemoryError: There are too many regions.
        OutputError: The file cannot be written.
    """
    began = time.monotonic()
    job = _prepare(request, reporter)
    step = _stepper(reporter, cancelled)
    with StagedOutput(job.output, overwrite=request.overwrite) as staged:
        work = staged.path("work")
        work.mkdir()
        regions = _divide(job, work, step, reporter)
        used = _used_classes(job, regions, reporter)
        store, sums = _draw(job, regions, work, step)
        builder = PolygonBuilder(store, rings_of(store.table, regions.count))
        _check(job, builder, regions, step, reporter)
        file = PolygonFile(staged.path(job.output.name), job.layer, job.source.crs)
        counts, areas, before = _write(job, builder, regions, sums, used, file, step)
        _tell_moved(used, before, areas, reporter)
        qml = class_polygons_qml(used)
        file.write_style(used.name, qml)
        style = job.output.with_suffix(".qml").name
        staged.write_text(style, qml)
        staged.commit([style, job.output.name], stale=[f"{job.output.name}-wal", f"{job.output.name}-shm"])
    seconds = time.monotonic() - began
    rows = [
        {"code": item.code, "name": item.name, "color": item.color, "polygons": int(counts[item.code]),
         "area_m2": round(float(areas[item.code]), 2)}
        for item in used.classes
    ]  # fmt: skip
    reporter.progress(1.0, f"{int(counts.sum())} polygons in {format_duration(seconds)}", 0.0)
    return {
        "output": str(job.output),
        "style": str(job.output.with_suffix(".qml")),
        "layer": job.layer,
        "polygons": int(counts.sum()),
        "joined": regions.joined,
        "pixels": job.source.width * job.source.height,
        "area_m2": round(float(areas.sum()), 2),
        "classes": rows,
        "seconds": round(seconds, 2),
    }


def _prepare(request: PolygoniseRequest, reporter: Reporter) -> _Job:
    output = Path(request.output).expanduser().resolve()
    for given in (request.input, request.confidence):
        if given and Path(given).expanduser().resolve() in (output, output.with_suffix(".qml")):
            raise RequestError("The output is one of the inputs.", "Give it another name.")
    check_writable(output)
    check_overwrite(output, overwrite=request.overwrite)
    source = open_class_raster(request.input, request.crs, reporter)
    named = resolve_nomenclature(request.nomenclature) if request.nomenclature else named_classes(source.files[0])
    reporter.log(
        f"{source.files[0].name}: {source.width} x {source.height} pixels of {source.gsd[0]:.3g} x {source.gsd[1]:.3g} "
        f"m on the ground, classes of '{named.name}'."
    )
    confidence = open_confidence(request.confidence, source) if request.confidence else None
    pixel = source.gsd[0] * source.gsd[1]
    least = max(1, math.ceil(request.minimum_area / pixel - 1e-9))
    if least >= source.width * source.height and least > 1:
        raise RequestError(
            f"The smallest area of {request.minimum_area:g} m² is that of the whole raster, "
            f"{source.width * source.height * pixel:.4g} m².",
            "Give a smaller one.",
        )
    tolerance = TOLERANCE if request.tolerance is None else request.tolerance / max(source.gsd)
    layer = request.layer or output.stem
    return _Job(request, source, confidence, named, output, layer, least, Outline(request.outline, tolerance))


def _divide(job: _Job, work: Path, step: Step, reporter: Reporter) -> RegionRaster:
    free = available_memory() * USABLE_SHARE
    budget = free if job.request.memory is None else min(job.request.memory * GIGABYTE, free)
    source = job.source
    rows = max(1, STRIP_PIXELS // source.width)
    regions = divide(
        source, job.nomenclature, work / "labels", job.least, rows, budget, lambda done, text: step(FOUND * done, text)
    )
    if job.least > 1:
        left = int(((regions.sizes < job.least) & (regions.classes != NODATA)).sum())
        alone = f" {left} touch nothing but pixels without a class, and stay." if left else ""
        reporter.log(
            f"{regions.joined} regions below {job.request.minimum_area:g} m² ({job.least} pixels) joined a "
            f"neighbour; {int((regions.classes != NODATA).sum())} are left.{alone}"
        )
    return regions


def _used_classes(job: _Job, regions: RegionRaster, reporter: Reporter) -> Nomenclature:
    """Return the classes that get polygons.

    Raises:
        InputError: There is none.
    """
    left_out = set(job.request.leave_out or ())
    found = [int(code) for code in np.unique(regions.classes) if code != NODATA]
    if not found:
        raise InputError(
            "The raster holds no pixel with a class.", "Check that it is a class raster, and its nodata value."
        )
    codes = [code for code in found if code not in left_out]
    if not codes:
        raise InputError(
            f"All classes of the raster are left out: {', '.join(map(str, found))}.", "Leave out fewer codes."
        )
    known = {item.code: item for item in job.nomenclature.classes}
    unknown = [code for code in codes if code not in known]
    if unknown:
        reporter.warning(
            f"'{job.nomenclature.name}' has no class of the codes {', '.join(map(str, unknown))}; their polygons are "
            "named by the code. Name the classes with --nomenclature."
        )
    classes = [
        LandCoverClass(code, known[code].name, known[code].color)
        if code in known
        else LandCoverClass(code, f"class {code}", SPARE_COLORS[code % len(SPARE_COLORS)])
        for code in codes
    ]
    return Nomenclature(job.nomenclature.name, tuple(classes))


def _draw(job: _Job, regions: RegionRaster, work: Path, step: Step) -> tuple[ArcStore, _Sums]:
    source = job.source
    store = ArcStore(work, source.width, job.outline, source.transform)
    sweep = BoundarySweep(source.width)
    ground = PixelAreas(source.crs, source.transform, source.width, source.height)
    sums = _Sums(RegionSums(regions.count), RegionSums(regions.count) if job.confidence else None)
    with ExitStack() as stack:
        reader = stack.enter_context(job.confidence.reader()) if job.confidence else None
        for window, numbers in regions.strips():
            store.add(sweep.add(numbers))
            sums.ground.add(numbers, ground.of(window))
            if reader is not None and sums.confidence is not None:
                values, valid = reader.read(window)
                sums.confidence.add(numbers, values[0], valid)
            step(FOUND + (DRAWN - FOUND) * window.bottom / source.height, "Drawing borders")
    store.add(sweep.finish())
    regions.path.unlink()
    store.finish()
    return store, sums


def _check(job: _Job, builder: PolygonBuilder, regions: RegionRaster, step: Step, reporter: Reporter) -> None:
    if job.outline.kind == "pixels":
        return
    transform = job.source.transform
    side = max(math.hypot(transform.a, transform.d), math.hypot(transform.b, transform.e))
    redrawn = redraw_crossing(
        builder,
        regions.count,
        BATCH_POINTS,
        (job.outline.tolerance + 2) * side,
        lambda done: step(DRAWN + (CHECKED - DRAWN) * done, "Checking borders"),
    )
    if redrawn:
        share = redrawn / len(builder.store.table)
        reporter.log(f"{redrawn} borders ({share:.2%}) follow the pixels more closely, since they would have crossed.")


def _write(
    job: _Job,
    builder: PolygonBuilder,
    regions: RegionRaster,
    sums: _Sums,
    used: Nomenclature,
    file: PolygonFile,
    step: Step,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Write the polygons, and return their number, their square metres and those of their pixels by code."""
    pixel = abs(job.source.transform.determinant)
    names = np.full(256, "", dtype=object)
    names[[item.code for item in used.classes]] = [item.title for item in used.classes]
    wanted = np.flatnonzero(np.isin(regions.classes, used.codes)) + 1
    counts, total, of_pixels = np.zeros(256, dtype=np.int64), np.zeros(256), np.zeros(256)
    begin = DRAWN if job.outline.kind == "pixels" else CHECKED
    done = 0
    for batch in builder.batches(wanted, BATCH_POINTS):
        codes = regions.classes[batch.regions - 1]
        means, sizes = sums.ground.means(batch.regions), regions.sizes[batch.regions - 1]
        areas = batch.areas / pixel * means
        fields: dict[str, npt.NDArray[Any]] = {
            "code": codes.astype(np.int32),
            "class": names[codes],
            "area_m2": np.round(areas, 3),
            "pixels": sizes,
        }
        if sums.confidence is not None:
            fields["confidence"] = np.round(sums.confidence.means(batch.regions), 2)
        file.write(batch.shapes, fields)
        counts += np.bincount(codes, minlength=256)
        total += np.bincount(codes, weights=areas, minlength=256)
        of_pixels += np.bincount(codes, weights=sizes * means, minlength=256)
        done += len(batch.regions)
        step(begin + (0.99 - begin) * done / len(wanted), f"Writing polygons, {done} of {len(wanted)}")
    return counts, total, of_pixels


def _tell_moved(
    used: Nomenclature, before: npt.NDArray[np.float64], after: npt.NDArray[np.float64], reporter: Reporter
) -> None:
    """Warn of classes whose area the outline changed: specks and narrow strips lose more than large areas do."""
    moved = {item.name: after[item.code] / before[item.code] - 1 for item in used.classes}
    told = [f"{name} {share:+.0%}" for name, share in moved.items() if abs(share) > MOVED]
    if told:
        reporter.warning(
            f"The outline changed the area of {', '.join(told)} against their pixels. The field 'pixels' has their "
            "count; --outline pixels keeps their area, and --minimum-area takes specks away."
        )


def _stepper(reporter: Reporter, cancelled: threading.Event) -> Step:
    began = time.monotonic()

    def step(share: float, text: str) -> None:
        if cancelled.is_set():
            raise Cancelled
        spent = time.monotonic() - began
        reporter.progress(share, text, spent / share * (1 - share) if share > 0 and spent > 1 else None)

    return step

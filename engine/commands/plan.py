"""Before a large run: how long it takes and what it needs."""

from __future__ import annotations

import json
import math
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.commands.classification_output import write_outputs
from engine.data.sample_scene import write_sample_scene
from engine.errors import InputError
from engine.events import Reporter, format_duration
from engine.inference.classification_job import Job, prepare, sample_values
from engine.inference.job_predictor import load_job_predictor
from engine.inference.job_tiles import JobTiles, window_limits
from engine.inference.memory import prediction_budget
from engine.planning.calibration import Calibration, read_calibration
from engine.planning.estimate import Estimate, Workload, estimate
from engine.planning.measure import measure, options_of
from engine.rasters.model_grid import ModelGrid
from engine.rasters.plan import TilePlan, plan_tiles
from engine.rasters.staged_output import StagedOutput, check_overwrite, check_writable
from engine.rasters.tile_store import TileStore
from engine.rasters.windows import PixelWindow
from engine.requests import PlanRequest
from engine.services.address import is_service

# Pixels of a side of the scene that stands for an image that there is not yet.
SCENE_SIDE = 4096
MEASURED = 0.9
GIGABYTE = 1e9


def run(request: PlanRequest, reporter: Reporter, cancelled: threading.Event) -> dict[str, Any]:
    """Tell what a classification takes.

    Args:
        request: What is planned.
        reporter: Receives progress, and the plan as sentences.
        cancelled: Set to stop.

    Returns:
        `plan` (tiles, pixels, seconds, bytes) and `calibration`, as plain values.

    Raises:
        EngineError: Something is wrong with the request, the image, the model or the device.
    """
    if request.output:
        check_writable(Path(request.output))
        check_overwrite(Path(request.output), overwrite=request.overwrite)
    if request.input and any(is_service(item) for item in request.input):
        raise InputError(
            "A service cannot be planned: its image would have to be copied first.",
            "Give the size of the area instead (--square-kilometres).",
        )
    known = read_calibration(Path(request.calibration)) if request.calibration else None
    with tempfile.TemporaryDirectory(prefix="flair-plan-") as folder:
        images = request.input or [_scene(Path(folder), known, reporter)]
        classification = request.classification(images, folder)
        began = time.monotonic()
        job = prepare(classification, reporter, cancelled)
        if known is None:
            speed = _measured(job, request, began, reporter, cancelled)
        else:
            speed = known
            _warn_of_differences(job, known, reporter)
        reporter.progress(MEASURED, "Counting the tiles")
        work = _workload(job, request, speed, cancelled)
    needed = estimate(work, speed, request.workers)
    _tell(request, work, needed, speed, reporter)
    values: dict[str, Any] = {
        "plan": {"workers": request.workers, **asdict(work), **asdict(needed)},
        "calibration": speed.to_json(),
    }
    if request.output:
        path = Path(request.output)
        with StagedOutput(path, overwrite=request.overwrite) as staged:
            staged.write_text(path.name, json.dumps(values, indent=2) + "\n")
            staged.commit([path.name])
        values["output"] = request.output
    reporter.progress(1.0, "Done", 0.0)
    return values


def _scene(folder: Path, known: Calibration | None, reporter: Reporter) -> str:
    reporter.progress(0.0, "Making an image to measure on")
    # With rates at hand nothing is predicted, and the smallest image tells as much.
    side = SCENE_SIDE if known is None else 512
    return str(write_sample_scene(folder / "scene", width=side, height=side).image)


def _measured(
    job: Job, request: PlanRequest, began: float, reporter: Reporter, cancelled: threading.Event
) -> Calibration:
    loaded = load_job_predictor(job, sample_values(job, reporter), reporter)
    budget = prediction_budget(job.device, request.memory)
    extra = {"device": loaded.predictor.device, "precision": loaded.predictor.precision, "agreement": loaded.agreement}

    def finish(part: Job, store: TileStore) -> None:
        write_outputs(part, store, extra, MEASURED, reporter, cancelled)

    return measure(job, loaded, budget, request.seconds, time.monotonic() - began, finish, reporter, cancelled)


def _workload(job: Job, request: PlanRequest, speed: Calibration, cancelled: threading.Event) -> Workload:
    limits = window_limits(job, speed.bytes_per_pixel, speed.budget)
    if request.square_kilometres is None:
        plan = plan_tiles(job.grid, job.area.window, *limits)
        scale = job.grid.scale_x * job.grid.scale_y
        tiles = pixels = 0
        for tiles, tile in enumerate(JobTiles(job, plan, 1).until(cancelled), start=1):  # noqa: B007
            pixels += tile.core.pixels
    else:
        wanted = job.model.manifest.ground_sampling_distance
        gsd = request.ground_sampling_distance or wanted
        side = max(1, math.ceil(math.sqrt(request.square_kilometres) * 1000 / gsd))
        grid = ModelGrid.fit(side, side, (gsd, gsd), wanted)
        plan = plan_tiles(grid, PixelWindow(0, 0, side, side), *limits)
        scale = grid.scale_x * grid.scale_y
        tiles, pixels = len(plan), side * side
    return _counted(plan, tiles, pixels, scale)


def _counted(plan: TilePlan, tiles: int, pixels: int, scale: float) -> Workload:
    computed = tiles * plan.window_pixels
    return Workload(tiles=tiles, pixels=pixels, image_pixels=round(computed / scale), computed_pixels=computed)


def _warn_of_differences(job: Job, known: Calibration, reporter: Reporter) -> None:
    if known.model_sha256 != job.model.sha256:
        reporter.warning(f"The calibration is of another model, {known.model}.")
    precision = job.request.precision
    if precision not in ("auto", known.precision):
        reporter.warning(f"The calibration is of the precision {known.precision}, not {precision}.")
    if known.options != options_of(job):
        reporter.warning("The calibration was made with other options (blend, augment, or layers).")


def _tell(request: PlanRequest, work: Workload, needed: Estimate, speed: Calibration, reporter: Reporter) -> None:
    share = work.computed_pixels / work.pixels if work.pixels else 0.0
    reporter.log(f"Measured on: {speed.machine} ({speed.device}, {speed.precision}), {speed.model}")
    reporter.log(f"Tiles: {work.tiles:,}")
    reporter.log(f"Pixels: {work.pixels / 1e6:,.1f} million, computed {share:.2f} times with their margins")
    reporter.log(f"Speed: {speed.computed_pixels_per_second / 1e6:.2f} million computed pixels a second and worker")
    shared = "" if request.workers == 1 else f" with {request.workers} workers"
    reporter.log(
        f"Time: {_duration(needed.total_seconds)}{shared} "
        f"(classifying {_duration(needed.predict_seconds)}, writing {_duration(needed.finish_seconds)})"
    )
    reporter.log(f"Read: {_gigabytes(needed.bytes_read)}; written: {_gigabytes(needed.bytes_written)}")
    reporter.log(
        f"Disk: {_gigabytes(needed.store_bytes)} for the tiles until the end, {_gigabytes(needed.output_bytes)} for "
        f"the output; {_gigabytes(needed.disk_bytes)} should be free"
    )


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:,.1f} h" if seconds >= 2 * 3600 else format_duration(seconds)


def _gigabytes(count: int) -> str:
    return f"{count / GIGABYTE:,.1f} GB" if count >= GIGABYTE / 10 else f"{count / 1e6:,.1f} MB"

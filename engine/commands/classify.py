"""The main job: from an image and a model to a styled class raster."""

from __future__ import annotations

import threading
import time
from typing import Any

from engine.commands.classification_output import write_outputs
from engine.errors import Cancelled, InputError, ModelError
from engine.events import Reporter, format_duration
from engine.inference.classification_job import Job, nothing_to_classify, prepare, sample_values
from engine.inference.job_pipeline import job_pipeline
from engine.inference.job_tiles import cut, open_store, placed
from engine.inference.load import LoadedPredictor, load_predictor
from engine.inference.memory import cpu_budget, cuda_budget
from engine.inference.run_progress import RunProgress
from engine.inference.tile_keeper import TileKeeper
from engine.part_reporter import PartReporter
from engine.rasters.tile_store import TileStore
from engine.requests import ClassifyRequest
from engine.services.address import is_service
from engine.services.inputs import COPY_PART

# Share of the progress bar; the rest is writing the final file.
PREDICTED = 0.95
# A run that failed sooner than this is as quickly done again.
WORTH_KEEPING_SECONDS = 60.0


def run(request: ClassifyRequest, reporter: Reporter, cancelled: threading.Event) -> dict[str, Any]:
    """Classify an image.

    Args:
        request: What to do.
        reporter: Receives progress, facts and warnings.
        cancelled: Set to stop; finished tiles are kept for the next run.

    Returns:
        Paths of the outputs, pixels by class, seconds, device.

    Raises:
        EngineError: Something is wrong with the request, the input, the model, the device or the disk.
    """
    began = time.monotonic()
    copying = reporter
    if any(is_service(item) for item in request.input):
        copying, reporter = PartReporter(reporter, 0.0, COPY_PART), PartReporter(reporter, COPY_PART, 1 - COPY_PART)
    job = prepare(request, reporter, cancelled, copying)
    samples = sample_values(job, reporter)
    reporter.progress(0.0, "Loading the model")
    loaded = load_predictor(
        job.model,
        job.device,
        request.precision,
        job.head,
        samples,
        pixels=job.area.window.pixels,
        threads=request.threads,
        reporter=reporter,
    )
    # Opened only now, so that a run which is stopped while a library loads leaves nothing behind.
    store = open_store(job, reporter)
    try:
        counts, extra = _predict(job, store, loaded, reporter, cancelled)
        # What the network took serves to write the output.
        del loaded, samples
        outputs = write_outputs(job, store, extra, PREDICTED, reporter, cancelled)
    except BaseException as error:
        _leave(store, error, time.monotonic() - began, reporter)
        raise
    store.remove()
    seconds = time.monotonic() - began
    reporter.progress(1.0, f"Done in {format_duration(seconds)}", 0.0)
    return {
        **outputs,
        "classes": {str(code): pixels for code, pixels in counts.items()},
        "pixels": sum(counts.values()),
        "seconds": round(seconds, 2),
        **{key: value for key, value in extra.items() if value is not None},
    }


def _leave(store: TileStore, error: BaseException, seconds: float, reporter: Reporter) -> None:
    """Keep finished tiles where going on makes sense, leave nothing behind where it does not."""
    hopeless = isinstance(error, InputError | ModelError)
    stopped = isinstance(error, Cancelled)
    if store.counts() and not hopeless and (stopped or seconds > WORTH_KEEPING_SECONDS):
        reporter.log("The finished tiles are kept: the same command goes on from there.")
        store.close()
    else:
        store.remove()


def _predict(
    job: Job,
    store: TileStore,
    loaded: LoadedPredictor,
    reporter: Reporter,
    cancelled: threading.Event,
) -> tuple[dict[int, int], dict[str, Any]]:
    request, predictor = job.request, loaded.predictor
    on_cuda = job.device.startswith("cuda")
    budget = cuda_budget(job.device, request.memory) if on_cuda else cpu_budget(request.memory)
    tiles = cut(job, store, predictor.bytes_per_pixel, budget)
    plan = tiles.plan
    reporter.log(
        f"{job.model.manifest.name} on {predictor.device} ({predictor.precision}): {len(plan)} tiles of up to "
        f"{plan.columns.size} x {plan.rows.size} pixels."
    )
    progress = RunProgress(tiles.pixels(cancelled), 0.0, PREDICTED, reporter)
    keeper = TileKeeper(store, progress)
    pipeline = job_pipeline(
        job,
        predictor,
        tiles.batch_size,
        lambda tile, arrays, seconds: keeper.write(placed(job, tile), arrays, seconds),
        reporter.warning,
        cancelled,
    )
    pipeline.run(tiles.left(store, progress, cancelled))
    counts = store.counts()
    if not counts:
        raise nothing_to_classify()
    return counts, {
        "device": predictor.device,
        "precision": predictor.precision,
        "agreement": None if loaded.agreement is None else round(loaded.agreement, 5),
        "computed_ratio": round(plan.computed_pixels / job.area.window.pixels, 4),
    }

"""The main job: from an image and a model to a styled class raster."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from engine.commands.classification_output import begin_sheets, write_outputs
from engine.commands.remote_output import uploads
from engine.delivery.sheet_index import check_index
from engine.errors import Cancelled
from engine.events import Reporter, format_duration
from engine.inference.classification_job import Job, nothing_to_classify, prepare
from engine.inference.computing import Computing
from engine.inference.job_tiles import open_store
from engine.part_reporter import PartReporter
from engine.rasters.tile_store import TileStore
from engine.requests import ClassifyRequest
from engine.services.address import is_service
from engine.services.inputs import COPY_PART

if TYPE_CHECKING:
    from engine.cluster.computing import ClusterComputing
    from engine.delivery.sheet_run import SheetRun

# Share of the progress bar; the rest is writing the final file.
PREDICTED = 0.95
# A run that failed sooner than this is as quickly done again.
WORTH_KEEPING_SECONDS = 60.0


@uploads("output", "confidence", "probabilities")
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
    # Devices of a cluster are not this computer's.
    job = prepare(request, reporter, cancelled, copying, "cpu" if request.scheduler else None)
    if job.sheets is not None:
        check_index(job.output)
    store: TileStore | None = None
    sheets: SheetRun | None = None
    try:
        with _computing(job, reporter, cancelled) as computing:
            job = computing.job
            # Opened only now, so that a run which is stopped while a library loads leaves nothing behind.
            store = open_store(job, reporter)
            work = computing.begin(store)
            sheets = begin_sheets(job, store, work, reporter, cancelled)
            computing.run(work, PREDICTED, [sheets.stored] if sheets else [])
            extra = work.facts
        counts = store.counts()
        if not counts:
            raise nothing_to_classify()
        outputs = write_outputs(job, store, extra, PREDICTED, reporter, cancelled, sheets)
    except BaseException as error:
        if store is not None:
            kept = _worth_keeping(store, error, time.monotonic() - began)
            if sheets is not None:
                sheets.abandon(error, kept=kept)
            if kept:
                reporter.log("The finished tiles are kept: the same command goes on from there.")
                store.close()
            else:
                store.remove()
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


def _worth_keeping(store: TileStore, error: BaseException, seconds: float) -> bool:
    """Return whether the finished tiles are kept for another try; otherwise nothing is left behind.

    After a long run they are, whatever happened: a disk of a network may be back an hour later.
    """
    return bool(store.counts()) and (isinstance(error, Cancelled) or seconds > WORTH_KEEPING_SECONDS)


def _computing(job: Job, reporter: Reporter, cancelled: threading.Event) -> Computing | ClusterComputing:
    if job.request.workers or job.request.scheduler:
        from engine.cluster.computing import ClusterComputing

        return ClusterComputing(job, reporter, cancelled)
    return Computing(job, reporter, cancelled)

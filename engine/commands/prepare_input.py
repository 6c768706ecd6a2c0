"""From an orthophoto, infrared and heights, as they are delivered, to one image as a model expects it."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from engine import __version__
from engine.band import Band
from engine.commands.preparation_output import Outcome, doubts, page, pictures, result_values
from engine.errors import Cancelled, InputError
from engine.events import Reporter, format_duration
from engine.models.catalogue import find_entry
from engine.part_reporter import PartReporter
from engine.preparation.checks import OrderCheck
from engine.preparation.direct import write_direct
from engine.preparation.image_file import (
    check_disk,
    flags_raster,
    inspect_image,
    layers_of,
    make_tiles,
    write_image,
)
from engine.preparation.job import Job, prepare
from engine.preparation.samples import Samples, take_samples
from engine.rasters.disk import WRITE_ERRORS, output_error
from engine.rasters.staged_output import StagedOutput
from engine.rasters.tile_store import TileStore, work_folder
from engine.reports.page import write_report
from engine.requests import PrepareInputRequest
from engine.services.address import is_service
from engine.services.inputs import COPY_PART

# Its statistics are those of the data that all models of the catalogue were trained on.
REFERENCE = "FLAIR-INC_rgbie_15cl_resnet34-unet"
# Share of the progress bar when each step is done.
SAMPLED, MADE, WRITTEN, INSPECTED = 0.06, 0.7, 0.88, 0.98
_PRODUCTS = ("rgb", "irc", "nir", "dsm", "dtm", "height")
# A run that failed sooner than this is as quickly done again.
WORTH_KEEPING_SECONDS = 60.0


def run(request: PrepareInputRequest, reporter: Reporter, cancelled: threading.Event) -> dict[str, Any]:
    """Make one image of an orthophoto, infrared and heights.

    Args:
        request: What to do.
        reporter: Receives progress, facts and warnings.
        cancelled: Set to stop; finished tiles are kept for the next run.

    Returns:
        Paths of image and report, bands, statistics by band, sources, gaps, counts, warnings, pixels, seconds.

    Raises:
        EngineError: Something is wrong with the request, the inputs or the disk.
    """
    began = time.monotonic()
    noting = _Noting(reporter)
    copying: Reporter = noting
    if any(is_service(item) for name in _PRODUCTS for item in getattr(request, name) or ()):
        copying, reporter = PartReporter(noting, 0.0, COPY_PART), PartReporter(reporter, COPY_PART, 1 - COPY_PART)
    job = prepare(request, noting, cancelled, copying)
    step = _Progress(reporter)
    samples = take_samples(job.stack, lambda done: step(SAMPLED * done, "Looking at the inputs"), cancelled)
    order = _check(job, samples, noting)
    job = _with_stretches(job, samples, noting)
    del samples
    store = None if job.virtual else _open_store(job, noting)
    try:
        with StagedOutput(job.output, overwrite=request.overwrite) as staged:
            path = staged.path(job.output.name)
            if store is None:
                path = _write_virtual(job, staged)
            else:
                _write_tiles(job, store, staged, step, cancelled)
            figures = inspect_image(
                job.stack,
                store,
                path,
                job.output,
                lambda done: step(WRITTEN + (INSPECTED - WRITTEN) * done, "Reading the image back"),
                cancelled,
            )
            for text in doubts(job, figures, _statistics()):
                noting.warning(text)
            shown = pictures(job, path, flags_raster(store) if store else None)
            outcome = Outcome(figures, shown, order, noting.warnings, _statistics())
            _commit(job, staged, page(job, outcome, time.monotonic() - began))
    except BaseException as error:
        if store is not None:
            _leave(store, error, time.monotonic() - began, reporter)
        raise
    if store is not None:
        store.remove()
    seconds = time.monotonic() - began
    reporter.progress(1.0, f"Done in {format_duration(seconds)}", 0.0)
    return result_values(job, outcome, seconds)


class _Noting:
    """A reporter that also keeps the warnings, for report and result."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self.warnings: list[str] = []
        self.progress = reporter.progress
        self.log = reporter.log
        self.result = reporter.result
        self.error = reporter.error

    def warning(self, text: str) -> None:
        """See `Reporter`; the same warning is given once."""
        if text not in self.warnings:
            self.warnings.append(text)
            self._reporter.warning(text)


class _Progress:
    """Tells the share of the whole command that is done, and the time left at the same pace."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._began = time.monotonic()

    def __call__(self, share: float, text: str) -> None:
        spent = time.monotonic() - self._began
        self._reporter.progress(share, text, spent / share * (1 - share) if share > 0 and spent > 1 else None)


def _check(job: Job, samples: Samples, reporter: Reporter) -> OrderCheck | None:
    """Report what the samples tell, or refuse what would make the image wrong."""
    order = samples.check_infrared(job.infrared_numbers)
    told = bool(job.units) and all(unit.told for unit in job.units)
    findings = [
        *(order.findings if order else ()),
        *samples.check_heights(difference=len(job.stack.heights) > 1, unit_told=told),
    ]
    for finding in findings:
        if finding.severe and not job.request.allow_mismatch:
            raise InputError(finding.text, f"{finding.hint} If it is right all the same, allow it (--allow-mismatch).")
        reporter.warning(f"{finding.text} {finding.hint}".strip())
    return order


def _with_stretches(job: Job, samples: Samples, reporter: Reporter) -> Job:
    def pair(values: list[float] | None) -> tuple[float, float] | None:
        return (values[0], values[1]) if values else None

    request = job.request
    stretches = samples.stretches(job.stack, pair(request.percentiles), pair(request.value_range))
    for name, stretch in stretches.items():
        reporter.log(f"To 8 bits: {name} {stretch.low:.6g} becomes 0, {stretch.high:.6g} becomes 255.")
    return job.with_stretches(stretches)


def _open_store(job: Job, reporter: Reporter) -> TileStore:
    check_disk(job.stack, job.output)
    return TileStore.open(
        work_folder(job.output),
        {"version": __version__, **job.fingerprint()},
        job.stack.target.grid,
        layers_of(job.stack),
        resume=job.request.resume,
        reporter=reporter,
    )


def _write_tiles(job: Job, store: TileStore, staged: StagedOutput, step: _Progress, cancelled: threading.Event) -> None:
    tiles = f"{job.stack.target.grid.width * job.stack.target.grid.height / 1e6:,.1f} Mpx"
    make_tiles(
        job.stack, store, lambda done: step(SAMPLED + (MADE - SAMPLED) * done, f"Making the image, {tiles}"), cancelled
    )
    write_image(
        job.stack,
        store,
        staged.path(job.output.name),
        job.output,
        _tags(job),
        lambda done: step(MADE + (WRITTEN - MADE) * done, "Writing the image"),
        cancelled,
    )


def _write_virtual(job: Job, staged: StagedOutput) -> Path:
    """Stage the virtual raster, and return one to look at: the first reads its files only from where it will lie."""
    looked_at = staged.path("whole paths.vrt")
    try:
        write_direct(job.stack, staged.path(job.output.name), job.output.parent, _tags(job))
        write_direct(job.stack, looked_at, None, _tags(job))
    except WRITE_ERRORS as error:
        raise output_error(job.output, error) from error
    return looked_at


def _tags(job: Job) -> dict[str, str]:
    tags = {"TIFFTAG_SOFTWARE": "FLAIR land cover", "FLAIR_VERSION": __version__}
    for facts in job.sources:
        tags[f"FLAIR_{facts.option.upper()}"] = ", ".join(facts.files[:20])
    if job.stack.heights:
        tags["FLAIR_ELEVATION"] = find_entry(REFERENCE).manifest.elevation or ""
    for name, stretch in job.stack.stretches.items():
        tags[f"FLAIR_RANGE_{name.upper()}"] = f"{stretch.low:.9g},{stretch.high:.9g}"
    return tags


def _statistics() -> dict[str, Band]:
    return {band.name: band for band in find_entry(REFERENCE).manifest.bands}


def _commit(job: Job, staged: StagedOutput, html: str) -> None:
    """Bring report and image into their places; when the image is there, everything is."""
    stale = [f"{job.output.name}{ending}" for ending in (".aux.xml", ".msk", ".ovr")]
    names = [job.output.name]
    if job.report.parent == job.output.parent:
        staged.write_text(job.report.name, html)
        names.insert(0, job.report.name)
    else:
        write_report(job.report, html)
    staged.commit(names, stale=stale)


def _leave(store: TileStore, error: BaseException, seconds: float, reporter: Reporter) -> None:
    """Keep finished tiles where going on makes sense, leave nothing behind where it does not."""
    hopeless = isinstance(error, InputError)
    if store.done and not hopeless and (isinstance(error, Cancelled) or seconds > WORTH_KEEPING_SECONDS):
        reporter.log("The finished tiles are kept: the same command goes on from there.")
        store.close()
    else:
        store.remove()

"""Downloads a published data set, or parts of it."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from engine.acquisition.download import Download, Outcome, describe
from engine.acquisition.selection import Selection
from engine.acquisition.sizes import readable
from engine.acquisition.sources import Source, find_source
from engine.cancellation import Cancellation
from engine.data.patch_folder import PatchFolder, find_patches
from engine.data.split_lists import write_lists
from engine.errors import Cancelled, InputError, OutputError
from engine.events import Reporter, format_duration
from engine.requests import DatasetDownloadRequest

_KEPT = "Cancelled. What has come is kept: the same command goes on from there."


def run(request: DatasetDownloadRequest, reporter: Reporter, cancelled: threading.Event) -> dict[str, Any]:
    """Download a data set.

    Args:
        request: What to fetch, and where to.
        reporter: Receives progress, sizes, facts and warnings.
        cancelled: Set to stop; what has come is kept for the next run.

    Returns:
        Data set, bytes to fetch and unpacked, files, by part and in all; and, of a download, the folder, the bytes that
        came in this run, breaks of the line, patches by split and seconds.

    Raises:
        EngineError: Something is wrong with the request, the line, the servers or the disk.
    """
    began = time.monotonic()
    source = find_source(request.dataset, request.sources)
    selection = Selection.of(source, request.modalities, request.splits, request.domains)
    output = Path(request.output).expanduser().resolve()
    if output.exists() and not output.is_dir():
        raise OutputError(f"The output '{request.output}' is a file.", "Give the name of a folder.")
    download = Download(source, selection, output, request.connections, request.keep_archives, reporter, cancelled)
    if request.only_size:
        with tempfile.TemporaryDirectory(prefix="flair-") as states:
            outcome = download.measure(Path(states))
        for line in describe(outcome):
            reporter.log(line)
        return {"dataset": source.name, **_totals(outcome)}
    if isinstance(cancelled, Cancellation):
        cancelled.note = _KEPT
    try:
        outcome = download.run()
    except Cancelled as error:
        raise Cancelled(_KEPT) from error
    lists = _lists(source, output, reporter) if selection.lists else {}
    seconds = time.monotonic() - began
    reporter.log(f"{readable(outcome.fetched)} fetched, {outcome.placed} files written, {outcome.files} in all.")
    reporter.progress(1.0, f"Done in {format_duration(seconds)}", 0.0)
    return {
        "output": request.output,
        "dataset": source.name,
        **_totals(outcome),
        "files": outcome.files,
        "fetched": outcome.fetched,
        "breaks": outcome.breaks,
        "patches": lists,
        "seconds": round(seconds, 2),
    }


def _totals(outcome: Outcome) -> dict[str, Any]:
    return {
        "to_fetch": sum(part["fetched"] for part in outcome.parts.values()),
        "unpacked": sum(part["unpacked"] for part in outcome.parts.values()),
        "files": sum(part["files"] for part in outcome.parts.values()),
        "parts": outcome.parts,
    }


def _lists(source: Source, output: Path, reporter: Reporter) -> dict[str, int]:
    found: PatchFolder = find_patches(output, source.layout)
    if not found.pairs:
        reporter.log("No lists are written, since they need images and labels.")
        return {}
    try:
        return write_lists(found.pairs, output, source.splits, reporter)
    except InputError as error:
        reporter.warning(str(error))
        return {}

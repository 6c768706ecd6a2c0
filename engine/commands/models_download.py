"""Download a model of the catalogue, check it and convert it to a model file."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path
from typing import Any

from engine.errors import Cancelled, OutputError
from engine.events import Reporter, format_duration
from engine.models.catalogue import find_entry
from engine.models.published import obtain
from engine.rasters.disk import output_error
from engine.rasters.staged_output import StagedOutput, check_overwrite, check_writable
from engine.requests import ModelsDownloadRequest

COPIED_BYTES = 1 << 22
# Share of the work when a copy of the model file is wanted beside the one in the cache.
OBTAINED = 0.97


def run(request: ModelsDownloadRequest, reporter: Reporter, cancelled: threading.Event) -> dict[str, Any]:
    """Make a catalogue model ready for use.

    Args:
        request: What to do.
        reporter: Receives progress with bytes, rate and time left, facts and warnings.
        cancelled: Set to stop; what was downloaded is kept for the next run.

    Returns:
        Path of the model file, its name, licence, SHA-256 and size, the commit that it comes from (empty for a
        checkpoint given by hand), whether it lay ready, seconds.

    Raises:
        ModelError: There is no such model, it cannot be had, or it is not what it should be.
        OutputError: The disk is full or a folder cannot be written.
        Cancelled: It was asked to stop.
    """
    began = time.monotonic()
    entry = find_entry(request.model)
    output = Path(request.output).expanduser() if request.output else None
    if output is not None:
        if output.suffix != ".safetensors":
            raise OutputError(f"The output '{output.name}' is no model file.", "Let its name end in .safetensors.")
        check_writable(output)
        check_overwrite(output, overwrite=request.overwrite)
    weights = Path(request.weights).expanduser() if request.weights else None
    share = 1.0 if output is None else OBTAINED
    found = obtain(
        request.model,
        lambda done, text, left: reporter.progress(min(0.999, share * done), text, left),
        reporter,
        cancelled,
        revision=request.revision,
        weights=weights,
    )
    if found.cached:
        reporter.log(f"{request.model} lies ready in the cache. Licence of the weights: {entry.manifest.licence}.")
    path = found.path
    if output is not None:
        _copy(found.path, output, request.overwrite, reporter, cancelled)
        path = output
    seconds = time.monotonic() - began
    reporter.progress(1.0, f"Done in {format_duration(seconds)}", 0.0)
    return {
        "model": str(path),
        "name": request.model,
        "licence": entry.manifest.licence,
        "sha256": found.sha256,
        "revision": found.commit,
        "bytes": path.stat().st_size,
        "cached": found.cached,
        "seconds": round(seconds, 2),
    }


def _copy(source: Path, output: Path, overwrite: bool, reporter: Reporter, cancelled: threading.Event) -> None:
    size = source.stat().st_size
    with StagedOutput(output, overwrite=overwrite) as staged:
        target = staged.path(output.name)
        try:
            free = shutil.disk_usage(target.parent).free
            if free < size:
                raise OutputError(
                    f"The disk of '{output.absolute().parent}' has {free / 1e6:.0f} MB free; "
                    f"{size / 1e6:.0f} MB are needed.",
                    "Free some space, or choose a folder on another disk.",
                )
            with source.open("rb") as read, target.open("wb") as write:
                while block := read.read(COPIED_BYTES):
                    if cancelled.is_set():
                        raise Cancelled()
                    write.write(block)
                    reporter.progress(OBTAINED + (0.999 - OBTAINED) * write.tell() / size, "Writing the model file")
        except OSError as error:
            raise output_error(output.absolute(), error) from error
        staged.commit([output.name])

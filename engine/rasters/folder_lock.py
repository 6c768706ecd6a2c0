"""One run at a time in a work folder."""

from __future__ import annotations

from pathlib import Path

import filelock

from engine.errors import OutputError


def hold(folder: Path, output: Path) -> filelock.BaseFileLock:
    """Lock a work folder; the system releases it however the process ends.

    Args:
        folder: The folder; a file `lock` is made in it.
        output: What is being written by way of the folder, to be named.

    Raises:
        OutputError: Another run holds it.
        OSError: The file cannot be made.
    """
    # Not local to a thread: a store may be closed by another thread than the one that opened it.
    lock = filelock.FileLock(folder / "lock", timeout=0, thread_local=False)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise OutputError(
            f"Another run is writing '{output}' at this moment.",
            "Wait until it has ended, or choose another output.",
        ) from error
    return lock

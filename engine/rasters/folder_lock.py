"""One run at a time in a work folder."""

from __future__ import annotations

import contextlib
import os
import shutil
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


def remove_empty(folder: Path, lock: filelock.BaseFileLock) -> None:
    """Release a work folder of which nothing but the lock is left, and remove it, unless somebody else needs it.

    Args:
        folder: The folder.
        lock: Its lock; see `hold`.
    """
    if os.name != "nt":
        # Under the lock, so that no other run can begin in a folder that is about to vanish.
        (folder / "lock").unlink(missing_ok=True)
    lock.release()
    try:
        (folder / "lock").unlink(missing_ok=True)
        folder.rmdir()
    except OSError:
        # Another run has begun here meanwhile, or someone else's file lies in it: theirs to keep.
        return


def remove_whole(folder: Path, lock: filelock.BaseFileLock) -> None:
    """Remove a work folder that holds nothing of anybody else's, with all that lies in it, and release it.

    Args:
        folder: The folder.
        lock: Its lock; see `hold`.
    """
    # Under the lock: once it is released, another run may have begun here.
    for item in folder.iterdir():
        if item.is_dir():
            shutil.rmtree(item, ignore_errors=True)
        elif item.name != "lock":
            with contextlib.suppress(OSError):
                item.unlink()
    remove_empty(folder, lock)

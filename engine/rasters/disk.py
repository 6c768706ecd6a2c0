"""What went wrong when a file could not be written, in words for people."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from engine.errors import OutputError

# rasterio lets some of GDAL's errors through as they are, and has no public name for them.
WRITE_ERRORS = (OSError, RasterioError, CPLE_BaseError)

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
# Windows' own error numbers: disk full, handle disk full.
_FULL_WINDOWS = {39, 112}
# GDAL passes the system's text on, not its number.
_FULL_TEXTS = ("no space left", "file too large", "quota", "not enough space", "disk full")


def free_space(folder: Path) -> str:
    """Return the free space of the disk that holds a folder, such as `3.2 GB`, or `unknown`.

    A folder that is not there any more, or not yet, has that of the folder above it.
    """
    folder = next((place for place in (folder, *folder.parents) if place.exists()), folder)
    try:
        free = float(shutil.disk_usage(folder).free)
    except OSError:
        return "unknown"
    for unit in ("bytes", "kB", "MB", "GB"):
        if free < 1000:
            return f"{free:.0f} {unit}" if unit == "bytes" else f"{free:.1f} {unit}"
        free /= 1000
    return f"{free:.1f} TB"


def output_error(path: Path, error: BaseException) -> OutputError:
    """Return the error for people that a failed write of a file amounts to.

    Args:
        path: File that was being written; its folder is named.
        error: What Python or GDAL raised.
    """
    folder = path.parent
    # GDAL's exceptions have an errno of their own, which is not the system's.
    number = error.errno if isinstance(error, OSError) else None
    text = " ".join(str(item) for item in (error, error.__cause__, error.__context__) if item is not None)
    full = number in _FULL or getattr(error, "winerror", None) in _FULL_WINDOWS
    if full or any(part in text.lower() for part in _FULL_TEXTS):
        return OutputError(
            f"The disk is full, or a size limit is reached: nothing more can be written to '{folder}' "
            f"(free: {free_space(folder)}).",
            "Free some space or choose a folder on another disk, then run the same command again.",
        )
    if isinstance(error, PermissionError) or number in {errno.EROFS, errno.EACCES, errno.EPERM}:
        return OutputError(
            f"No permission to write '{path}'.",
            "Choose a folder that you may write to; if the file is open in another program, close it there.",
        )
    if isinstance(error, OSError) and number is not None:
        return OutputError(f"'{path}' could not be written: {error.strerror}.", "Check the folder, or choose another.")
    return OutputError(
        f"'{path}' could not be written whole (free in its folder: {free_space(folder)}).",
        "Most often the disk is full or was disconnected: check it, then run the same command again.",
    )

"""Writes small text files whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from engine.errors import OutputError


def write_whole(path: Path, text: str) -> None:
    """Write a text file, UTF-8 with Unix line ends; until it is complete an earlier file of that name stays.

    Args:
        path: The file; its folder must exist. A link is followed: what it points to is replaced.
        text: All of its content.

    Raises:
        OutputError: The file could not be written; an earlier one is as it was.
    """
    target = Path(os.path.realpath(path))
    # Beside the file, since only a rename on one disk cannot be interrupted half-way.
    part = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with part.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(target)
    except OSError as error:
        hint = "Check that the folder exists, that you may write to it and that its disk has room, or choose another."
        raise OutputError(f"'{path}' could not be written: {error.strerror or error}.", hint) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)

"""A file to which one JSON line is added for each piece of work that is finished."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Journal:
    """Append-only lines of JSON that survive the end of the process at any moment.

    A line counts once it is whole, with its line end. Whatever follows the last
    whole line (a write cut short) is cut off on opening. Not thread-safe.

    Args:
        path: The file; made when missing.

    Raises:
        OSError: The file cannot be opened, read or cut.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # Without a buffer of Python's, a line that failed cannot follow later by itself.
        self._stream = path.open("ab+", buffering=0)
        self._end = 0
        for _, end in _whole_entries(path):
            self._end = end
        if self._end < self._stream.seek(0, os.SEEK_END):
            self._stream.truncate(self._end)

    @property
    def entries(self) -> list[dict[str, Any]]:
        """All that was added, in this run and earlier ones."""
        return list(self.read())

    def read(self) -> Iterator[dict[str, Any]]:
        """Yield what `entries` holds, of a file that may be larger than the memory.

        Raises:
            OSError: The file cannot be read.
        """
        for entry, _ in _whole_entries(self._path):
            yield entry

    def append(self, entry: dict[str, Any]) -> None:
        """Add a line and wait until it is on the disk.

        Raises:
            OSError: It could not be written; the journal is then as before.
        """
        line = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        try:
            if self._stream.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._stream.fileno())
        except OSError:
            self._stream.truncate(self._end)
            raise
        self._end += len(line)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def _whole_entries(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield the entries of whole lines, each with the position behind it."""
    end = 0
    with path.open("rb") as stream:
        for line in stream:
            try:
                entry = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                entry = None
            if not isinstance(entry, dict):
                return
            end += len(line)
            yield entry, end

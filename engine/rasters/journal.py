"""A file to which one JSON line is added for each piece of work that is finished."""

from __future__ import annotations

import errno
import json
import os
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
        # Without a buffer of Python's, a line that failed cannot follow later by itself.
        self._stream = path.open("ab+", buffering=0)
        self._stream.seek(0)
        content = self._stream.readall()
        self.entries, self._end = _whole_entries(content)
        if self._end < len(content):
            self._stream.truncate(self._end)

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


def _whole_entries(content: bytes) -> tuple[list[dict[str, Any]], int]:
    entries: list[dict[str, Any]] = []
    end = 0
    for line in content.splitlines(keepends=True):
        try:
            entry = json.loads(line) if line.endswith(b"\n") else None
        except ValueError:
            entry = None
        if not isinstance(entry, dict):
            break
        entries.append(entry)
        end += len(line)
    return entries, end

"""What is known of a file that is being fetched, on disk: an interrupted download goes on from it.

In `.download/<name of the file>/`, inside the data set's folder, lie

- remote.json: address, size and version on the server, and whether all was fetched;
- tail: the end of an archive, which lists its members;
- done.jsonl: one line for each member that is in its place, or each piece that is in the file;
- <first>-<end>.part: bytes of a piece, as far as they have come.

A part's length says how far it is: nothing else has to be written for a byte to count, and the process may be killed
at any moment.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from engine.acquisition.server import RemoteFile

FOLDER = ".download"
_PART = re.compile(r"(\d+)-(\d+)\.part")
_SYNCHRONISE_SECONDS = 1.0


class FileState:
    """State of one file. `add` is safe to call from several threads.

    Args:
        folder: Its folder; made when missing.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._mutex = threading.Lock()
        self._stream: Any = None
        self._synchronised = time.monotonic()
        values = self._read_remote()
        self.remote = _remote(values)
        self.complete = bool(values.get("complete", False))
        self.done: dict[str, dict[str, Any]] = self._read_done() if self.remote else {}

    @property
    def tail(self) -> Path:
        """The end of the archive, as far as it was fetched."""
        return self.folder / "tail"

    def part(self, start: int, end: int) -> Path:
        """Return the file that holds the bytes from `start` up to `end`."""
        return self.folder / f"{start}-{end}.part"

    def begin(self, remote: RemoteFile, *, complete: bool = False) -> None:
        """Remember a version, and whether all of it is there.

        Raises:
            OSError: It could not be written.
        """
        self.remote, self.complete = remote, complete
        new = self.folder / "remote.json.partial"
        new.write_text(json.dumps({**vars(remote), "complete": complete}), encoding="utf-8")
        new.replace(self.folder / "remote.json")

    def forget(self) -> None:
        """Forget the version that was begun; what is in its place stays, and is looked at again.

        Raises:
            OSError: It could not be removed.
        """
        self.close()
        shutil.rmtree(self.folder)
        self.folder.mkdir()
        self.remote, self.complete, self.done = None, False, {}

    def add(self, key: str, values: dict[str, Any]) -> None:
        """Note that something is done; on the disk for good within a second.

        Raises:
            OSError: It could not be written.
        """
        with self._mutex:
            if self._stream is None:
                self._stream = (self.folder / "done.jsonl").open("ab", buffering=0)
            self._stream.write(json.dumps({"key": key, **values}, ensure_ascii=False).encode() + b"\n")
            self.done[key] = values
            if time.monotonic() - self._synchronised > _SYNCHRONISE_SECONDS:
                os.fsync(self._stream.fileno())
                self._synchronised = time.monotonic()

    def drop_parts(self, kept: Iterable[Path] = ()) -> None:
        """Remove parts that no piece asks for any more."""
        keep = set(kept)
        for item in self.folder.iterdir():
            if _PART.fullmatch(item.name) and item not in keep:
                item.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the list of what is done, with everything on the disk."""
        with self._mutex:
            if self._stream is not None:
                with contextlib.suppress(OSError):
                    os.fsync(self._stream.fileno())
                self._stream.close()
                self._stream = None

    def _read_remote(self) -> dict[str, Any]:
        try:
            values = json.loads((self.folder / "remote.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return values if isinstance(values, dict) else {}

    def _read_done(self) -> dict[str, dict[str, Any]]:
        path = self.folder / "done.jsonl"
        found: dict[str, dict[str, Any]] = {}
        end = 0
        try:
            content = path.read_bytes()
        except OSError:
            return found
        for line in content.splitlines(keepends=True):
            try:
                if not line.endswith(b"\n"):
                    break
                values = json.loads(line)
                found[str(values.pop("key"))] = values
            except (ValueError, AttributeError, KeyError, TypeError):
                break
            end += len(line)
        if end < len(content):
            # A line that was cut off would swallow the next one.
            os.truncate(path, end)
        return found


def _remote(values: dict[str, Any]) -> RemoteFile | None:
    try:
        return RemoteFile(
            str(values["url"]),
            int(values["size"]),
            str(values["etag"]),
            str(values["modified"]),
            bool(values["ranges"]),
        )
    except (KeyError, TypeError, ValueError):
        return None

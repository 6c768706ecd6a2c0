"""A finished file on its way into storage: it appears there whole or not at all."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from engine.errors import OutputError
from engine.remote_path import shown
from engine.storage.client import Piece, Sent, Storage

# Files up to this size go in one request. Larger ones go in parts, of which S3 takes 10,000 of at least 5 MiB.
PART = 16 * 1024 * 1024
_MOST_PARTS = 9_000
_KINDS = {
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".html": "text/html; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".xml": "application/xml",
    ".qml": "application/xml",
    ".vrt": "application/xml",
    ".json": "application/json",
    ".gpkg": "application/geopackage+sqlite3",
}


def upload(storage: Storage, file: Path, path: str, begun: Path, sent: Sent, part: int = PART) -> None:
    """Store a file; until its last byte has arrived an earlier one of that name stays.

    Args:
        storage: The storage.
        file: The finished file.
        path: Where it goes, as GDAL writes it.
        begun: Where the number of an upload in parts is noted while it runs, so that the next run can let the parts of
            one that was killed vanish.
        sent: Told of bytes that have gone; see `Storage.put`.
        part: Bytes of a part.

    Raises:
        Cancelled: It was asked to stop; nothing is left in storage.
        EngineError: It could not be stored; nothing is left in storage.
        OSError: The file on disk cannot be read.
    """
    size = file.stat().st_size
    kind = _KINDS.get(file.suffix.lower(), "application/octet-stream")
    if size <= part:
        storage.put(path, Piece(file, 0, size), kind, sent)
    else:
        _in_parts(storage, file, path, begun, sent, max(part, -(-size // _MOST_PARTS)), kind)
    arrived = storage.look(path)
    if arrived is None or arrived.size != size:
        raise OutputError(f"'{shown(path)}' did not arrive whole.", "Run the same command again: it only uploads.")


def _in_parts(storage: Storage, file: Path, path: str, begun: Path, sent: Sent, part: int, kind: str) -> None:
    size = file.stat().st_size
    number = storage.begin(path, kind)
    try:
        begun.write_text(json.dumps([path, number]), encoding="utf-8")
        parts = {
            index: storage.send_part(path, number, index, Piece(file, start, min(part, size - start)), sent)
            for index, start in enumerate(range(0, size, part), 1)
        }
        storage.complete(path, number, parts)
    except BaseException:
        if storage.abort(path, number):
            begun.unlink(missing_ok=True)
        raise
    begun.unlink()


def abort_begun(storage: Storage, begun: Path) -> None:
    """Let the parts vanish that an upload which was killed has left in storage."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        path, number = json.loads(begun.read_text(encoding="utf-8"))
        if storage.abort(path, number):
            begun.unlink()


def check_permission(storage: Storage, path: str) -> None:
    """Check that a file could be stored, by an upload that is begun and dropped.

    Raises:
        EngineError: It could not: no credentials, no permission, no bucket, no server.
    """
    storage.abort(path, storage.begin(path, "application/octet-stream"))

"""What many raster files say of themselves: read by several threads, once, and kept between runs."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import rasterio
from affine import Affine
from rasterio.crs import CRS

from engine.cache import cache_folder
from engine.events import Reporter
from engine.rasters.coverage import is_complete
from engine.rasters.file_stamps import Stamp, stamps_of
from engine.rasters.parallel import each
from engine.rasters.raster_file import RasterFile, configure_gdal, describe, description_of, open_dataset

FEW = 16
"""So many files are read without a cache: that takes no longer than looking them up."""
# One that an older or newer version of this module kept is read anew.
_FORMAT = 1
_PIECE = 64
_LOOKED_UP_AT_ONCE = 500
_NEVER = threading.Event()


def describe_all(
    paths: Sequence[str], reporter: Reporter, cancelled: threading.Event | None = None
) -> list[RasterFile]:
    """Return what files say of themselves, in their order.

    Headers are kept in the user's cache. One counts for as long as size and time of the file and of all that lies
    beside it under its name (.aux.xml, .msk, .ovr, world files) are the same.

    Args:
        paths: Paths as GDAL takes them.
        reporter: Receives progress.
        cancelled: Set to stop.

    Raises:
        Cancelled: `cancelled` was set.
        InputError: See `describe`.
    """
    if len(paths) <= FEW:
        return [describe(path) for path in paths]
    stamps = stamps_of(paths)
    with _Cache(cache_folder() / "headers.sqlite") as cache:
        known = cache.find(stamps)
        missing = [path for path in stamps if path not in known]
        for files in _read(missing, len(stamps), reporter, cancelled or _NEVER):
            cache.keep(files, stamps)
            known.update((file.path, file) for file in files)
    return [known[path] for path in paths]


def _read(
    paths: Sequence[str], total: int, reporter: Reporter, cancelled: threading.Event
) -> Iterator[list[RasterFile]]:
    began = time.monotonic()
    done = 0
    pieces = (paths[start : start + _PIECE] for start in range(0, len(paths), _PIECE))
    for piece, files in each(_described, pieces, cancelled):
        done += len(piece)
        left = (time.monotonic() - began) / done * (len(paths) - done)
        reporter.progress(0.0, f"Reading headers: {total - len(paths) + done:,} of {total:,} images", left)
        yield files


def _described(paths: Sequence[str]) -> list[RasterFile]:
    configure_gdal()
    # Otherwise an environment is made and dropped for each file.
    with rasterio.Env():
        return [_with_blocks(path) for path in paths]


def _with_blocks(path: str) -> RasterFile:
    with open_dataset(path) as dataset:
        file = description_of(path, dataset)
        # The same from whichever folder the cache is used.
        parts = tuple(_absolute(part) for part in file.parts)
        crs = _crs(file.crs.to_wkt()) if file.crs else None
        return replace(file, crs=crs, parts=parts, complete=is_complete(file, dataset))


class _Cache:
    """Headers in a SQLite file of the user's cache; where that cannot be used, there is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database: sqlite3.Connection | None = None

    def __enter__(self) -> _Cache:
        with contextlib.suppress(sqlite3.Error, OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            database = sqlite3.connect(self._path, timeout=2.0)
            # Nothing is lost that could not be read again.
            database.execute("PRAGMA synchronous = OFF")
            database.execute("CREATE TABLE IF NOT EXISTS headers (path TEXT PRIMARY KEY, stamp TEXT, header TEXT)")
            self._database = database
        return self

    def __exit__(self, *error: object) -> None:
        if self._database is not None:
            with contextlib.suppress(sqlite3.Error):
                self._database.commit()
                self._database.close()

    def find(self, stamps: Mapping[str, Stamp]) -> dict[str, RasterFile]:
        """Return the headers that still count, by path."""
        found: dict[str, RasterFile] = {}
        if self._database is None:
            return found
        paths = [path for path, stamp in stamps.items() if stamp]
        with contextlib.suppress(sqlite3.Error, ValueError, TypeError, KeyError):
            for start in range(0, len(paths), _LOOKED_UP_AT_ONCE):
                piece = {_absolute(path): path for path in paths[start : start + _LOOKED_UP_AT_ONCE]}
                marks = ",".join("?" * len(piece))
                # Question marks are all that is put into the text.
                query = f"SELECT path, stamp, header FROM headers WHERE path IN ({marks})"  # nosec B608
                for key, stamp, header in self._database.execute(query, list(piece)):
                    path = piece[key]
                    if stamp == _stamp_text(stamps[path]):
                        found[path] = _from_json(path, header)
        return found

    def keep(self, files: Sequence[RasterFile], stamps: Mapping[str, Stamp]) -> None:
        """Keep headers; those of files that are not on disk, or consist of others, are read each time."""
        if self._database is None:
            return
        lines = [
            (_absolute(file.path), _stamp_text(stamps[file.path]), _to_json(file))
            for file in files
            if stamps[file.path] and file.driver != "VRT"
        ]
        with contextlib.suppress(sqlite3.Error):
            self._database.executemany("INSERT OR REPLACE INTO headers VALUES (?, ?, ?)", lines)
            self._database.commit()


def _absolute(path: str) -> str:
    return str(Path(path).absolute())


def _stamp_text(stamp: Stamp) -> str:
    return json.dumps([_FORMAT, stamp], separators=(",", ":"))


def _to_json(file: RasterFile) -> str:
    values = {item.name: getattr(file, item.name) for item in fields(file) if item.name != "path"}
    values["crs"] = file.crs.to_wkt() if file.crs else None
    values["transform"] = list(file.transform[:6])
    return json.dumps(values, separators=(",", ":"))


def _from_json(path: str, text: str) -> RasterFile:
    values: dict[str, Any] = json.loads(text)
    values = {key: _shared(tuple(item)) if isinstance(item, list) else item for key, item in values.items()}
    values["crs"] = _crs(values["crs"])
    values["transform"] = Affine(*values["transform"])
    return RasterFile(path=path, **values)


def _shared(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return one tuple for all that are equal: files of one kind say the same of bands and types."""
    return _known_tuple(values, tuple(type(value) for value in values)) if len(values) < 5 else values


@lru_cache(maxsize=1024)
def _known_tuple(values: tuple[Any, ...], kinds: tuple[type, ...]) -> tuple[Any, ...]:
    return values


@lru_cache(maxsize=64)
def _crs(wkt: str | None) -> CRS | None:
    return CRS.from_wkt(wkt) if wkt else None

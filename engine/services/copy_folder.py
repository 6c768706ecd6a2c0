"""Where copies of services are kept between runs.

    CACHE/services/HASH/plan.json          what was asked for, how, and when
                        2048_0.tif         a piece, by its first row and column
                        2048_2048.none     a piece of which the service has nothing, and why
                        NAME.vrt           the whole, once all pieces are there

A copy is used for 30 days. All copies together take 20 GB at most: those that were not used for longest go first, never
one that was used within a day.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rasterio

from engine.cache import VARIABLE, cache_folder
from engine.errors import OutputError
from engine.rasters.disk import WRITE_ERRORS, output_error
from engine.rasters.staged_output import synchronise
from engine.rasters.windows import PixelWindow
from engine.services.answers import Piece
from engine.services.capabilities import Plan
from engine.text_file import write_whole

DAYS = 30
LARGEST_BYTES = 20_000_000_000
_DAY = 86400.0
_PLAN = "plan.json"


@dataclass
class CopyFolder:
    """The pieces of one copy.

    Args:
        path: Its folder.
        what: What was asked for, as JSON values without secrets.
    """

    path: Path
    what: dict[str, Any]

    @classmethod
    def of(cls, what: dict[str, Any]) -> CopyFolder:
        """Return the folder of what is asked for, after outdated copies and too many of them are removed.

        Raises:
            OutputError: The cache cannot be written.
        """
        digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:24]
        everything = cache_folder() / "services"
        path = everything / digest
        try:
            _prune(everything, path)
            path.mkdir(parents=True, exist_ok=True)
            (path / "used").touch()
        except OSError as error:
            raise OutputError(
                f"The cache folder '{everything}' cannot be written: {error.strerror}.",
                f"Set the environment variable {VARIABLE} to a folder that can.",
            ) from error
        return cls(path, what)

    def plan(self) -> Plan | None:
        """Return how the service was asked so far; None for a new copy."""
        try:
            values = json.loads((self.path / _PLAN).read_text(encoding="utf-8"))
            return Plan(int(values["side"]), str(values["format"]), str(values["constraints"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def begin(self, plan: Plan) -> None:
        """Remember how the service is asked, and that the copy begins now.

        Raises:
            OutputError: It cannot be written.
        """
        values = {"side": plan.side, "format": plan.format, "constraints": plan.constraints, "what": self.what}
        try:
            for item in self.path.iterdir():
                if item.suffix in (".tif", ".none", ".vrt", ".partial"):
                    item.unlink(missing_ok=True)
            write_whole(self.path / _PLAN, json.dumps(values, indent=1))
        except OSError as error:
            raise output_error(self.path / _PLAN, error) from error

    def has(self, window: PixelWindow) -> bool:
        """Return whether a piece is there."""
        return self.file(window).is_file() or self._none(window).is_file()

    def file(self, window: PixelWindow) -> Path:
        """Return the file of a piece, which may not exist."""
        return self.path / f"{window.row}_{window.column}.tif"

    def add(self, window: PixelWindow, piece: Piece) -> None:
        """Keep a piece; safe to call from several threads.

        Raises:
            OutputError: It cannot be written.
        """
        target = self.file(window)
        partial = target.with_name(f".{target.stem}.{os.getpid()}.partial")
        try:
            if piece.pixels is None:
                write_whole(self._none(window), piece.reason)
                return
            with rasterio.open(
                partial, "w", driver="GTiff", width=window.width, height=window.height, count=len(piece.pixels),
                dtype=piece.pixels.dtype, tiled=True, blockxsize=256, blockysize=256, compress="deflate", zlevel=1,
                interleave="pixel" if piece.pixels.dtype == "uint8" else "band",
            ) as dataset:  # fmt: skip
                dataset.write(piece.pixels)
            synchronise(partial)
            partial.replace(target)
        except WRITE_ERRORS as error:
            partial.unlink(missing_ok=True)
            raise output_error(target, error) from error

    def reasons(self) -> Counter[str]:
        """Return how many pieces hold nothing, by reason."""
        return Counter(item.read_text(encoding="utf-8").strip() for item in self.path.glob("*.none"))

    def _none(self, window: PixelWindow) -> Path:
        return self.path / f"{window.row}_{window.column}.none"


def _prune(everything: Path, kept: Path) -> None:
    if not everything.is_dir():
        return
    now = time.time()
    found = []
    for folder in everything.iterdir():
        begun = _changed(folder / _PLAN) or _changed(folder)
        if now - begun > DAYS * _DAY:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            found.append((_changed(folder / "used") or begun, folder))
    sizes = {folder: sum(item.stat().st_size for item in folder.glob("*") if item.is_file()) for _, folder in found}
    total = sum(sizes.values())
    for used, folder in sorted(found):
        if total <= LARGEST_BYTES or now - used < _DAY:
            return
        if folder != kept:
            shutil.rmtree(folder, ignore_errors=True)
            total -= sizes[folder]


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0

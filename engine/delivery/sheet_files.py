"""Finished sheets in the work folder, with a journal: they outlive the end of the process and are not made again."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import rasterio
from rasterio.windows import Window

from engine.errors import Cancelled
from engine.nomenclature import Nomenclature
from engine.rasters.class_raster import class_dressing
from engine.rasters.cog import Cancel, write_cog
from engine.rasters.disk import output_error
from engine.rasters.journal import Journal
from engine.rasters.sheets import Sheet
from engine.rasters.staged_output import synchronise
from engine.rasters.style import class_aux_xml, class_qml
from engine.rasters.tile_file import count_codes
from engine.rasters.tile_store import CLASSES, TileStore
from engine.rasters.virtual_raster import PlacedFile
from engine.rasters.windows import PixelWindow

_PIECE = 2048
# Pixels of a sheet that is written in a moment.
_SMALL = 1_000_000


@dataclass(frozen=True)
class FinishedSheet:
    """A line of the journal.

    Args:
        name: The sheet.
        sha256: Checksum of its GeoTIFF; empty when no pixel of it is classified and it has no file.
        classes: Pixels by class code.
        told: What else is kept for the index.
    """

    name: str
    sha256: str
    classes: Mapping[int, int]
    told: Mapping[str, Any]

    @property
    def pixels(self) -> int:
        """Classified pixels."""
        return sum(self.classes.values())


class SheetFiles:
    """The files of a run's sheets; `write` is safe to call from several threads.

    Args:
        store: Tiles of the run; sheets lie in its folder.
        output: The mosaic over the sheets (.vrt), to be named.
        sheet_size: Side of a sheet in units of the CRS; sheets of another are dropped.
        nomenclature: Classes with names and colours.
        tags: Metadata to keep in each sheet.

    Raises:
        OutputError: The work folder cannot be written.
    """

    def __init__(
        self, store: TileStore, output: Path, sheet_size: float, nomenclature: Nomenclature, tags: Mapping[str, str]
    ) -> None:
        self.folder = store.folder / "sheets"
        self._store = store
        self._output = output
        self._work = store.folder / "sheets.work"
        self._dressing = class_dressing(nomenclature, tags)
        self._companions = {".tif.aux.xml": class_aux_xml(nomenclature), ".qml": class_qml(nomenclature)}
        self._mutex = threading.Lock()
        path = store.folder / "sheets.jsonl"
        try:
            shutil.rmtree(self._work, ignore_errors=True)
            self._work.mkdir()
            self._journal = Journal(path)
            if self._journal.entries[:1] != [{"sheet_size": sheet_size}]:
                self._journal.close()
                path.unlink()
                shutil.rmtree(self.folder, ignore_errors=True)
                self._journal = Journal(path)
                self._journal.append({"sheet_size": sheet_size})
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise output_error(output.absolute(), error) from error

    def sound(self, cancelled: threading.Event) -> Iterator[FinishedSheet]:
        """Yield the sheets that an earlier run finished and whose files are all there, unchanged.

        Raises:
            Cancelled: `cancelled` was set.
        """
        latest = {str(entry["sheet"]): _of_entry(entry) for entry in self._journal.entries[1:]}
        with ThreadPoolExecutor(4) as pool:
            for sheet, good in zip(latest.values(), pool.map(self._is_sound, latest.values()), strict=True):
                if cancelled.is_set():
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise Cancelled
                if good:
                    yield sheet

    def write(
        self, sheet: Sheet, tiles: list[PixelWindow], told: Mapping[str, Any], cancelled: Cancel
    ) -> FinishedSheet:
        """Write a sheet, whole or not at all; once this returns it survives the end of the process.

        Args:
            sheet: The sheet; a file like that of `write_class_raster`, or none where no pixel is classified.
            tiles: All tiles that touch it, stored.
            told: What to keep with it, as JSON values.
            cancelled: Asked about ten times a second.

        Raises:
            Cancelled: `cancelled` said so.
            OutputError: It could not be written.
        """
        grid, work = self._store.grid.part(sheet.window), self._work / sheet.name
        path = work / f"{sheet.name}.tif"
        try:
            work.mkdir(exist_ok=True)
            placed = [_moved(tile, sheet.window) for tile in self._store.placed(CLASSES, tiles)]
            made = write_cog(
                path,
                self._output,
                grid,
                self._store.layers[CLASSES],
                placed,
                self._dressing,
                "mode",
                lambda share: None,
                cancelled,
                skip_empty=True,
                at_once=sheet.window.pixels < _SMALL,
            )
            finished = FinishedSheet(sheet.name, "", {}, told)
            if made:
                finished = replace(finished, sha256=_sha256(path), classes=_classes(path))
                for ending, text in self._companions.items():
                    (work / f"{sheet.name}{ending}").write_text(text, encoding="utf-8", newline="\n")
                synchronise(work)
                for ending in (*self._companions, ".tif"):
                    (work / f"{sheet.name}{ending}").replace(self.folder / f"{sheet.name}{ending}")
            with self._mutex:
                self._journal.append(_to_entry(finished))
        except OSError as error:
            raise output_error(self._output.absolute(), error) from error
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return finished

    def close(self) -> None:
        """Close the journal; the sheets stay for a later run."""
        self._journal.close()

    def _is_sound(self, sheet: FinishedSheet) -> bool:
        path = self.folder / f"{sheet.name}.tif"
        if not sheet.sha256:
            return True
        try:
            whole = all(path.with_name(f"{sheet.name}{ending}").is_file() for ending in self._companions)
            return whole and _sha256(path) == sheet.sha256
        except OSError:
            return False


def _moved(tile: PlacedFile, origin: PixelWindow) -> PlacedFile:
    """Return a tile of the output grid as placed in a window of it."""
    window = tile.window
    inside = PixelWindow(window.row - origin.row, window.column - origin.column, window.height, window.width)
    return replace(tile, window=inside)


def _sha256(path: Path) -> str:
    checksum = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            checksum.update(piece)
    return checksum.hexdigest()


def _classes(path: Path) -> dict[int, int]:
    total: dict[int, int] = {}
    with rasterio.open(path) as file:
        for row in range(0, file.height, _PIECE):
            for column in range(0, file.width, _PIECE):
                size = min(_PIECE, file.width - column), min(_PIECE, file.height - row)
                for code, pixels in count_codes(file.read(1, window=Window(column, row, *size))).items():
                    total[code] = total.get(code, 0) + pixels
    return dict(sorted(total.items()))


def _to_entry(sheet: FinishedSheet) -> dict[str, Any]:
    return {"sheet": sheet.name, "sha256": sheet.sha256, "classes": dict(sheet.classes), "told": dict(sheet.told)}


def _of_entry(entry: Mapping[str, Any]) -> FinishedSheet:
    classes = {int(code): int(pixels) for code, pixels in entry["classes"].items()}
    return FinishedSheet(str(entry["sheet"]), str(entry["sha256"]), classes, entry["told"])

"""A run that delivers sheets: each is written as soon as all its tiles are stored, and shown in the index."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Protocol

from engine.delivery.sheet_files import FinishedSheet, SheetFiles
from engine.delivery.sheet_index import copy_index, create_index, index_path, remove_index
from engine.errors import Cancelled, EngineError
from engine.events import Reporter
from engine.nomenclature import Nomenclature
from engine.rasters.class_raster import class_dressing, stale_companions
from engine.rasters.cog import Progress
from engine.rasters.disk import output_error
from engine.rasters.pyramid import BLOCK
from engine.rasters.sheets import Place, Sheet, SheetGrid, sheets_folder
from engine.rasters.staged_output import StagedOutput
from engine.rasters.style import category_lines, class_qml
from engine.rasters.tile_store import CLASSES, TileStore
from engine.rasters.virtual_raster import PlacedFile, write_vrt
from engine.rasters.windows import PixelWindow

Within = Callable[[PixelWindow], list[PixelWindow]]
"""Returns the tiles of the run that overlap a window of the output and may hold data."""


class Stored(Protocol):
    """A tile that was stored; see `FinishedTile` of inference."""

    @property
    def window(self) -> PixelWindow:
        """Its pixels in the output."""

    @property
    def seconds(self) -> float:
        """What it took to compute."""

    @property
    def worker(self) -> str:
        """Who computed it."""


@dataclass
class _Begun:
    """A sheet of which some tiles are stored."""

    sheet: Sheet
    tiles: list[PixelWindow]
    started: datetime
    seconds: float = 0.0
    workers: dict[str, None] = field(default_factory=dict)


class SheetRun:
    """Writes the sheets of a run in the background; `stored` is called by one thread at a time.

    Args:
        store: Tiles of the run.
        output: The mosaic over the sheets (.vrt).
        grid: How the output is cut.
        sheet_size: Side of a sheet in units of the CRS.
        within: Tells the tiles of a sheet.
        nomenclature: Classes with names and colours.
        tags: Metadata to keep in each sheet and in the mosaic.
        reporter: Receives facts, and the progress of looking through sheets.
        cancelled: Set to stop.

    Raises:
        Cancelled: `cancelled` was set.
        OutputError: The index or the work folder cannot be written.
    """

    def __init__(
        self,
        *,
        store: TileStore,
        output: Path,
        grid: SheetGrid,
        sheet_size: float,
        within: Within,
        nomenclature: Nomenclature,
        tags: Mapping[str, str],
        reporter: Reporter,
        cancelled: threading.Event,
    ) -> None:
        self._store, self._output, self._grid, self._within = store, output, grid, within
        self._nomenclature, self._tags = nomenclature, tags
        self._reporter, self._cancelled = reporter, cancelled
        self._replaced = store.folder / "replaced.gpkg"
        self._index_path = index_path(output)
        self._sheets: dict[str, Sheet] = {}
        self._begun: dict[Place, _Begun] = {}
        self._finished: dict[str, FinishedSheet] = {}
        self._closed: set[str] = set()
        self._writes: list[Future[None]] = []
        self._failure: EngineError | None = None
        self._mutex = threading.Lock()
        self._abandoned = threading.Event()
        complete, tiles, running = self._survey()
        self._files = SheetFiles(store, output, sheet_size, nomenclature, tags)
        try:
            earlier = {sheet.name: sheet for sheet in self._files.sound(cancelled)}
            self._keep_replaced()
            self._index = create_index(self._index_path, store.grid, list(self._sheets.values()), tiles)
        except BaseException:
            self._files.close()
            raise
        self._pool = ThreadPoolExecutor(max(1, min(4, (os.cpu_count() or 1) // 4)), thread_name_prefix="sheet")
        for name, done in running.items():
            self._index.note(name, state="running", tiles_done=done)
        for begun in complete:
            self._closed.add(begun.sheet.name)
            known = earlier.get(begun.sheet.name)
            if known is not None:
                self._note_finished(known, len(begun.tiles))
            else:
                self._submit(begun)
        if self._finished:
            reporter.log(f"{len(self._finished)} of {len(self._sheets)} sheets are there already.")

    def stored(self, tile: Stored) -> None:
        """Take note of a stored tile, and begin to write the sheets that are complete with it.

        Raises:
            OutputError: A sheet could not be written.
        """
        self._raise_failure()
        for place in self._grid.touched(tile.window):
            begun = self._begun.get(place)
            if begun is None:
                sheet = self._grid.sheet(place)
                if sheet.name not in self._sheets or sheet.name in self._closed:
                    # A worker that was given up may answer after all.
                    continue
                started = datetime.now(timezone.utc) - timedelta(seconds=tile.seconds)
                begun = self._begun[place] = _Begun(sheet, self._within(sheet.window), started)
            inside = tile.window.intersection(begun.sheet.window).pixels
            begun.seconds += tile.seconds * inside / tile.window.pixels
            begun.workers[tile.worker] = None
            done = sum(item in self._store for item in begun.tiles)
            self._index.note(
                begun.sheet.name,
                state="running",
                tiles_done=done,
                started=begun.started,
                seconds=round(begun.seconds, 3),
                worker=_names(begun.workers),
            )
            if done == len(begun.tiles):
                del self._begun[place]
                self._closed.add(begun.sheet.name)
                self._submit(begun)

    def finish(self, *, overwrite: bool, progress: Progress) -> dict[str, Any]:
        """Wait for the last sheets and deliver them: `<stem>_sheets/` and the mosaic appear together, or neither.

        Args:
            overwrite: Whether an existing mosaic and its sheets may be replaced.
            progress: Called with the share done, 0 to 1.

        Returns:
            `sheets`, their number, and `index`, the path of the index.

        Raises:
            Cancelled: The run was cancelled.
            OutputError: A sheet or the mosaic could not be written.
        """
        waiting = set(self._writes)
        while waiting:
            waiting = wait(waiting, timeout=0.1).not_done
            self._raise_failure()
            if self._cancelled.is_set():
                raise Cancelled
            progress(1 - len(waiting) / len(self._writes))
        folder = sheets_folder(self._output).name
        written = [sheet for sheet in self._finished.values() if sheet.sha256]
        with StagedOutput(self._output, overwrite=overwrite) as staged:
            placed = sorted(
                (
                    PlacedFile(staged.path(f"{folder}/{item.name}.tif"), self._sheets[item.name].window, (BLOCK, BLOCK))
                    for item in written
                ),
                key=lambda item: item.window,
            )
            dressing = class_dressing(self._nomenclature, self._tags)
            categories = category_lines(self._nomenclature, indent="    ")
            dressing = replace(dressing, band_lines=[*dressing.band_lines, *categories])
            try:
                write_vrt(
                    staged.path(self._output.name), self._store.grid, self._store.layers[CLASSES], placed, dressing
                )
            except OSError as error:
                raise output_error(self._output.absolute(), error) from error
            style = self._output.with_suffix(".qml").name
            staged.write_text(style, class_qml(self._nomenclature))
            staged.commit(
                [folder, style, self._output.name],
                stale=[f"{self._output.name}.aux.xml", *stale_companions(self._output.name)],
                elsewhere={folder: self._files.folder},
            )
        self._deliver(folder, written)
        return {"sheets": len(written), "index": str(self._index_path)}

    def abandon(self, error: BaseException, *, kept: bool) -> None:
        """End after a failure; an index of an earlier delivery returns to its place.

        Args:
            error: Why.
            kept: Whether tiles and finished sheets stay for a later run; otherwise the index of this one goes too.
        """
        self._abandoned.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        state = "waiting" if isinstance(error, Cancelled) else "failed"
        unfinished = {begun.sheet.name for begun in self._begun.values()} | (self._closed - set(self._finished))
        for name in unfinished:
            self._index.note(name, state=state)
        restored = self._replaced if self._replaced.exists() else None
        problem = self._index.close(restored)
        self._files.close()
        try:
            if restored is not None and problem is None:
                restored.unlink()
            elif restored is None and not kept:
                remove_index(self._index_path)
        except OSError as error_:
            problem = str(error_)
        if problem:
            self._reporter.warning(f"The index '{self._index_path}' is that of the run that failed: {problem}.")

    def _survey(self) -> tuple[list[_Begun], list[int], dict[str, int]]:
        """Return the sheets whose tiles are all stored, how many tiles each sheet has, and how many are stored."""
        complete: list[_Begun] = []
        counts: list[int] = []
        running: dict[str, int] = {}
        now = datetime.now(timezone.utc)
        rows, columns = len(self._grid.row_edges) - 1, len(self._grid.column_edges) - 1
        for row in range(rows):
            if self._cancelled.is_set():
                raise Cancelled
            for column in range(columns):
                sheet = self._grid.sheet((row, column))
                tiles = self._within(sheet.window)
                if not tiles:
                    continue
                self._sheets[sheet.name] = sheet
                counts.append(len(tiles))
                done = sum(tile in self._store for tile in tiles)
                if done == len(tiles):
                    complete.append(_Begun(sheet, tiles, now))
                elif done:
                    running[sheet.name] = done
        return complete, counts, running

    def _keep_replaced(self) -> None:
        """Keep a copy of the index of an earlier delivery, which stays what it was if this run fails."""
        try:
            if not self._output.exists():
                self._replaced.unlink(missing_ok=True)
            elif self._index_path.exists() and not self._replaced.exists():
                copy_index(self._index_path, self._replaced)
        except OSError as error:
            raise output_error(self._index_path, error) from error

    def _submit(self, begun: _Begun) -> None:
        self._writes.append(self._pool.submit(self._write, begun))

    def _write(self, begun: _Begun) -> None:
        if self._failure is not None or self._stopped():
            return
        told = {
            "started": begun.started.isoformat(timespec="milliseconds"),
            "finished": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            "seconds": round(begun.seconds, 3),
            "worker": _names(begun.workers),
        }
        try:
            finished = self._files.write(begun.sheet, begun.tiles, told, self._stopped)
        except Cancelled:
            return
        except EngineError as error:
            self._index.note(begun.sheet.name, state="failed")
            self._failure = error
        else:
            self._note_finished(finished, len(begun.tiles))

    def _note_finished(self, sheet: FinishedSheet, tiles: int) -> None:
        with self._mutex:
            self._finished[sheet.name] = sheet
        told = {**sheet.told}
        for name in ("started", "finished"):
            told[name] = datetime.fromisoformat(told[name])
        if sheet.sha256:
            path = self._files.folder / f"{sheet.name}.tif"
            told["location"] = path.relative_to(self._index_path.parent).as_posix()
        self._index.note(
            sheet.name,
            **told,
            state="done" if sheet.sha256 else "empty",
            tiles_done=tiles,
            pixels=sheet.pixels,
            classes=json.dumps({str(code): pixels for code, pixels in sheet.classes.items()}),
            sha256=sheet.sha256 or None,
        )

    def _deliver(self, folder: str, written: list[FinishedSheet]) -> None:
        for sheet in written:
            self._index.note(sheet.name, location=f"{folder}/{sheet.name}.tif")
        self._pool.shutdown(wait=True)
        problem = self._index.close()
        if problem:
            self._reporter.warning(f"The index '{self._index_path}' could not be brought up to date: {problem}.")
        self._files.close()
        self._replaced.unlink(missing_ok=True)

    def _stopped(self) -> bool:
        return self._cancelled.is_set() or self._abandoned.is_set()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure


def _names(workers: Mapping[str, None]) -> str:
    names = list(workers)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

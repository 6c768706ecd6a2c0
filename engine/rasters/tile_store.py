"""Finished tiles on disk, with a journal: what makes an interrupted run go on where it was.

In `.<output name>.flair-work/` lie

- store.json: format, fingerprint of the run, grid, layers, the caller's plan;
- journal.jsonl: one line per finished tile: window; sizes and checksums, or that it is empty;
- tiles/<layer>/: one small GeoTIFF per tile that is not empty;
- shared/: what other processes that compute tiles need to know;
- sheets/ and sheets.jsonl: finished sheets, where the output has some (see `delivery`);
- lock: held by the running process, released by the system however that ends.
"""

from __future__ import annotations

import shutil
import threading
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import filelock
import numpy.typing as npt

from engine.errors import OutputError
from engine.events import Reporter
from engine.rasters.disk import output_error
from engine.rasters.folder_lock import hold, remove_empty
from engine.rasters.journal import Journal
from engine.rasters.store_manifest import new_manifest, read_manifest, reason_to_start_anew, write_manifest
from engine.rasters.tile_file import block_side
from engine.rasters.tile_index import Files, TileIndex
from engine.rasters.tile_writer import CLASSES, TileWriter, tile_path
from engine.rasters.virtual_raster import Layer, OutputGrid, PlacedFile, write_vrt
from engine.rasters.windows import PixelWindow

__all__ = ["CLASSES", "TileStore", "OutputGrid", "Layer", "work_folder"]

# What the processes that work on one store tell each other.
SHARED = "shared"
_SUFFIX = ".flair-work"
_CHECKED_AT_ONCE = 4096
_FILES = ("store.json", "store.json.new", "journal.jsonl", "sheets.jsonl")


def work_folder(output: Path) -> Path:
    """Return the folder in which the tiles of an output are kept until it is complete."""
    return output.absolute().with_name(f".{output.name}{_SUFFIX}")


class TileStore:
    """Tiles of one run. Made by `open`; `write` is safe to call from several threads."""

    def __init__(
        self,
        folder: Path,
        grid: OutputGrid,
        layers: Sequence[Layer],
        manifest: dict[str, Any],
        lock: filelock.BaseFileLock,
    ) -> None:
        self.folder = folder
        self.grid = grid
        self._writer = TileWriter(folder, grid, layers)
        self.layers = self._writer.layers
        self._manifest = manifest
        self._lock = lock
        self._mutex = threading.Lock()
        self._journal = Journal(folder / "journal.jsonl")
        self._index = TileIndex(list(self.layers))
        self._counts: Counter[int] = Counter()
        self._take_over()

    @classmethod
    def open(
        cls,
        folder: Path,
        fingerprint: Mapping[str, Any],
        grid: OutputGrid,
        layers: Sequence[Layer],
        *,
        resume: bool,
        reporter: Reporter,
    ) -> TileStore:
        """Open the store of a run: the one that an interrupted run left, or a new one.

        Args:
            folder: Work folder, see `work_folder`; made when missing.
            fingerprint: Everything that decides the pixels, as JSON values. With another one the store starts anew.
            grid: The output's grid.
            layers: What is stored for each tile.
            resume: Whether to go on with what is there.
            reporter: Is told what is taken over, and why it is not.

        Raises:
            OutputError: Another run holds the store, or the folder cannot be written.
        """
        try:
            folder.mkdir(exist_ok=True)
            lock = hold(folder, folder.with_name(folder.name.removeprefix(".").removesuffix(_SUFFIX)))
        except OSError as error:
            raise output_error(folder, error) from error
        try:
            manifest = new_manifest(fingerprint, grid, layers)
            earlier = read_manifest(folder)
            reason = reason_to_start_anew(folder, earlier, manifest, resume)
            if earlier is None or reason is not None:
                if reason:
                    reporter.log(reason)
                _clear(folder)
                write_manifest(folder, manifest)
            else:
                manifest = earlier
            store = cls(folder, grid, layers, manifest, lock)
        except OSError as error:
            lock.release()
            raise output_error(folder, error) from error
        except BaseException:
            lock.release()
            raise
        if store.tile_count:
            reporter.log(f"Going on with an interrupted run: {store.tile_count} tiles are there already.")
        return store

    @property
    def done(self) -> frozenset[PixelWindow]:
        """Tiles that are stored, empty ones included."""
        with self._mutex:
            return frozenset(self._index.windows())

    @property
    def tile_count(self) -> int:
        """How many tiles are stored."""
        with self._mutex:
            return len(self._index)

    @property
    def plan(self) -> dict[str, Any] | None:
        """What `save_plan` stored, in this run or in the one that this goes on with."""
        plan: dict[str, Any] | None = self._manifest["plan"]
        return plan

    def save_plan(self, plan: Mapping[str, Any]) -> None:
        """Keep values that a resumed run needs, such as the sizes chosen by the memory at hand.

        Raises:
            OutputError: The folder cannot be written.
        """
        manifest = {**self._manifest, "plan": dict(plan)}
        try:
            write_manifest(self.folder, manifest)
        except OSError as error:
            raise output_error(self.folder, error) from error
        self._manifest = manifest

    def __contains__(self, tile: PixelWindow) -> bool:
        """Return whether a tile is stored, the empty ones included."""
        with self._mutex:
            return tile in self._index

    def write(self, tile: PixelWindow, arrays: Mapping[str, npt.NDArray[Any]] | None) -> None:
        """Store a finished tile; once this returns it survives the end of the process.

        Args:
            tile: Window inside the grid.
            arrays: See `TileWriter.write`.

        Raises:
            OutputError: The disk is full or the folder cannot be written; the tile is then not stored.
            ValueError: An array does not fit its layer or the tile, or a layer is missing.
        """
        try:
            self.record(self._writer.write(tile, arrays))
        except OutputError:
            if tile not in self:
                self._writer.discard(tile)
            raise

    def record(self, entry: Mapping[str, Any]) -> None:
        """Count a tile as stored whose files were written by a `TileWriter`, of this process or another.

        Args:
            entry: What the writer returned.

        Raises:
            OutputError: The journal cannot be written.
        """
        tile, files, counts = _of_entry(entry)
        try:
            with self._mutex:
                known = self._index.files(tile)
                if known == files:
                    # A worker that was given up may answer after all; its line is there already.
                    return
                earlier = self._counts_of(tile, known)
                self._journal.append(dict(entry))
                self._put(tile, files, counts, earlier)
        except OSError as error:
            raise output_error(self.folder, error) from error

    def placed(self, layer: str, among: Iterable[PixelWindow] | None = None) -> list[PlacedFile]:
        """Return the files of a layer in the grid, by row and column; empty tiles have none.

        Args:
            layer: Name of the layer.
            among: Tiles that are wanted; default: all.
        """
        with self._mutex:
            if among is None:
                windows = list(self._index.windows(layer))
            else:
                windows = sorted(tile for tile in among if layer in (self._index.files(tile) or {}))
        return [
            PlacedFile(tile_path(self.folder, layer, tile), tile, (block_side(tile), block_side(tile)))
            for tile in windows
        ]

    def stored_bytes(self, layer: str) -> int:
        """Return the size of a layer's files, compressed."""
        with self._mutex:
            return self._index.stored_bytes(layer)

    def counts(self) -> dict[int, int]:
        """Return the pixels by class code, nodata left out, of all tiles stored."""
        with self._mutex:
            return {code: pixels for code, pixels in sorted(self._counts.items()) if pixels}

    def mosaic(self, layer: str) -> Path:
        """Write a VRT over a layer's tiles and return its path; nodata where there is no tile.

        Raises:
            OutputError: The folder cannot be written.
        """
        path = self.folder / f"{layer}.vrt"
        try:
            write_vrt(path, self.grid, self.layers[layer], self.placed(layer))
        except OSError as error:
            raise output_error(path, error) from error
        return path

    def close(self) -> None:
        """Release the store; the tiles stay for a later run."""
        self._journal.close()
        self._lock.release()

    def remove(self) -> None:
        """Remove the store and its folder, and release it; for when the outputs are complete."""
        self._journal.close()
        _clear(self.folder)
        remove_empty(self.folder, self._lock)

    def _take_over(self) -> None:
        """Count the tiles of the journal whose files are all there, unchanged."""
        for name in self.layers:
            (self.folder / "tiles" / name).mkdir(parents=True, exist_ok=True)
        entries = map(_of_entry, self._journal.read())
        with ThreadPoolExecutor(4) as pool:
            # By parts: a pool is given all at once, and a journal may hold ten million.
            while part := list(islice(entries, _CHECKED_AT_ONCE)):
                sound = pool.map(lambda item: self._is_sound(item[0], item[1]), part)
                for (tile, files, counts), good in zip(part, sound, strict=True):
                    known = self._index.files(tile)
                    if good and known != files:
                        self._put(tile, files, counts, self._counts_of(tile, known))

    def _put(self, tile: PixelWindow, files: Files, counts: Mapping[int, int], earlier: Mapping[int, int]) -> None:
        self._index.put(tile, files)
        self._counts.update(counts)
        self._counts.subtract(earlier)

    def _counts_of(self, tile: PixelWindow, known: Files | None) -> Mapping[int, int]:
        """Return what is counted of a tile with its files, by the journal, which is only read for tiles that change."""
        found: Mapping[int, int] = {}
        if known is None:
            return found
        for window, files, counts in map(_of_entry, self._journal.read()):
            if window == tile and files == known:
                found = counts
        return found

    def _is_sound(self, tile: PixelWindow, files: Files) -> bool:
        for name, (crc, size) in files.items():
            try:
                content = tile_path(self.folder, name, tile).read_bytes()
            except OSError:
                return False
            if len(content) != size or zlib.crc32(content) != crc:
                return False
        return True


def _of_entry(entry: Mapping[str, Any]) -> tuple[PixelWindow, Files, Mapping[int, int]]:
    """Return a line's tile, its files, and its pixels by class code."""
    files = {str(name): (int(crc), int(size)) for name, (crc, size) in entry.get("files", {}).items()}
    counts = {int(code): int(pixels) for code, pixels in entry.get("counts", {}).items()}
    return PixelWindow(*entry["window"]), files, counts


def _clear(folder: Path) -> None:
    """Remove what a store has made, and nothing else."""
    for name in ("tiles", "sheets", "sheets.work", SHARED):
        shutil.rmtree(folder / name, ignore_errors=True)
    for file in [*(folder / name for name in _FILES), *folder.glob("*.vrt")]:
        file.unlink(missing_ok=True)

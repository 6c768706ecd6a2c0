"""Reading, predicting and writing tiles, all at the same time and in bounded memory."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import Cancelled
from engine.inference.tile_loading import LoadedTile, TileLoader
from engine.inference.window_classifier import WindowClassifier
from engine.rasters.plan import Tile

READERS = 2
PERCENT_NODATA = 255

Arrays = Mapping[str, npt.NDArray[np.uint8]]
Write = Callable[[Tile, Arrays | None, float], Any]
"""Keeps a tile's arrays by layer, None for a tile without a valid pixel; told the seconds that it took to compute."""


class Pipeline:
    """Classifies tiles and hands them on.

    Args:
        loader: Reads windows; its files are closed after each run.
        classifier: Predicts windows.
        layers: Which of `classes`, `confidence`, `probabilities` are wanted.
        batch_size: Windows predicted at once.
        write: Keeps a tile; called from one thread, one tile at a time.
        cancelled: Set to stop.
    """

    def __init__(
        self,
        *,
        loader: TileLoader,
        classifier: WindowClassifier,
        layers: Sequence[str],
        batch_size: int,
        write: Write,
        cancelled: threading.Event,
    ) -> None:
        self._loader = loader
        self._classifier = classifier
        self._layers = layers
        self._batch_size = batch_size
        self._write = write
        self._cancelled = cancelled

    def run(self, tiles: Iterable[Tile]) -> None:
        """Classify tiles, in their order; those that are read ahead are few.

        Args:
            tiles: The tiles; asked for as they are needed.

        Raises:
            Cancelled: `cancelled` was set.
            EngineError: A tile could not be read, predicted or written.
        """
        readers = ThreadPoolExecutor(READERS, thread_name_prefix="read")
        writer = ThreadPoolExecutor(1, thread_name_prefix="write")
        writes: deque[Future[Any]] = deque()
        last = time.monotonic()

        def write(tile: Tile, arrays: Arrays | None) -> None:
            nonlocal last
            now = time.monotonic()
            writes.append(writer.submit(self._write, tile, arrays, now - last))
            last = now
            while len(writes) > 2 * self._batch_size:
                writes.popleft().result()

        try:
            for batch in self._batches(tiles, readers, write):
                for item, arrays in zip(batch, self._predict(batch), strict=True):
                    write(item.tile, arrays)
            while writes:
                writes.popleft().result()
        finally:
            readers.shutdown(wait=True, cancel_futures=True)
            writer.shutdown(wait=True, cancel_futures=True)
            self._loader.close()

    def _batches(
        self, tiles: Iterable[Tile], readers: ThreadPoolExecutor, write: Callable[[Tile, None], None]
    ) -> Iterator[list[LoadedTile]]:
        batch: list[LoadedTile] = []
        for tile, loaded in self._loaded(tiles, readers):
            if loaded is None:
                write(tile, None)
                continue
            batch.append(loaded)
            if len(batch) == self._batch_size:
                yield batch
                batch = []
        if batch:
            yield batch

    def _loaded(self, tiles: Iterable[Tile], readers: ThreadPoolExecutor) -> Iterator[tuple[Tile, LoadedTile | None]]:
        """Yield the tiles with what they hold, read ahead by a few."""
        pending: deque[tuple[Tile, Future[LoadedTile | None]]] = deque()
        coming = iter(tiles)
        more = True
        while more or pending:
            while more and len(pending) <= self._batch_size:
                tile = next(coming, None)
                if tile is None:
                    more = False
                else:
                    pending.append((tile, readers.submit(self._loader.load, tile)))
                if self._cancelled.is_set():
                    raise Cancelled
            if not pending:
                break
            tile, future = pending.popleft()
            yield tile, future.result()
            if self._cancelled.is_set():
                raise Cancelled

    def _predict(self, batch: list[LoadedTile]) -> Iterator[Arrays]:
        windows = [item.tile.window for item in batch] if self._loader.season else []
        prediction = self._classifier.classify(np.stack([item.values for item in batch]), windows)
        for index, item in enumerate(batch):
            rows, columns = self._rows_and_columns(item.tile)
            arrays: dict[str, npt.NDArray[np.uint8]] = {}
            if prediction.codes is not None:
                codes = prediction.codes[index][rows, columns].copy()
                codes[~item.valid] = 0
                arrays["classes"] = codes[np.newaxis]
            if "confidence" in self._layers and prediction.confidence is not None:
                confidence = prediction.confidence[index][rows, columns].copy()
                confidence[~item.valid] = PERCENT_NODATA
                arrays["confidence"] = confidence[np.newaxis]
            if "probabilities" in self._layers and prediction.probabilities is not None:
                percent = np.rint(prediction.probabilities[index][:, rows, columns] * 100).astype(np.uint8)
                percent[:, ~item.valid] = PERCENT_NODATA
                arrays["probabilities"] = percent
            yield arrays

    def _rows_and_columns(self, tile: Tile) -> tuple[npt.NDArray[np.intp] | slice, npt.NDArray[np.intp] | slice]:
        """Return which pixels of the window answer for the core's pixels."""
        core, window = tile.core, tile.window
        grid = self._loader.grid
        if grid.identity:
            return core.slices_in(window)
        rows = grid.image_to_model_index(core.row, core.height, 0) - window.row
        columns = grid.image_to_model_index(core.column, core.width, 1) - window.column
        return rows[:, np.newaxis], columns[np.newaxis, :]

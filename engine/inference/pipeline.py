"""Reading, predicting and storing the tiles of a raster, all at the same time and in bounded memory."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.errors import Cancelled
from engine.events import Reporter
from engine.inference.window_classifier import WindowClassifier
from engine.rasters.area import AreaOfInterest
from engine.rasters.model_grid import ModelGrid
from engine.rasters.plan import Tile, TilePlan
from engine.rasters.reader import RasterReader
from engine.rasters.resampling import reflect
from engine.rasters.source import RasterSource
from engine.rasters.tile_store import TileStore
from engine.rasters.windows import PixelWindow

READERS = 2
PERCENT_NODATA = 255

Arrays = Mapping[str, npt.NDArray[np.uint8]]


@dataclass(frozen=True)
class LoadedTile:
    """A tile whose window is in memory.

    Args:
        tile: Its place.
        values: (C, H, W) raw values of the window, invalid pixels filled with the band's mean.
        valid: Validity of the core's pixels, in image pixels.
    """

    tile: Tile
    values: npt.NDArray[np.generic]
    valid: npt.NDArray[np.bool_]


class Pipeline:
    """Classifies the tiles of a plan into a tile store.

    Args:
        source: Image.
        grid: Model grid over the image.
        area: Part that is wanted; outputs are relative to its window.
        plan: Cut of the area.
        fill: Value of each band that stands for invalid pixels.
        classifier: Predicts windows.
        store: Receives the results.
        layers: Which of `classes`, `confidence`, `probabilities` to store.
        batch_size: Windows predicted at once.
        reporter: Receives progress.
        cancelled: Set to stop.
    """

    def __init__(
        self,
        *,
        source: RasterSource,
        grid: ModelGrid,
        area: AreaOfInterest,
        plan: TilePlan,
        fill: Sequence[float],
        classifier: WindowClassifier,
        store: TileStore,
        layers: Sequence[str],
        batch_size: int,
        reporter: Reporter,
        cancelled: threading.Event,
    ) -> None:
        self._source = source
        self._grid = grid
        self._area = area
        self._plan = plan
        self._fill = fill
        self._classifier = classifier
        self._store = store
        self._layers = layers
        self._batch_size = batch_size
        self._reporter = reporter
        self._cancelled = cancelled
        self._handles = threading.local()
        self._readers: list[RasterReader] = []

    def run(self, start: float, end: float) -> None:
        """Classify all tiles that the store does not hold yet.

        Args:
            start: Progress of the whole command when this begins, 0 to 1.
            end: Progress when it is done.

        Raises:
            Cancelled: `cancelled` was set.
            EngineError: A tile could not be read, predicted or stored.
        """
        # Only what may hold data counts: of a sparse raster the rest is most of it, and takes no time.
        tiles = [tile for tile in self._plan if self._may_hold_data(tile)]
        progress = _Progress(sum(tile.core.pixels for tile in tiles), start, end, self._reporter)
        readers = ThreadPoolExecutor(READERS, thread_name_prefix="read")
        writer = ThreadPoolExecutor(1, thread_name_prefix="write")
        writes: deque[Future[None]] = deque()
        try:
            for batch in self._batches(tiles, readers, progress):
                for item, arrays in zip(batch, self._predict(batch), strict=True):
                    writes.append(writer.submit(self._store.write, self._placed(item.tile), arrays))
                    progress.computed += self._plan.window_pixels
                    progress.advance(item.tile.core.pixels)
                while len(writes) > 2 * self._batch_size:
                    writes.popleft().result()
            while writes:
                writes.popleft().result()
        finally:
            readers.shutdown(wait=True, cancel_futures=True)
            writer.shutdown(wait=True, cancel_futures=True)
            for reader in self._readers:
                reader.close()

    def _batches(
        self, tiles: Sequence[Tile], readers: ThreadPoolExecutor, progress: _Progress
    ) -> Iterator[list[LoadedTile]]:
        batch: list[LoadedTile] = []
        for loaded in self._loaded(tiles, readers, progress):
            batch.append(loaded)
            if len(batch) == self._batch_size:
                yield batch
                batch = []
        if batch:
            yield batch

    def _loaded(self, tiles: Sequence[Tile], readers: ThreadPoolExecutor, progress: _Progress) -> Iterator[LoadedTile]:
        """Yield the tiles that hold data, read ahead by a few."""
        pending: deque[tuple[Tile, Future[LoadedTile | None]]] = deque()
        coming = iter(tiles)
        done = self._store.done
        more = True
        while more or pending:
            while more and len(pending) <= self._batch_size:
                tile = next(coming, None)
                if tile is None:
                    more = False
                elif self._placed(tile) in done:
                    progress.advance(tile.core.pixels)
                else:
                    pending.append((tile, readers.submit(self._load, tile)))
                if self._cancelled.is_set():
                    raise Cancelled
            if not pending:
                break
            tile, future = pending.popleft()
            loaded = future.result()
            if loaded is None:
                self._store.write(self._placed(tile), None)
                progress.advance(tile.core.pixels)
            else:
                yield loaded
            if self._cancelled.is_set():
                raise Cancelled

    def _may_hold_data(self, tile: Tile) -> bool:
        return self._area.touches(tile.core) and self._source.covers(tile.core)

    def _placed(self, tile: Tile) -> PixelWindow:
        """Return the tile's place in the output."""
        origin = self._area.window
        core = tile.core
        return PixelWindow(core.row - origin.row, core.column - origin.column, core.height, core.width)

    def _load(self, tile: Tile) -> LoadedTile | None:
        reader = self._reader()
        valid = self._area.mask(tile.core)
        if not valid.any():
            return None
        valid = valid & reader.valid(tile.core)
        if not valid.any():
            return None
        if self._grid.identity:
            values, window_valid = reader.read(tile.window)
        else:
            values, window_valid = reader.read_scaled(tile.window, self._grid)
        window_valid = self._mirrored(window_valid, tile.window)
        return LoadedTile(tile, filled(values, window_valid, self._fill), valid)

    def _mirrored(self, valid: npt.NDArray[np.bool_], window: PixelWindow) -> npt.NDArray[np.bool_]:
        """Return a window's validity with that beyond the image mirrored, as its values are: they are context too."""
        grid = self._grid
        if window.row >= 0 and window.column >= 0 and window.bottom <= grid.height and window.right <= grid.width:
            return valid
        rows = reflect(np.arange(window.row, window.bottom), grid.height) - window.row
        columns = reflect(np.arange(window.column, window.right), grid.width) - window.column
        return valid[np.ix_(rows, columns)]

    def _reader(self) -> RasterReader:
        reader: RasterReader | None = getattr(self._handles, "reader", None)
        if reader is None:
            reader = self._source.reader()
            self._handles.reader = reader
            self._readers.append(reader)
        return reader

    def _predict(self, batch: list[LoadedTile]) -> Iterator[Arrays]:
        prediction = self._classifier.classify(np.stack([item.values for item in batch]))
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
        if self._grid.identity:
            return core.slices_in(window)
        rows = self._grid.image_to_model_index(core.row, core.height, 0) - window.row
        columns = self._grid.image_to_model_index(core.column, core.width, 1) - window.column
        return rows[:, np.newaxis], columns[np.newaxis, :]


def filled(
    values: npt.NDArray[np.generic], valid: npt.NDArray[np.bool_], fill: Sequence[float]
) -> npt.NDArray[np.generic]:
    """Return values ready for a network: uint8 or float32, invalid pixels replaced.

    Args:
        values: (C, H, W) raw values.
        valid: (H, W).
        fill: Value of each band for invalid pixels.
    """
    if values.dtype != np.uint8:
        values = values.astype(np.float32)
    if not valid.all():
        background = np.rint(fill) if values.dtype == np.uint8 else np.asarray(fill)
        values = np.where(valid, values, background.reshape(-1, 1, 1).astype(values.dtype))
    return values


class _Progress:
    def __init__(self, total: int, start: float, end: float, reporter: Reporter) -> None:
        self._total = total
        self._start = start
        self._end = end
        self._reporter = reporter
        self._done = 0
        self._worked = 0
        self.computed = 0
        self._began = time.monotonic()
        self._computed_before = 0

    def advance(self, pixels: int) -> None:
        """Count pixels of the output as done, and report."""
        self._done += pixels
        if self.computed > self._computed_before:
            self._worked += pixels
            self._computed_before = self.computed
        elapsed = time.monotonic() - self._began
        share = self._done / self._total
        rate = self._worked / elapsed if elapsed > 0 else 0.0
        eta = (self._total - self._done) / rate if self._worked else None
        text = f"{self._done / 1e6:,.1f} of {self._total / 1e6:,.1f} Mpx"
        if self._worked:
            text += f", {rate / 1e6:.2f} Mpx/s"
        self._reporter.progress(self._start + (self._end - self._start) * share, text, eta)

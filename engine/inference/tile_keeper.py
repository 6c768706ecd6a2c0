"""What happens to a finished tile: it is stored, counted, and told to whoever wants to know."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from engine.inference.run_progress import RunProgress
from engine.rasters.tile_store import TileStore
from engine.rasters.windows import PixelWindow


@dataclass(frozen=True)
class FinishedTile:
    """A tile that was stored.

    Args:
        window: Its pixels in the output.
        empty: Whether no pixel of it is valid; it then has no file.
        seconds: What it took to compute.
        worker: Name of the computer, or of the cluster's worker, that computed it.
    """

    window: PixelWindow
    empty: bool
    seconds: float
    worker: str


Observer = Callable[[FinishedTile], None]
"""Told of each tile once it is stored, one at a time; must not take long. Not told of those of an earlier run."""


class TileKeeper:
    """Stores finished tiles, counts them and tells observers; used by one thread at a time.

    Args:
        store: Where tiles are kept.
        progress: Counts them.
        observers: Are told.
    """

    def __init__(self, store: TileStore, progress: RunProgress, observers: Sequence[Observer] = ()) -> None:
        self._store = store
        self._progress = progress
        self._observers = observers
        self._here = platform.node()

    def write(self, window: PixelWindow, arrays: Mapping[str, npt.NDArray[Any]] | None, seconds: float) -> None:
        """Store a tile that was computed in this process.

        Args:
            window: Its pixels in the output.
            arrays: See `TileStore.write`.
            seconds: What it took.

        Raises:
            OutputError: It could not be stored.
        """
        self._store.write(window, arrays)
        self._tell(FinishedTile(window, arrays is None, seconds, self._here))

    def record(self, entry: Mapping[str, Any], seconds: float, worker: str) -> None:
        """Count a tile whose files another process wrote into the store's folder.

        Args:
            entry: What its `TileWriter` returned.
            seconds: What it took.
            worker: Who computed it.

        Raises:
            OutputError: The journal could not be written.
        """
        self._store.record(entry)
        self._tell(FinishedTile(PixelWindow(*entry["window"]), "files" not in entry, seconds, worker))

    def _tell(self, tile: FinishedTile) -> None:
        self._progress.advance(tile.window.pixels, worked=not tile.empty)
        for observer in self._observers:
            observer(tile)

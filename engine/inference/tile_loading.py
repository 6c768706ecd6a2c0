"""The windows of tiles in memory, ready for a network."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from engine.rasters.area import AreaOfInterest
from engine.rasters.model_grid import ModelGrid
from engine.rasters.plan import Tile
from engine.rasters.reader import RasterReader
from engine.rasters.resampling import reflect
from engine.rasters.source import RasterSource
from engine.rasters.windows import PixelWindow

if TYPE_CHECKING:
    from engine.inference.season_ground import SeasonGround


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


class TileLoader:
    """Reads the windows of tiles; each thread has file handles of its own.

    Args:
        source: Image.
        grid: Model grid over the image.
        area: Part that is wanted.
        fill: Value of each band that stands for invalid pixels.
        season: What the network sees of the season, read ahead with the image; None for all others.
    """

    def __init__(
        self,
        source: RasterSource,
        grid: ModelGrid,
        area: AreaOfInterest,
        fill: Sequence[float],
        season: SeasonGround | None = None,
    ) -> None:
        self.grid = grid
        self.season = season
        self._source = source
        self._area = area
        self._fill = fill
        self._handles = threading.local()
        self._mutex = threading.Lock()
        self._readers: list[RasterReader] = []

    def load(self, tile: Tile) -> LoadedTile | None:
        """Read a tile's window; None where no pixel of its core is valid and wanted.

        Raises:
            InputError: A file cannot be read.
        """
        reader = self._reader()
        valid = self._area.mask(tile.core)
        if not valid.any():
            return None
        valid = valid & reader.valid(tile.core)
        if not valid.any():
            return None
        if self.grid.identity:
            values, window_valid = reader.read(tile.window)
        else:
            values, window_valid = reader.read_scaled(tile.window, self.grid)
        window_valid = self._mirrored(window_valid, tile.window)
        if self.season is not None:
            self.season.load(tile.window)
        return LoadedTile(tile, filled(values, window_valid, self._fill), valid)

    def close(self) -> None:
        """Close all files; no thread may be reading."""
        with self._mutex:
            for reader in self._readers:
                reader.close()
            self._readers.clear()
            self._handles = threading.local()

    def _mirrored(self, valid: npt.NDArray[np.bool_], window: PixelWindow) -> npt.NDArray[np.bool_]:
        """Return a window's validity with that beyond the image mirrored, as its values are: they are context too."""
        grid = self.grid
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
            with self._mutex:
                self._readers.append(reader)
        return reader


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

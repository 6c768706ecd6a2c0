"""Tiles of a raster in the making: one small file each, in a folder that goes away."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.rasters.disk import WRITE_ERRORS, output_error
from engine.rasters.tile_file import block_side, encode_tile
from engine.rasters.virtual_raster import Layer, OutputGrid, PlacedFile
from engine.rasters.windows import PixelWindow


class TilePile:
    """Tiles of one layer. `write` is safe to call from several threads.

    Args:
        folder: Where the files lie; must exist.
        output: What errors call the raster.
        grid: Grid of the raster.
        layer: What the tiles hold.
    """

    def __init__(self, folder: Path, output: Path, grid: OutputGrid, layer: Layer) -> None:
        self.grid, self.layer = grid, layer
        self._folder, self._output = folder, output
        self._files: list[PlacedFile] = []
        self._mutex = threading.Lock()

    @property
    def files(self) -> list[PlacedFile]:
        """The files that were written, from the upper left."""
        return sorted(self._files, key=lambda item: item.window)

    def write(self, window: PixelWindow, values: npt.NDArray[Any]) -> None:
        """Keep the pixels of a window of the grid, shape (height, width); nothing where all are nodata.

        Raises:
            OutputError: The disk is full or the folder cannot be written.
        """
        if not (values != self.layer.nodata).any():
            return
        path = self._folder / f"{window.row}_{window.column}.tif"
        try:
            path.write_bytes(encode_tile(values[np.newaxis], self.layer, self.grid.part(window)))
        except WRITE_ERRORS as error:
            raise output_error(self._output, error) from error
        side = block_side(window)
        with self._mutex:
            self._files.append(PlacedFile(path, window, (side, side)))

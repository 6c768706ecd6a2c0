"""Finished tiles as files, with what a journal keeps of each; any number of processes may write into one folder."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.rasters.disk import output_error
from engine.rasters.tile_file import count_codes, encode_tile, write_whole
from engine.rasters.virtual_raster import Layer, OutputGrid
from engine.rasters.windows import PixelWindow

CLASSES = "classes"


def tile_path(folder: Path, layer: str, tile: PixelWindow) -> Path:
    """Return the file of a tile in a store's folder."""
    return folder / "tiles" / layer / f"{tile.row}_{tile.column}_{tile.height}_{tile.width}.tif"


class TileWriter:
    """Writes the files of tiles, each whole or not at all; safe to use from several threads.

    Args:
        folder: Work folder, with a folder `tiles/<layer>` for each layer.
        grid: The output's grid.
        layers: What is stored for each tile.
    """

    def __init__(self, folder: Path, grid: OutputGrid, layers: Sequence[Layer]) -> None:
        self.folder = folder
        self.grid = grid
        self.layers = {layer.name: layer for layer in layers}

    def write(self, tile: PixelWindow, arrays: Mapping[str, npt.NDArray[Any]] | None) -> dict[str, Any]:
        """Write the files of a finished tile; once this returns they survive the end of the process.

        Args:
            tile: Window inside the grid.
            arrays: By layer name, shape (count, height, width), or (height, width) with one band; None when no
                pixel of the tile is valid.

        Returns:
            The line of the journal, as JSON values: `window` (row, column, height, width) and, unless the tile is
            empty, `files` (CRC-32 and size in bytes by layer) and `counts` (pixels by class code).

        Raises:
            OutputError: The disk is full or the folder cannot be written; the tile then has no file.
            ValueError: An array does not fit its layer or the tile, or a layer is missing.
        """
        if tile.intersection(self.grid.window) != tile or not tile.pixels:
            raise ValueError(f"{tile} is not inside the grid")
        checked = None if arrays is None else {name: self._checked(name, tile, arrays) for name in self.layers}
        if checked is not None and all((data == self.layers[name].nodata).all() for name, data in checked.items()):
            checked = None
        entry: dict[str, Any] = {"window": [tile.row, tile.column, tile.height, tile.width]}
        if checked is None:
            return entry
        files: dict[str, tuple[int, int]] = {}
        made: list[Path] = []
        try:
            for name, data in checked.items():
                content = encode_tile(data, self.layers[name], self.grid.part(tile))
                path = tile_path(self.folder, name, tile)
                # One of an earlier run, or of a worker that was given up, holds the same and may be counted already.
                made += [] if path.exists() else [path]
                write_whole(path, content)
                files[name] = (zlib.crc32(content), len(content))
        except OSError as error:
            for path in made:
                path.unlink(missing_ok=True)
            raise output_error(self.folder, error) from error
        counts = count_codes(checked[CLASSES]) if CLASSES in checked else {}
        return {**entry, "files": files, "counts": counts}

    def discard(self, tile: PixelWindow) -> None:
        """Remove the files of a tile."""
        for name in self.layers:
            tile_path(self.folder, name, tile).unlink(missing_ok=True)

    def _checked(self, name: str, tile: PixelWindow, arrays: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
        if name not in arrays:
            raise ValueError(f"layer '{name}' is missing")
        layer, data = self.layers[name], arrays[name]
        if data.ndim == 2:
            data = data[np.newaxis]
        if data.shape != (layer.count, tile.height, tile.width) or data.dtype != layer.dtype:
            raise ValueError(f"layer '{name}': {data.dtype} {data.shape} does not fit {layer} and {tile}")
        return data

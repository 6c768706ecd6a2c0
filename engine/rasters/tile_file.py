"""One finished tile as a small GeoTIFF."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.io

from engine.rasters.virtual_raster import Layer, OutputGrid
from engine.rasters.windows import PixelWindow

# Pieces in which codes are counted: numpy widens them to 8 bytes a pixel, which should stay in the cache.
_COUNT_PIECE = 65536


def block_side(tile: PixelWindow) -> int:
    """Return the side of the square blocks inside a tile's file."""
    return 512 if max(tile.height, tile.width) >= 512 else 256


def encode_tile(data: npt.NDArray[Any], layer: Layer, grid: OutputGrid) -> bytes:
    """Return the tile as the bytes of a GeoTIFF; the CRS stands in the store's manifest only."""
    block = block_side(grid.window)
    with rasterio.io.MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            width=grid.width,
            height=grid.height,
            count=layer.count,
            dtype=layer.dtype,
            nodata=layer.nodata,
            transform=grid.transform,
            tiled=True,
            blockxsize=block,
            blockysize=block,
            interleave="band",
            compress="zstd",
            zstd_level=1,
        ) as file:
            file.write(data)
        return bytes(memory.getbuffer())


def count_codes(data: npt.NDArray[Any]) -> dict[int, int]:
    """Return the pixels of each code that occurs, 0 left out; the data is uint8 of any shape."""
    flat = data.ravel()
    total = np.zeros(256, dtype=np.int64)
    for start in range(0, flat.size, _COUNT_PIECE):
        total += np.bincount(flat[start : start + _COUNT_PIECE], minlength=256)
    return {int(code): int(total[code]) for code in np.flatnonzero(total) if code != 0}


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under another name and rename it.

    Raises:
        OSError: It could not be written; nothing is left of it.
    """
    part = path.with_name(f"{path.name}.{threading.get_ident()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise

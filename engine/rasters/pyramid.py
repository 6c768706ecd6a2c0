"""Smaller versions of a mosaic, made only where it holds tiles.

GDAL's own overviews read every pixel of the raster, tile or not: 10 s for an almost
empty raster of 40,000 x 40,000, minutes for 200,000 x 200,000. Here the time goes
with the tiles, and each step can be cancelled.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.windows import Window

from engine.rasters.virtual_raster import Layer
from engine.rasters.windows import PixelWindow

Reducer = Literal["mode", "average"]
Chunk = tuple[int, int]

BLOCK = 512
_STOP_BELOW = 512


@dataclass(frozen=True)
class Pyramid:
    """Overviews of a mosaic, and what its own pixels are.

    Args:
        overviews: Files of half, quarter, ... size, largest first.
        side: Side in pixels of the square chunks in which the mosaic was read.
        checksums: CRC-32 of the pixels of each chunk (row, column) that can hold some.
        filled: Whether any pixel differs from nodata.
    """

    overviews: tuple[Path, ...]
    side: int
    checksums: dict[Chunk, int]
    filled: bool


def halve(data: npt.NDArray[np.uint8], nodata: int, reducer: Reducer) -> npt.NDArray[np.uint8]:
    """Return an image at half the size, nodata counting only where all four pixels are nodata.

    Args:
        data: Shape (bands, height, width), uint8; odd sizes are rounded up.
        nodata: Value of pixels without data.
        reducer: `mode` takes the most frequent of the four values (the first of them when equal), `average` their
            mean, rounded half up.

    Returns:
        Shape (bands, ceil(height / 2), ceil(width / 2)).
    """
    odd = [(0, 0), (0, data.shape[1] % 2), (0, data.shape[2] % 2)]
    if any(after for _, after in odd):
        data = np.pad(data, odd, constant_values=nodata)
    # Contiguous copies: comparing strided views is several times slower.
    quarters = [np.ascontiguousarray(data[:, row::2, column::2]) for row in (0, 1) for column in (0, 1)]
    return _mode(quarters, nodata) if reducer == "mode" else _average(quarters, nodata)


def _mode(quarters: list[npt.NDArray[np.uint8]], nodata: int) -> npt.NDArray[np.uint8]:
    first, second, third, fourth = quarters
    # A value that occurs twice or more among four always wins; without a pair, the first value that is data.
    result = np.where(third == nodata, fourth, third)
    result = np.where(second == nodata, result, second)
    result = np.where(first == nodata, result, first)
    result = np.where((third == fourth) & (third != nodata), third, result)
    result = np.where(((second == third) | (second == fourth)) & (second != nodata), second, result)
    return np.where(((first == second) | (first == third) | (first == fourth)) & (first != nodata), first, result)


def _average(quarters: list[npt.NDArray[np.uint8]], nodata: int) -> npt.NDArray[np.uint8]:
    total = np.zeros(quarters[0].shape, dtype=np.uint16)
    count = np.zeros(quarters[0].shape, dtype=np.uint8)
    for quarter in quarters:
        data = quarter != nodata
        total += np.where(data, quarter, 0)
        count += data
    mean = (total + count // 2) // np.maximum(count, 1)
    return np.where(count == 0, nodata, mean).astype(np.uint8)


def occupied_chunks(tiles: Iterable[PixelWindow], side: int) -> list[Chunk]:
    """Return the chunks (row, column) of a grid of squares that tiles touch, by row and column."""
    return sorted(
        {
            (row, column)
            for tile in tiles
            for row in range(max(0, tile.row) // side, -(-tile.bottom // side))
            for column in range(max(0, tile.column) // side, -(-tile.right // side))
        }
    )


def chunk_window(chunk: Chunk, side: int, height: int, width: int) -> Window:
    """Return the window of a chunk, cut at the raster's edge."""
    row, column = chunk[0] * side, chunk[1] * side
    return Window(column, row, min(side, width - column), min(side, height - row))


def build_pyramid(
    mosaic: Path,
    layer: Layer,
    tiles: Iterable[PixelWindow],
    folder: Path,
    reducer: Reducer,
    step: Callable[[float], None],
) -> Pyramid:
    """Make a mosaic's overviews down to less than 512 pixels, as sparse GeoTIFFs.

    Args:
        mosaic: Raster to read, of the layer's bands and nodata.
        layer: What it holds; uint8.
        tiles: Windows outside which the mosaic is all nodata; inside the raster.
        folder: Where to write.
        reducer: How four pixels become one.
        step: Called with the share done, 0 to 1; may raise to stop.
    """
    with rasterio.open(mosaic) as source:
        width, height = source.width, source.height
    sizes: list[tuple[int, int]] = []
    while max(width, height) >= _STOP_BELOW:
        width, height = -(-width // 2), -(-height // 2)
        sizes.append((width, height))
    # Several levels from one reading. The side keeps memory bounded, whatever the number of bands.
    depth = 3 if layer.count <= 2 else 2
    side = BLOCK << depth
    chunks = occupied_chunks(tiles, side)
    below, checksums, filled = mosaic, dict[Chunk, int](), False
    overviews: list[Path] = []
    # Each group of levels has a quarter to the power of its depth of the pixels: the first one is nearly all.
    for start in range(0, max(len(sizes), 1), depth):
        group = sizes[start : start + depth]
        paths = [folder / f"overview{start + index + 1}.tif" for index in range(len(group))]
        with rasterio.open(below) as source, _Levels(paths, group, layer) as levels:
            for index, chunk in enumerate(chunks):
                data = source.read(window=chunk_window(chunk, side, source.height, source.width))
                if start == 0:
                    checksums[chunk] = zlib.crc32(data)
                    filled = filled or bool((data != layer.nodata).any())
                    step(index / len(chunks))
                for number in range(len(group)):
                    data = halve(data, layer.nodata, reducer)
                    levels.write(number, chunk, side >> (number + 1), data)
        overviews += paths
        chunks = sorted({(row >> depth, column >> depth) for row, column in chunks})
        below = paths[-1] if paths else below
    step(1.0)
    return Pyramid(tuple(overviews), side, checksums, filled)


class _Levels:
    """The files of some levels, open for writing."""

    def __init__(self, paths: list[Path], sizes: list[tuple[int, int]], layer: Layer) -> None:
        self._nodata = layer.nodata
        self._files = [
            rasterio.open(
                path,
                "w",
                driver="GTiff",
                width=width,
                height=height,
                count=layer.count,
                dtype=layer.dtype,
                nodata=layer.nodata,
                tiled=True,
                blockxsize=BLOCK,
                blockysize=BLOCK,
                compress="zstd",
                zstd_level=1,
                bigtiff="if_safer",
                sparse_ok=True,
            )
            for path, (width, height) in zip(paths, sizes, strict=True)
        ]

    def __enter__(self) -> _Levels:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.close()

    def write(self, level: int, chunk: Chunk, side: int, data: npt.NDArray[Any]) -> None:
        """Write a chunk, `side` pixels from the next; nothing where it holds no data."""
        if (data != self._nodata).any():
            window = Window(chunk[1] * side, chunk[0] * side, data.shape[2], data.shape[1])
            self._files[level].write(data, window=window)

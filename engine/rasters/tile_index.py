"""Which tiles are stored, in some 24 bytes each: a country has ten million of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from engine.rasters.windows import PixelWindow

# Tiles that are kept as Python's own objects before they are packed.
_LOOSE = 65536

Files = Mapping[str, tuple[int, int]]
"""By layer, the CRC-32 and size in bytes of a tile's file; without layers the tile is empty."""


class TileIndex:
    """Windows with their files; not safe to use from several threads at once.

    Args:
        layers: Names of the layers that a tile may have files of.
    """

    def __init__(self, layers: Sequence[str]) -> None:
        self._layers = list(layers)
        self._loose: dict[PixelWindow, Files] = {}
        # Sorted by origin, height and width; sizes of 0 stand for files that there are not.
        self._origins = np.empty(0, dtype=np.uint64)
        self._shapes = np.empty((0, 2), dtype=np.uint32)
        self._files = np.empty((0, len(self._layers), 2), dtype=np.uint32)

    def __len__(self) -> int:
        return len(self._origins) + len(self._loose)

    def __contains__(self, tile: PixelWindow) -> bool:
        return tile in self._loose or self._place(tile) is not None

    def files(self, tile: PixelWindow) -> Files | None:
        """Return the files of a tile, None for one that is not here."""
        if tile in self._loose:
            return self._loose[tile]
        place = self._place(tile)
        return None if place is None else self._files_at(place)

    def put(self, tile: PixelWindow, files: Files) -> None:
        """Add a tile, or give one other files."""
        place = self._place(tile)
        if place is not None:
            self._files[place] = self._packed(files)
            return
        self._loose[tile] = dict(files)
        if len(self._loose) >= _LOOSE:
            self._pack()

    def windows(self, layer: str | None = None) -> Iterator[PixelWindow]:
        """Yield the tiles by row and column: all, or those that have a file of a layer."""
        self._pack()
        number = None if layer is None else self._layers.index(layer)
        for place, (origin, (height, width)) in enumerate(zip(self._origins, self._shapes, strict=True)):
            if number is None or self._files[place, number, 1]:
                row, column = divmod(int(origin), 1 << 32)
                yield PixelWindow(row, column, int(height), int(width))

    def stored_bytes(self, layer: str) -> int:
        """Return the size of a layer's files."""
        self._pack()
        return int(self._files[:, self._layers.index(layer), 1].sum(dtype=np.int64))

    def _place(self, tile: PixelWindow) -> int | None:
        origin = np.uint64(_origin(tile))
        place = int(self._origins.searchsorted(origin))
        while place < len(self._origins) and self._origins[place] == origin:
            if tuple(self._shapes[place]) == (tile.height, tile.width):
                return place
            place += 1
        return None

    def _files_at(self, place: int) -> Files:
        pairs = zip(self._layers, self._files[place], strict=True)
        return {name: (int(crc), int(size)) for name, (crc, size) in pairs if size}

    def _packed(self, files: Files) -> list[tuple[int, int]]:
        return [files.get(name, (0, 0)) for name in self._layers]

    def _pack(self) -> None:
        if not self._loose:
            return
        count = len(self._loose)
        origins = np.fromiter((_origin(tile) for tile in self._loose), dtype=np.uint64, count=count)
        shapes = np.array([(tile.height, tile.width) for tile in self._loose], dtype=np.uint32)
        files = np.array([self._packed(item) for item in self._loose.values()], dtype=np.uint32)
        self._loose = {}
        origins = np.concatenate([self._origins, origins])
        shapes = np.concatenate([self._shapes, shapes])
        order = np.lexsort((shapes[:, 1], shapes[:, 0], origins))
        self._origins, self._shapes = origins[order], shapes[order]
        self._files = np.concatenate([self._files, files.reshape(count, len(self._layers), 2)])[order]


def _origin(tile: PixelWindow) -> int:
    return (tile.row << 32) + tile.column

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from engine.rasters import tile_index
from engine.rasters.tile_index import TileIndex
from engine.rasters.windows import PixelWindow


@pytest.mark.parametrize("loose", [1, 3, 1000])
def test_it_answers_as_a_dictionary_does(monkeypatch, loose):
    monkeypatch.setattr(tile_index, "_LOOSE", loose)
    generator = np.random.default_rng(0)
    index, known = TileIndex(["classes", "confidence"]), {}
    for _ in range(300):
        # Few places, so that tiles come again, and some share their corner with one of another size.
        row, column, side = (int(value) for value in generator.integers(0, (6, 6, 2)))
        tile = PixelWindow(row * 100_000, column * 70_000, 64 + side, 64)
        files = {name: (int(generator.integers(2**32)), 7) for name in ("classes", "confidence")[: column % 3]}
        index.put(tile, files)
        known[tile] = files
    assert len(index) == len(known)
    assert list(index.windows()) == sorted(known)
    assert list(index.windows("confidence")) == sorted(tile for tile, files in known.items() if "confidence" in files)
    assert {tile: index.files(tile) for tile in known} == known
    assert index.stored_bytes("classes") == 7 * sum("classes" in files for files in known.values())
    assert PixelWindow(0, 0, 1, 1) not in index
    assert index.files(PixelWindow(0, 0, 1, 1)) is None


def test_a_tile_takes_little_memory(monkeypatch):
    monkeypatch.setattr(tile_index, "_LOOSE", 500)
    count = 10_000
    tracemalloc.start()
    try:
        index = TileIndex(["classes"])
        for number in range(count):
            index.put(PixelWindow(number // 500 * 64, number % 500 * 64, 64, 64), {"classes": (number, 900)})
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(index) == count
    # 24 bytes each, and up to 500 that wait to be packed.
    assert taken < 24 * count + 500 * 1000

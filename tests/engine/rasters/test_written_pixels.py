"""What was written into a raster is compared once it is closed."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

from engine.errors import OutputError
from engine.rasters.written_pixels import WrittenPixels
from tests.engine import tiny


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "image.tif"
    tiny.write(path, np.zeros((2, 32, 32), dtype=np.uint8))
    pixels = WrittenPixels(path)
    with rasterio.open(path, "r+") as dataset:
        for row in (0, 16):
            pixels.write(dataset, np.full((2, 16, 32), 7 + row, dtype=np.uint8), Window(0, row, 32, 16))
    return path, pixels


def test_what_was_written_is_there(written):
    path, pixels = written
    pixels.check(path)


def test_other_pixels_are_noticed(written, tmp_path):
    path, pixels = written
    with rasterio.open(path, "r+") as dataset:
        dataset.write(np.full((1, 1), 9, dtype=np.uint8), 2, window=Window(31, 31, 1, 1))
    with pytest.raises(OutputError, match=r"'.*map\.tif' could not be written whole"):
        pixels.check(tmp_path / "map.tif")


def test_a_file_that_was_cut_off_is_noticed(written):
    path, pixels = written
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(OutputError, match="could not be written whole"):
        pixels.check(path)

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import rasterio
from affine import Affine

from engine.rasters.pyramid import build_pyramid, halve, occupied_chunks
from engine.rasters.windows import PixelWindow
from tests.engine.rasters.stored_tiles import CLASSES, land_cover, tiles_of


def slow_mode(image, nodata):
    """The rule in plain words, pixel by pixel."""
    height, width = image.shape
    result = np.full((-(-height // 2), -(-width // 2)), nodata, dtype=np.uint8)
    for row in range(result.shape[0]):
        for column in range(result.shape[1]):
            values = [int(v) for v in image[2 * row : 2 * row + 2, 2 * column : 2 * column + 2].ravel() if v != nodata]
            if values:
                result[row, column] = Counter(values).most_common(1)[0][0]
    return result


@pytest.mark.parametrize("shape", [(64, 64), (33, 18), (1, 1), (1, 7), (40, 1)])
@pytest.mark.parametrize("nodata", [0, 255])
def test_mode_takes_the_most_frequent_and_ignores_nodata(shape, nodata):
    image = np.random.default_rng(1).choice(np.array([nodata, 3, 4, 5], dtype=np.uint8), shape)
    np.testing.assert_array_equal(halve(image[np.newaxis], nodata, "mode")[0], slow_mode(image, nodata))


def test_average_ignores_nodata_and_rounds():
    image = np.array([[[10, 11, 255, 255, 7], [20, 255, 255, 255, 255]]], dtype=np.uint8)
    np.testing.assert_array_equal(halve(image, 255, "average"), [[[14, 255, 7]]])
    high = np.full((2, 4, 4), 100, dtype=np.uint8)
    np.testing.assert_array_equal(halve(high, 255, "average"), high[:, :2, :2])


def test_occupied_chunks():
    tiles = [PixelWindow(0, 0, 512, 512), PixelWindow(4000, 100, 200, 100), PixelWindow(8192, 8192, 1, 1)]
    assert occupied_chunks(tiles, 4096) == [(0, 0), (1, 0), (2, 2)]


def write(path, image, nodata=0):
    with rasterio.open(
        path, "w", driver="GTiff", width=image.shape[1], height=image.shape[0], count=1, dtype="uint8", nodata=nodata,
        transform=Affine(1, 0, 0, 0, -1, 0),
    ) as file:  # fmt: skip
        file.write(image, 1)


def test_levels_are_halves_of_halves_across_chunks(tmp_path):
    image = land_cover(700, 4500)
    write(tmp_path / "image.tif", image)
    shares: list[float] = []
    pyramid = build_pyramid(tmp_path / "image.tif", CLASSES, tiles_of(700, 4500, 300), tmp_path, "mode", shares.append)
    expected = image[np.newaxis]
    assert len(pyramid.overviews) == 4
    for path in pyramid.overviews:
        expected = halve(expected, 0, "mode")
        with rasterio.open(path) as file:
            np.testing.assert_array_equal(file.read(), expected)
    assert expected.shape[2] == 282
    assert list(pyramid.checksums) == [(0, 0), (0, 1)]
    assert pyramid.filled
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_only_chunks_with_tiles_are_read(tmp_path):
    image = np.zeros((600, 9000), dtype=np.uint8)
    write(tmp_path / "image.tif", image)
    pyramid = build_pyramid(
        tmp_path / "image.tif", CLASSES, [PixelWindow(0, 8200, 10, 10)], tmp_path, "mode", lambda share: None
    )
    assert list(pyramid.checksums) == [(0, 2)]
    assert not pyramid.filled


def test_a_small_image_needs_none(tmp_path):
    write(tmp_path / "image.tif", land_cover(511, 40))
    pyramid = build_pyramid(tmp_path / "image.tif", CLASSES, [PixelWindow(0, 0, 511, 40)], tmp_path, "mode", print)
    assert pyramid.overviews == ()
    assert len(pyramid.checksums) == 1

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

from engine.data.patch_file import default_names, missing_pixels, read_header, read_image, read_mask
from engine.errors import InputError
from tests.engine import tiny


def test_a_header_says_what_the_file_holds(tmp_path):
    path = tiny.write(tmp_path / "a.tif", np.zeros((4, 20, 30), dtype=np.uint16), nodata=65535)
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("Rouge", "Band 2: green", "PIR", "texture")
    header = read_header(tmp_path / "a.tif")
    assert (header.height, header.width, header.bands, header.dtype) == (20, 30, 4, "uint16")
    assert header.names == ("red", "green", "infrared", "texture")
    assert header.nodata == 65535.0
    assert header.crs.to_epsg() == 2154
    assert header.transform.a == 0.2


@pytest.mark.parametrize("names", [("red", None, "blue"), ("red", "rouge", "blue")], ids=["one unnamed", "one twice"])
def test_names_that_do_not_tell_all_bands_tell_none(tmp_path, names):
    path = tiny.write(tmp_path / "a.tif", np.zeros((3, 8, 8), dtype=np.uint8), crs=None)
    with rasterio.open(path, "r+") as file:
        file.descriptions = names
    header = read_header(tmp_path / "a.tif")
    assert header.names == ()
    assert header.crs is None
    assert header.nodata is None


def test_bands_are_read_in_the_order_asked_for(tmp_path):
    image = tiny.smooth(5, 12, 16)
    path = tmp_path / "a.tif"
    tiny.write(path, image)
    assert (read_image(path) == image).all()
    assert (read_image(path, (4, 1, 2)) == image[[3, 0, 1]]).all()
    assert (read_image(path, (5,), Window(3, 2, 4, 6)) == image[4:, 2:8, 3:7]).all()
    assert (read_mask(path) == image[0]).all()


def test_what_cannot_be_read_is_named(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(b"no raster")
    for read in (read_header, read_image, read_mask):
        with pytest.raises(InputError, match=r"a\.tif' cannot be read"):
            read(path)
    whole = tmp_path / "whole.tif"
    tiny.write(whole, tiny.smooth(3, 64, 64))
    whole.write_bytes(whole.read_bytes()[:-4000])
    with pytest.raises(InputError, match=r"whole\.tif' cannot be read"):
        read_image(whole)


def test_bands_that_nobody_names():
    assert default_names(3) == ("red", "green", "blue")
    assert default_names(6) == ("red", "green", "blue", "infrared", "elevation", "band 6")


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_black_in_one_band_is_a_measurement(dtype):
    pixels = np.full((3, 2, 2), 50, dtype=dtype)
    pixels[0, 0, 0] = 0
    pixels[:, 1, 1] = 0
    assert missing_pixels(pixels, 0.0).tolist() == [[False, False], [False, True]]
    assert not missing_pixels(pixels, None).any()


@pytest.mark.parametrize("nodata", [-9999.0, float(np.finfo(np.float32).min), 1e300])
def test_a_value_that_no_sensor_gives_is_enough_in_one_band(nodata):
    pixels = np.full((2, 2, 2), 50, dtype=np.float64)
    pixels[1, 0, 1] = nodata
    with np.errstate(over="ignore"):
        pixels = pixels.astype(np.float32)
    assert missing_pixels(pixels, nodata).tolist() == [[False, True], [False, False]]
    assert missing_pixels(pixels.astype(np.float32), nodata).sum() == 1


@pytest.mark.parametrize("nodata", [None, 0.0, float("nan")])
def test_what_is_not_finite_is_missing(nodata):
    pixels = np.full((2, 2, 2), 50, dtype=np.float32)
    pixels[0, 0, 0], pixels[1, 1, 0] = np.nan, np.inf
    assert missing_pixels(pixels, nodata).tolist() == [[True, False], [True, False]]


def test_a_nodata_value_that_a_type_cannot_hold_is_no_matter():
    assert not missing_pixels(np.zeros((1, 2, 2), dtype=np.uint8), -9999.0).any()

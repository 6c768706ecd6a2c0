import base64
import io

import numpy as np
import pytest
from PIL import Image

from engine.reports.pictures import class_picture, picture
from tests.engine.tiny import TINY_CLASSES


def opened(address):
    start = "data:image/png;base64,"
    assert address.startswith(start)
    return Image.open(io.BytesIO(base64.b64decode(address[len(start) :])))


def pixels(address, mode="RGB"):
    return np.asarray(opened(address).convert(mode))


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (("blue", "green", "red", "infrared"), ("red", "green", "blue")),
        (("infrared", "red", "green", "elevation"), ("infrared", "red", "green")),
    ],
)
def test_bands_are_found_by_name(names, shown):
    bands = np.random.default_rng(0).integers(0, 256, (len(names), 20, 30), dtype=np.uint8)
    expected = np.stack([bands[names.index(name)] for name in shown], axis=-1)
    assert np.array_equal(pixels(picture(bands, names)), expected)


def test_other_bands_are_grey():
    bands = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)
    assert np.array_equal(pixels(picture(bands, ["elevation"]), "L"), bands[0])


def test_other_types_are_stretched_between_their_percentiles():
    values = np.linspace(0, 10_000, 10_000).reshape(100, 100)
    bands = np.stack([values, values * 0.001 + 5, np.full_like(values, 7)])
    shown = pixels(picture(bands.astype(np.float32), ["red", "green", "blue"]))
    for band in (0, 1):
        assert shown[1, 99, band] == 0  # the 2nd percentile
        assert shown[50, 0, band] in (127, 128)
        assert shown[98, 1, band] == 255
    assert not shown[:, :, 2].any()
    integers = pixels(picture(values[None].astype(np.uint16), ["panchromatic"]), "L")
    assert np.array_equal(integers, shown[:, :, 0])


def test_missing_values_are_black():
    values = np.arange(100, dtype=np.float32).reshape(1, 10, 10)
    values[0, 5, 5], values[0, 9, 9] = np.nan, np.inf
    shown = pixels(picture(values, ["elevation"]), "L")
    assert shown[5, 5] == shown[9, 9] == 0
    assert shown[9, 8] == 255
    assert not pixels(picture(np.full((1, 4, 4), np.nan), ["elevation"])).any()


def test_classes_have_their_colours_and_nothing_is_transparent():
    codes = np.array([[7, 3, 250], [5, 0, 99]], dtype=np.uint8)
    shown = pixels(class_picture(codes, TINY_CLASSES), "RGBA")
    assert shown[0].tolist() == [[255, 0, 0, 255], [0, 255, 0, 255], [0x12, 0x34, 0x56, 255]]
    assert shown[1, 0].tolist() == [0, 0, 255, 255]
    assert shown[1, 1, 3] == shown[1, 2, 3] == 0


def test_large_ones_are_reduced_and_classes_not_mixed():
    random = np.random.default_rng(1)
    codes = random.choice(np.array([7, 3, 5], dtype=np.uint8), (300, 600))
    shown = opened(class_picture(codes, TINY_CLASSES, largest=100))
    assert shown.size == (100, 50)
    assert len(set(shown.convert("RGB").get_flattened_data())) == 3
    assert opened(picture(np.zeros((1, 300, 600), np.uint8), ["red"], largest=100)).size == (100, 50)


@pytest.mark.parametrize(("shape", "names"), [((3, 4), "a"), ((2, 3, 4), "a"), ((1, 0, 4), "a")])
def test_arrays_that_are_no_image_are_refused(shape, names):
    with pytest.raises(ValueError, match="bands"):
        picture(np.zeros(shape, np.uint8), names)


def test_arrays_that_are_no_classes_are_refused():
    for array in (np.zeros((2, 2), np.int64), np.zeros((1, 2, 2), np.uint8)):
        with pytest.raises(ValueError, match="uint8 codes"):
            class_picture(array, TINY_CLASSES)

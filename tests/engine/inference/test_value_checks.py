from __future__ import annotations

import numpy as np
import pytest

from engine.errors import InputError
from engine.inference.value_checks import check_values
from tests.engine import tiny

RGB = tiny.manifest()
RGBIE = tiny.manifest(bands=("red", "green", "blue", "infrared", "elevation"))


def sample(*bands, valid=None):
    values = np.stack([np.asarray(band) for band in bands])
    return values, np.ones(values.shape[1:], dtype=bool) if valid is None else valid


def noise(mean=105.0, std=40.0, dtype="float32", seed=0):
    values = np.random.default_rng(seed).normal(mean, std, (64, 64))
    return np.clip(values, 0, 255).astype(dtype)


def check(samples, recorder, described=RGB, allow_range=False):
    numbers = range(1, len(described.bands) + 1)
    check_values(samples, described, tuple(numbers), allow_range=allow_range, reporter=recorder)


def test_an_ordinary_image_passes_in_silence(recorder):
    check([sample(noise(dtype="uint8"), noise(seed=1, dtype="uint8"), noise(seed=2, dtype="uint8"))], recorder)
    check([], recorder)
    assert recorder.warnings == []


@pytest.mark.parametrize("low", [0.0, -0.05])
def test_reflectances_are_refused_with_the_way_to_convert_them(recorder, low):
    bands = [np.random.default_rng(seed).uniform(low, 1.05, (64, 64)).astype("float32") for seed in range(3)]
    with pytest.raises(InputError, match="as reflectances do") as caught:
        check([sample(*bands)], recorder)
    assert "gdal_translate" in caught.value.hint
    assert "--allow-range" in caught.value.hint


def test_reflectances_beside_an_elevation_are_refused_too(recorder):
    bands = [np.random.default_rng(seed).uniform(0, 1, (64, 64)).astype("float32") for seed in range(4)]
    with pytest.raises(InputError, match="as reflectances do"):
        check([sample(*bands, noise(20, 20))], recorder, RGBIE)


def test_dark_bytes_are_no_reflectances(recorder):
    dark = np.random.default_rng(0).integers(0, 2, (64, 64)).astype("uint8")
    check([sample(dark, dark, dark)], recorder)


def test_sixteen_bits_are_refused_and_the_band_named(recorder):
    bands = [noise() for _ in range(2)] + [noise() * 40]
    with pytest.raises(InputError, match=r"Band 3 \(blue\) holds values from .* the model expects 0 to 255") as caught:
        check([sample(*bands)], recorder)
    assert "8 bits" in caught.value.hint


def test_a_few_stray_values_do_not_stop_the_work(recorder):
    band = noise()
    band[0, :20] = 300
    check([sample(band, noise(), noise())], recorder)


def test_elevation_in_other_units_is_refused_with_the_formula(recorder):
    with pytest.raises(InputError, match=r"Band 5 \(elevation\)") as caught:
        check([sample(noise(), noise(), noise(), noise(), noise() * 5)], recorder, RGBIE)
    assert "5 * max(DSM - DTM, 0)" in caught.value.hint


def test_terrain_height_is_suspicious(recorder):
    check([sample(noise(), noise(), noise(), noise(), noise(150, 10))], recorder, RGBIE)
    assert len(recorder.warnings) == 1
    assert "terrain height" in recorder.warnings[0]


def test_a_constant_image_is_refused_and_a_constant_band_is_suspicious(recorder):
    flat = np.full((64, 64), 90, "uint8")
    with pytest.raises(InputError, match="constant"):
        check([sample(flat, flat, flat + 5)], recorder)
    check([sample(noise(), flat, noise())], recorder)
    assert recorder.warnings == ["Band 2 (green) is constant (90); the model expects it to vary."]


def test_a_pixel_or_a_few_may_be_constant(recorder):
    for shape in ((1, 1), (7, 9)):
        flat = np.full(shape, 90, "uint8")
        check([sample(flat, flat, flat)], recorder)
    assert recorder.warnings == []


def test_images_constant_in_each_sample_but_not_over_all_are_not_constant(recorder):
    flat = np.full((64, 64), 90, "uint8")
    check([sample(flat, flat, flat), sample(flat + 20, flat, flat)], recorder)


def test_a_strange_mean_hints_at_the_band_order(recorder):
    narrow = tiny.manifest().__class__(
        "x", "unet", "mobilenet_v2", (RGB.bands[0].__class__("red", 200.0, 10.0),), tiny.TINY_CLASSES
    )
    check([sample(noise(60, 5))], recorder, narrow)
    assert "band order" in recorder.warnings[0]


def test_only_valid_pixels_count(recorder):
    band = noise()
    band[:32] = 9999
    valid = np.zeros((64, 64), dtype=bool)
    valid[32:] = True
    check([sample(band, band, band, valid=valid)], recorder)


@pytest.mark.parametrize("factor", [0.0, 0.003, 50.0])
def test_what_is_allowed_is_reported(recorder, factor):
    bands = [noise(seed=seed) * np.float32(factor) for seed in range(3)]
    check([sample(*bands)], recorder, allow_range=True)
    assert recorder.warnings

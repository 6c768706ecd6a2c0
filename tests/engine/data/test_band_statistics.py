from __future__ import annotations

import threading

import numpy as np
import pytest

from engine.data import band_statistics
from engine.data.band_statistics import measure_bands
from engine.data.pairs import Pair
from engine.data.patch_file import read_header
from engine.errors import Cancelled, InputError
from tests.engine import tiny

NAMES = ("red", "elevation")


def measure(tmp_path, images, recorder, nodata=None, **options):
    pairs = []
    for number, image in enumerate(images):
        path = tmp_path / f"{number}.tif"
        tiny.write(path, image, **({} if nodata is None else {"nodata": nodata}))
        pairs.append(Pair(path, path))
    names = NAMES[: len(images[0])]
    return measure_bands(pairs, names, read_header(pairs[0].image), recorder, threading.Event(), **options)


def test_mean_and_deviation_are_those_of_all_pixels(tmp_path, recorder):
    images = [tiny.smooth(2, 20, 30, seed=1), tiny.smooth(2, 40, 10, seed=2)]
    red, elevation = measure(tmp_path, images, recorder, span=(0.1, 0.3))
    for band, found in enumerate((red, elevation)):
        values = np.concatenate([image[band].ravel() for image in images]).astype(float)
        assert found.name == NAMES[band]
        assert found.mean == pytest.approx(values.mean(), rel=1e-9)
        assert found.std == pytest.approx(values.std(), rel=1e-9)
        assert (found.minimum, found.maximum) == (0.0, 255.0)
    assert recorder.fractions == pytest.approx([0.2, 0.3])


def test_pixels_without_data_are_left_out(tmp_path, recorder):
    image = np.full((2, 10, 10), 4.0, dtype=np.float32)
    image[:, :5] = 8.0
    image[0, 0, 0], image[1, 0, 1], image[1, 0, 2] = np.nan, np.inf, -9999.0
    red, elevation = measure(tmp_path, [image], recorder, nodata=-9999.0)
    expected = np.array([8.0] * 47 + [4.0] * 50)
    for found in (red, elevation):
        assert found.mean == pytest.approx(expected.mean())
        assert found.std == pytest.approx(expected.std())
        assert (found.minimum, found.maximum) == (4.0, 8.0)


def test_black_counts_where_another_band_is_not_black(tmp_path, recorder):
    image = np.zeros((2, 1, 4), dtype=np.uint8)
    image[0] = 0, 0, 90, 90
    image[1] = 0, 60, 60, 60
    red, elevation = measure(tmp_path, [image], recorder, nodata=0)
    assert red.mean == pytest.approx(60.0)
    assert elevation.mean == pytest.approx(60.0)


def test_a_patch_without_data_changes_nothing(tmp_path, recorder):
    empty = np.full((1, 8, 8), np.nan, dtype=np.float32)
    full = np.arange(64, dtype=np.float32).reshape(1, 8, 8)
    (red,) = measure(tmp_path, [empty, full], recorder)
    assert (red.mean, red.minimum, red.maximum) == (31.5, 0.0, 63.0)
    with pytest.raises(InputError, match="no valid pixel in: red"):
        measure(tmp_path, [empty], recorder)


def test_a_constant_band_still_has_a_deviation(tmp_path, recorder):
    (red,) = measure(tmp_path, [np.full((1, 8, 8), 0.7, dtype=np.float32)], recorder)
    assert red.std > 0
    assert red.mean == pytest.approx(0.7)


def test_large_sets_are_sampled_by_the_seed(tmp_path, recorder, monkeypatch):
    monkeypatch.setattr(band_statistics, "LARGEST_SAMPLE", 3)
    images = [np.full((1, 4, 4), 2**number, dtype=np.uint8) for number in range(8)]
    found = {seed: measure(tmp_path, images, recorder, seed=seed)[0].mean for seed in (0, 0, 1, 2, 3)}
    assert measure(tmp_path, images, recorder, seed=0)[0].mean == found[0]
    assert len(set(found.values())) > 1
    # Three different patches each time.
    assert all(bin(round(3 * mean)).count("1") == 3 for mean in found.values())


def test_cancelling_stops(tmp_path, recorder):
    path = tmp_path / "a.tif"
    tiny.write(path, np.zeros((1, 4, 4), dtype=np.uint8))
    wish = threading.Event()
    wish.set()
    with pytest.raises(Cancelled):
        measure_bands([Pair(path, path)], ("red",), read_header(path), recorder, wish)
    assert recorder.fractions == []

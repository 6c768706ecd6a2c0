from __future__ import annotations

import numpy as np
import pytest

from engine.preparation.stretch import Stretch, measure_stretch


def test_values_become_even_steps():
    stretched = Stretch(100, 610).apply(np.array([0, 100, 101, 103, 355, 610, 65535], dtype=np.uint16))
    assert stretched.tolist() == [0, 0, 0, 2, 128, 255, 255]
    assert stretched.dtype == np.uint8


def test_percentiles_are_each_bands_own():
    samples = {"red": np.arange(1001), "infrared": np.arange(1001) * 2.0}
    assert measure_stretch(samples, (10, 90), None) == {"red": Stretch(100, 900), "infrared": Stretch(200, 1800)}
    assert measure_stretch(samples, None, None)["red"].low == pytest.approx(5)
    assert measure_stretch(samples, None, (0, 4095)) == dict.fromkeys(samples, Stretch(0, 4095))


def test_a_constant_band_stays_dark():
    stretch = measure_stretch({"red": np.full(10, 500)}, None, None)["red"]
    assert stretch.apply(np.array([500])).tolist() == [0]

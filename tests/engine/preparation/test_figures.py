from __future__ import annotations

import numpy as np
import pytest

from engine.preparation.figures import Figures
from engine.preparation.heights import HeightFlag
from engine.preparation.stack import INFRARED_MISSING

BANDS = ("red", "green", "blue", "infrared", "elevation")


def test_figures_of_windows_are_those_of_the_whole():
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (5, 60, 80)).astype(np.uint8)
    image[3] = image[0] // 2 + image[3] // 2
    valid = generator.random((60, 80)) > 0.2
    figures = Figures(BANDS)
    for start in (0, 25, 40):
        rows = slice(start, {0: 25, 25: 40, 40: 60}[start])
        figures.add(image[:, rows], valid[rows], np.zeros_like(valid[rows], dtype=np.uint8))
    assert figures.valid == valid.sum()
    for number, name in enumerate(BANDS):
        values, band = image[number][valid].astype(float), figures.band(name)
        assert band.mean == pytest.approx(values.mean())
        assert band.deviation == pytest.approx(values.std())
        assert (band.minimum, band.maximum) == (values.min(), values.max())
        assert band.at_0 == pytest.approx((values == 0).mean())
        assert band.at_255 == pytest.approx((values == 255).mean())
    for number, name in enumerate(("red", "green", "blue")):
        expected = np.corrcoef(image[3][valid], image[number][valid])[0, 1]
        assert figures.correlations()[name] == pytest.approx(expected)


def test_flags_are_counted_each():
    figures = Figures(BANDS)
    flags = np.array(
        [[HeightFlag.MISSING, HeightFlag.FILLED | HeightFlag.BELOW_GROUND, HeightFlag.ABSURD, INFRARED_MISSING, 0]],
        dtype=np.uint8,
    )
    figures.add(np.zeros((5, 1, 5), np.uint8), np.array([[True, True, True, False, True]]), flags)
    assert figures.to_dict() == {
        "pixels": 0,
        "valid": 4,
        "without_infrared": 1,
        "without_height": 1,
        "filled_height": 1,
        "below_ground": 1,
        "absurd_height": 1,
    }
    assert figures.share(HeightFlag.MISSING) == 0.25


def test_a_constant_band_has_no_correlation():
    figures = Figures(BANDS)
    image = np.random.default_rng(1).integers(0, 256, (5, 30, 30)).astype(np.uint8)
    image[3] = 77
    figures.add(image, np.ones((30, 30), bool), np.zeros((30, 30), np.uint8))
    assert all(np.isnan(value) for value in figures.correlations().values())
    assert Figures(("red", "green", "blue")).correlations() == {}


def test_nothing_valid_has_no_mean():
    assert np.isnan(Figures(BANDS).band("red").mean)

from __future__ import annotations

import numpy as np
import pytest

from engine.rasters.resampling import apply_taps, make_taps, reflect


@pytest.mark.parametrize("scale", [0.2, 0.25, 0.37, 0.8, 0.99, 1.0, 1.25, 3.7])
def test_weights_sum_to_one_and_do_not_depend_on_the_range(scale):
    whole = make_taps(-50, 400, scale)
    part = make_taps(33, 20, scale)
    assert whole.weights.sum(axis=1) == pytest.approx(1)
    assert np.array_equal(part.indices, whole.indices[83:103])
    assert np.array_equal(part.weights, whole.weights[83:103])


def test_a_whole_ratio_averages_exactly():
    values = np.arange(12, dtype=np.float32)
    assert apply_taps(values, make_taps(0, 3, 0.25), 0, 0).tolist() == [1.5, 5.5, 9.5]


def test_a_broken_ratio_weighs_by_share():
    values = np.array([1, 2, 3], np.float32)
    assert apply_taps(values, make_taps(0, 2, 2 / 3), 0, 0) == pytest.approx([(1 + 2 * 0.5) / 1.5, (2 * 0.5 + 3) / 1.5])


def test_finer_is_linear_between_centres():
    values = np.array([9, 10, 20, 9], np.float32)
    taps = make_taps(2, 4, 2.0)
    assert apply_taps(values, taps, 0, 0) == pytest.approx([9.75, 12.5, 17.5, 17.25])


def test_reflect_equals_numpy_and_repeats_a_single_pixel():
    assert np.array_equal(np.arange(5)[reflect(np.arange(-9, 14), 5)], np.pad(np.arange(5), 9, mode="reflect"))
    assert reflect(np.arange(-3, 3), 1).tolist() == [0] * 6

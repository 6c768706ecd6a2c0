from __future__ import annotations

import math

import numpy as np

from engine.data.scene.relief import SUN_AZIMUTH, SUN_ELEVATION, lambert, shadow_of


def test_shadow_is_as_long_as_the_sun_says():
    height = np.zeros((120, 120), dtype=np.float32)
    height[80:84, 50:70] = 10.0  # a wall, 10 m high
    shadow = shadow_of(height, 0.5, 20.0)
    length = 10.0 / math.tan(SUN_ELEVATION) * -math.cos(SUN_AZIMUTH) / 0.5  # rows, towards the north
    shaded = np.flatnonzero(shadow[:80, 55] > 0.5)
    assert abs((80 - shaded.min()) - length) <= 2
    assert shaded.max() == 79
    assert shadow[90:].max() == 0


def test_level_ground_is_even_and_slopes_to_the_sun_are_bright():
    level = lambert(np.zeros((10, 10), dtype=np.float32), 0.2, np.zeros((10, 10), dtype=bool))
    np.testing.assert_allclose(level, 1.0, rtol=1e-6)
    # falls towards the south, where the sun is
    south = -0.1 * np.arange(10, dtype=np.float32)[:, None].repeat(10, axis=1)
    assert lambert(south, 0.2, np.zeros((10, 10), dtype=bool)).mean() > 1.0
    assert lambert(-south, 0.2, np.zeros((10, 10), dtype=bool)).mean() < 1.0


def test_walls_are_not_seen_from_above():
    height = np.zeros((10, 10), dtype=np.float32)
    height[:, 5:] = 6.0
    assert lambert(height, 0.2, np.zeros((10, 10), dtype=bool)).min() < 0.8
    np.testing.assert_allclose(lambert(height, 0.2, np.ones((10, 10), dtype=bool)), 1.0, rtol=1e-6)

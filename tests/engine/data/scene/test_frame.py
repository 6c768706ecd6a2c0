from __future__ import annotations

import numpy as np
import pytest

from engine.data.scene.frame import Frame


@pytest.mark.parametrize("angle", [-0.5, 0.0, 0.4])
def test_there_and_back_is_where_it_was(angle):
    frame = Frame(400.0, 200.0, angle, (0.3, 2.0))
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, 400, 500), -rng.uniform(0, 200, 500)
    back = frame.to_ground(np.column_stack(frame.to_plan(x, y)))
    np.testing.assert_allclose(back, np.column_stack([x, y]), atol=1e-6)


def test_bounds_cover_the_scene():
    frame = Frame(400.0, 200.0, 0.4, (0.3, 2.0))
    x, y = np.meshgrid(np.linspace(0, 400, 41), -np.linspace(0, 200, 21))
    u, v = frame.to_plan(x, y)
    u0, v0, u1, v1 = frame.plan_bounds()
    assert u0 < u.min() < u.max() < u1
    assert v0 < v.min() < v.max() < v1

from __future__ import annotations

import numpy as np
import pytest

from engine.rasters.model_grid import ModelGrid
from engine.rasters.windows import PixelWindow


@pytest.mark.parametrize("gsd", [(0.2, 0.2), (0.203, 0.197)])
def test_identity_within_two_per_cent(gsd):
    grid = ModelGrid.fit(100, 50, gsd, 0.2)
    assert grid.identity
    assert (grid.width, grid.height) == (100, 50)
    window = PixelWindow(3, 4, 10, 11)
    assert grid.to_model(window) == window
    assert grid.image_to_model_index(5, 3, 0).tolist() == [5, 6, 7]


def test_one_axis_off_is_no_identity():
    assert not ModelGrid.fit(100, 50, (0.2, 0.25), 0.2).identity


def test_covers_the_image():
    grid = ModelGrid.fit(101, 50, (0.1, 0.5), 0.2)
    assert (grid.width, grid.height) == (51, 125)
    assert ModelGrid.fit(1, 1, (0.05, 0.05), 0.2).width == 1
    assert ModelGrid.fit(1000, 1000, (0.6, 0.6), 0.2).width == 3000


@pytest.mark.parametrize("gsd", [0.05, 0.1, 0.15, 0.25, 0.3, 0.8])
def test_every_image_pixel_finds_its_model_pixel_inside_the_cover(gsd):
    grid = ModelGrid.fit(997, 997, (gsd, gsd), 0.2)
    window = PixelWindow(13, 700, 297, 297)
    cover = grid.to_model(window)
    rows = grid.image_to_model_index(window.row, window.height, 0)
    columns = grid.image_to_model_index(window.column, window.width, 1)
    assert rows.min() >= cover.row
    assert rows.max() < cover.bottom
    assert columns.max() < min(cover.right, grid.width)
    # The nearest centre: never further than half a model pixel.
    centre = (np.arange(window.row, window.bottom) + 0.5) * grid.scale_y
    assert np.abs(rows + 0.5 - centre).max() <= 0.5 + 1e-9

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine

from engine.preparation.alignment import Alignment, Axis, resample, window_of
from engine.rasters.virtual_raster import OutputGrid
from engine.rasters.windows import PixelWindow


def grid(width, height, pixel, left=1000.0, top=2000.0):
    return OutputGrid(width, height, Affine(pixel, 0, left, 0, -pixel, top), None)


def on_grid(values, alignment, window, valid=None):
    valid = np.ones(values.shape, bool) if valid is None else valid
    rows, columns = alignment.taps(window)
    area = window_of(rows, columns)
    where = area.slices_in(PixelWindow(0, 0, *values.shape))
    return resample(values[where], valid[where], area, rows, columns)


def bilinear(values, grid_to, grid_from):
    """Plain bilinear interpolation between centres, edges repeated, pixel by pixel."""
    out = np.zeros((grid_to.height, grid_to.width))
    for row in range(grid_to.height):
        for column in range(grid_to.width):
            x, y = ~grid_from.transform * (grid_to.transform * (column + 0.5, row + 0.5))
            u, v = x - 0.5, y - 0.5
            c, r = int(np.floor(u)), int(np.floor(v))
            fx, fy = u - c, v - r
            corner = lambda i, j: values[min(max(i, 0), grid_from.height - 1), min(max(j, 0), grid_from.width - 1)]  # noqa: E731
            upper = corner(r, c) * (1 - fx) + corner(r, c + 1) * fx
            lower = corner(r + 1, c) * (1 - fx) + corner(r + 1, c + 1) * fx
            out[row, column] = upper * (1 - fy) + lower * fy
    return out


def test_a_coarser_raster_is_interpolated_between_its_centres():
    values = np.random.default_rng(0).uniform(0, 100, (12, 14))
    to, source = grid(30, 26, 0.2, 1000.3, 1999.9), grid(14, 12, 0.5)
    found, inside = on_grid(values, Alignment.of(to, source), to.window)
    assert inside.all()
    np.testing.assert_allclose(found, bilinear(values, to, source), atol=1e-9)


def test_a_finer_raster_is_averaged_over_each_footprint():
    values = np.arange(64.0).reshape(8, 8)
    found, inside = on_grid(values, Alignment.of(grid(4, 4, 0.4), grid(8, 8, 0.2)), PixelWindow(0, 0, 4, 4))
    np.testing.assert_allclose(found, values.reshape(4, 2, 4, 2).mean(axis=(1, 3)))
    assert inside.all()


def test_a_footprint_of_fractions_counts_them_by_share():
    found, _ = on_grid(
        np.array([[0.0, 10.0, 20.0]]), Alignment(Axis(0, 1, 1), Axis(0, 1.5, 3)), PixelWindow(0, 0, 1, 2)
    )
    np.testing.assert_allclose(found, [[(0 + 0.5 * 10) / 1.5, (0.5 * 10 + 20) / 1.5]])


def test_the_same_grid_shifted_by_whole_pixels_is_copied():
    values = np.random.default_rng(1).uniform(-5, 5, (9, 9))
    alignment = Alignment.of(grid(4, 4, 0.2, 1000.4, 1999.4), grid(9, 9, 0.2))
    assert alignment.exact
    assert alignment.shift == pytest.approx((0, 0), abs=1e-6)
    found, _ = on_grid(values, alignment, PixelWindow(0, 0, 4, 4))
    assert (found == values[3:7, 2:6]).all()


def test_the_shift_is_told_in_the_rasters_own_pixels():
    assert Alignment.of(grid(4, 4, 0.2, 1000.1, 2000), grid(9, 9, 0.5)).shift == pytest.approx((0.2, 0.0))


def test_missing_values_never_mix_in():
    values = np.full((6, 6), 7.0)
    valid = np.ones((6, 6), bool)
    values[2:4, 2:4], valid[2:4, 2:4] = -9999.0, False
    to, source = grid(15, 15, 0.2), grid(6, 6, 0.5)
    found, known = on_grid(values, Alignment.of(to, source), to.window, valid)
    np.testing.assert_allclose(found[known], 7.0)
    assert (found[~known] == 0).all()
    # centres deep in the hole, from 1.25 m to 1.75 m, are made of nothing else
    assert not known[6:9, 6:9].any()
    assert known[:5].all()


def test_what_lies_beyond_the_raster_is_missing():
    to, source = grid(20, 20, 0.2, 999.0, 2001.0), grid(4, 4, 0.5)
    _, inside = on_grid(np.ones((4, 4)), Alignment.of(to, source), to.window)
    assert inside.sum() == 10 * 10
    assert inside[5:15, 5:15].all()


@pytest.mark.parametrize(("pixel", "left"), [(0.5, 1000.13), (0.2, 1000.07), (0.13, 1000.0), (1.0, 999.2)])
def test_a_pixel_is_the_same_whichever_window_asks(pixel, left):
    generator = np.random.default_rng(2)
    source = grid(60, 60, pixel, left)
    values = generator.uniform(0, 4000, (60, 60))
    valid = generator.random((60, 60)) > 0.3
    alignment = Alignment.of(grid(40, 40, 0.2), source)
    whole, known = on_grid(values, alignment, PixelWindow(0, 0, 40, 40), valid)
    for row, column, height, width in ((0, 0, 7, 40), (7, 3, 20, 11), (33, 30, 7, 10), (5, 5, 1, 1)):
        part = PixelWindow(row, column, height, width)
        found, inside = on_grid(values, alignment, part, valid)
        where = part.slices_in(PixelWindow(0, 0, 40, 40))
        assert (found == whole[where]).all()
        assert (inside == known[where]).all()

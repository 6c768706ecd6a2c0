from __future__ import annotations

import numpy as np
import pytest

from engine.preparation.alignment import Alignment
from engine.preparation.heights import HeightFlag, HeightModel, HeightReading, encode_elevation, fill_holes
from engine.preparation.sources import grid_of
from engine.rasters.source import RasterSource
from engine.rasters.virtual_raster import OutputGrid
from engine.rasters.windows import PixelWindow
from tests.engine import tiny


@pytest.mark.parametrize(
    ("metres", "value"),
    [(0.0, 0), (-3.0, 0), (0.09, 0), (0.11, 1), (1.0, 5), (50.9, 254), (51.0, 255), (300.0, 255), (0.3, 2), (0.1, 0)],
)
def test_elevation_is_steps_of_a_fifth_of_a_metre(metres, value):
    assert encode_elevation(np.array([metres]))[0] == value


def test_holes_are_filled_from_their_surroundings_and_no_further():
    metres = np.full((40, 40), 10.0)
    valid = np.ones((40, 40), bool)
    valid[5:8, 5:8] = False
    valid[15:40, 15:40] = False
    metres[~valid] = -9999.0
    filled, found = fill_holes(metres, valid, 4.0)
    assert found[5:8, 5:8].all()
    np.testing.assert_allclose(filled[found], 10.0, rtol=1e-6)
    # 25 pixels wide: the middle is further than 4 pixels from any data
    assert not found[22:34, 22:34].any()
    assert found[16, 16:38].all()


def test_what_was_measured_stays_as_it_is():
    generator = np.random.default_rng(0)
    metres = generator.uniform(100, 200, (30, 30)) + 1e-9
    valid = generator.random((30, 30)) > 0.4
    filled, found = fill_holes(np.where(valid, metres, -9999.0), valid, 5.0)
    assert (filled[valid] == metres[valid]).all()
    assert found[valid].all()


def test_flags_tell_missing_filled_sunken_and_absurd():
    metres = np.array([[0.0, 5.0, -1.5, 250.0, -0.5]])
    known = np.array([[False, True, True, True, True]])
    filled = np.array([[False, True, False, False, False]])
    flags = HeightReading(metres, known, filled).flags()
    assert flags.tolist() == [[HeightFlag.MISSING, HeightFlag.FILLED, HeightFlag.BELOW_GROUND, HeightFlag.ABSURD, 0]]


@pytest.mark.parametrize("fill", [0.0, 3.0, 9.5])
def test_tile_borders_do_not_show(tmp_path, recorder, fill):
    generator = np.random.default_rng(3)
    metres = generator.uniform(200, 260, (90, 90)).astype(np.float32)
    # holes of all sizes
    for _ in range(60):
        row, column, side = generator.integers(0, 85), generator.integers(0, 85), generator.integers(1, 14)
        metres[row : row + side, column : column + side] = -9999
    metres[30:75, 20:60] = -9999
    path = tiny.write(tmp_path / "dsm.tif", metres[None], pixel=0.5, nodata=-9999)
    source = RasterSource.open([path], ("elevation",), bands={"elevation": 1}, reporter=recorder)
    grid = OutputGrid(200, 200, grid_of(source).transform * grid_of(source).transform.scale(0.4), source.crs)
    model = HeightModel(source, Alignment.of(grid, grid_of(source)), 1.0, fill)
    with source.reader() as reader:
        whole = model.read(reader, grid.window)
        assert whole[1].any()
        assert not whole[1].all()
        assert whole[2].any() == (fill > 0)
        for row in range(0, 200, 37):
            for column in range(0, 200, 53):
                part = PixelWindow(row, column, min(37, 200 - row), min(53, 200 - column))
                where = part.slices_in(grid.window)
                for found, expected in zip(model.read(reader, part), whole, strict=True):
                    assert (found == expected[where]).all()

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from engine.errors import OutputError
from engine.rasters.sheets import SheetGrid, check_sheets, sheets_folder
from engine.rasters.windows import PixelWindow
from tests.engine.rasters.stored_tiles import grid_of

# 4 m a pixel: sheets of 1000 m are 250 pixels; the grid begins 2 m beside a pixel edge of them.
TRANSFORM = Affine(4, 0, 960_602, 0, -4, 6_329_398)


@pytest.fixture
def output(tmp_path):
    return tmp_path / "map.vrt"


def sheets_of(grid, size, stem="s"):
    """Return all sheets, by row and column."""
    squares = SheetGrid(grid, size, stem)
    return [squares.sheet(place) for place in squares.touched(grid.window)]


def test_every_pixel_is_in_exactly_one_sheet():
    grid = grid_of(1234, 987, Affine(0.3, 0, -100.1, 0, -0.3, 55.55))
    count = np.zeros((1234, 987), dtype=int)
    names = set()
    for sheet in sheets_of(grid, 77.7):
        window = sheet.window
        assert window.pixels
        count[window.row : window.bottom, window.column : window.right] += 1
        names.add(sheet.name)
    assert (count == 1).all()
    assert len(names) == len(sheets_of(grid, 77.7))


def test_a_window_touches_the_sheets_that_it_shares_pixels_with():
    squares = SheetGrid(grid_of(1000, 1000, Affine(1, 0, 0, 0, -1, 1000)), 100, "s")
    assert squares.touched(PixelWindow(90, 190, 20, 20)) == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert squares.touched(PixelWindow(0, 0, 100, 100)) == [(0, 0)]
    assert squares.sheet((1, 2)).window == PixelWindow(100, 200, 100, 100)
    assert squares.row_edges == squares.column_edges == list(range(0, 1001, 100))


@pytest.mark.parametrize(
    ("corner", "size", "name"),
    [
        ((961_000, 6_329_000), 1000, "s_0961_6329"),
        ((960_000, 6_330_000), 5000, "s_0960_6330"),
        ((961_500, 6_329_500), 500, "s_0961500_6329500"),
        ((961_012.5, 6_329_000), 12.5, "s_0961012.5_6329000.0"),
        ((-2000, 0), 1000, "s_-002_0000"),
        ((961_000.0000001, 6_328_999.9999999), 1000, "s_0961_6329"),
    ],
)
def test_names_are_the_upper_left_corner(corner, size, name):
    grid = grid_of(100, 100, Affine(0.1, 0, corner[0], 0, -0.1, corner[1]))
    assert [(sheet.name, sheet.window) for sheet in sheets_of(grid, size)] == [(name, grid.window)]


@pytest.mark.parametrize(
    ("grid", "size", "message"),
    [
        (grid_of(10, 10, Affine(1, 0.1, 0, 0.1, -1, 0)), 1000, "north at the top"),
        (grid_of(10, 10, Affine(1, 0, 0, 0, 1, 0)), 1000, "north at the top"),
        (grid_of(10, 10, Affine(1e-5, 0, 2, 0, -1e-5, 48), CRS.from_epsg(4326)), 1000, "degrees"),
        (grid_of(10, 10, TRANSFORM), 100, "smaller than 64 pixels"),
    ],
)
def test_grids_that_cannot_be_cut(output, grid, size, message):
    with pytest.raises(OutputError, match=message) as caught:
        check_sheets(output, grid, size, overwrite=False)
    assert caught.value.hint


def test_a_folder_with_other_files_is_never_replaced(output):
    sheets_folder(output).mkdir()
    (sheets_folder(output) / "thesis.doc").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"thesis\.doc"):
        check_sheets(output, grid_of(10, 10, TRANSFORM), 1000, overwrite=True)

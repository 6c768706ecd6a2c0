"""Where patches lie."""

from __future__ import annotations

import pytest

from engine.errors import InputError
from engine.extraction.patch_grid import lay_grid
from engine.rasters.windows import PixelWindow


@pytest.mark.parametrize(
    ("height", "width", "size", "overlap", "rows", "columns", "reach"),
    [
        (64, 64, 64, 0, 1, 1, 0),
        (127, 128, 64, 0, 1, 2, 0),
        (200, 300, 64, 0, 3, 4, 0),
        (128, 128, 64, 32, 3, 3, 1),
        (127, 127, 64, 1, 2, 2, 1),
        (128, 128, 64, 48, 5, 5, 3),
    ],
)
def test_all_patches_lie_inside(height, width, size, overlap, rows, columns, reach):
    grid = lay_grid(height, width, size, overlap)
    assert (grid.rows, grid.columns, grid.reach) == (rows, columns, reach)
    last = grid.window(rows - 1, columns - 1)
    assert last == PixelWindow((rows - 1) * (size - overlap), (columns - 1) * (size - overlap), size, size)
    assert last.bottom == grid.height <= height
    assert last.right == grid.width <= width
    assert height - grid.height < size - overlap


def test_neighbours_share_the_overlap():
    grid = lay_grid(300, 300, 64, 20)
    assert grid.window(0, 0).intersection(grid.window(0, 1)).width == 20
    assert grid.window(0, 0).intersection(grid.window(0, grid.reach + 1)).width == 0


def test_an_image_smaller_than_a_patch_is_refused_with_the_size_that_fits():
    with pytest.raises(InputError, match=r"smaller than a patch of 512 pixels.*--patch-size: 192 or less"):
        lay_grid(200, 900, 512, 0)
    with pytest.raises(InputError, match=r"The smallest patch is 64 pixels wide"):
        lay_grid(50, 900, 64, 0)


def test_too_many_places_are_refused():
    with pytest.raises(InputError, match="--overlap"):
        lay_grid(100_000, 100_000, 64, 63)

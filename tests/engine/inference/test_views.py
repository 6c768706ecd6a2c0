from __future__ import annotations

import numpy as np
import pytest

from engine.inference.views import View
from engine.rasters.windows import PixelWindow


@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("shape", [(96, 64), (32, 160)])
def test_a_part_of_turned_pixels_is_known_by_its_window(quarters, mirrored, shape):
    """Each pixel holds its place, so that a part tells which window it was cut from."""
    numbers = np.arange(shape[0] * shape[1]).reshape(shape)
    turned = np.rot90(numbers, quarters)
    turned = turned[:, ::-1] if mirrored else turned
    view = View(PixelWindow(100, 200, *shape)).turned(quarters, mirrored)
    for rows, columns in ((slice(0, 20), slice(None)), (slice(7, 30), slice(3, 500)), (slice(None), slice(11, 12))):
        part = view.part(rows, columns)
        seen = turned[rows, columns]
        rows_seen, columns_seen = np.unravel_index(seen, shape)
        window = part.window
        assert (window.row, window.bottom) == (100 + rows_seen.min(), 100 + rows_seen.max() + 1)
        assert (window.column, window.right) == (200 + columns_seen.min(), 200 + columns_seen.max() + 1)
        again = part.part(slice(1, 5), slice(0, 1))
        rows_seen, columns_seen = np.unravel_index(seen[1:5, 0:1], shape)
        assert (again.window.row, again.window.column) == (100 + rows_seen.min(), 200 + columns_seen.min())
        assert again.window.pixels == seen[1:5, 0:1].size

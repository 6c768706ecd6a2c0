from __future__ import annotations

import numpy as np
import pytest
from affine import Affine

from engine.rasters.source import RasterSource
from tests.engine import tiny

NORTH_UP = Affine(0.2, 0, 650000.0, 0, -0.2, 6860000.0)


@pytest.fixture
def make_source(tmp_path, recorder):
    """Return a source over an image of ones, 120 x 100 pixels of 0.2 m."""

    def make(height=100, width=120, transform=NORTH_UP, crs="EPSG:2154"):
        path = tiny.write(tmp_path / "image.tif", np.ones((3, height, width), np.uint8), transform=transform, crs=crs)
        gsd = None if crs else 0.2
        return RasterSource.open([path], ("red", "green", "blue"), ground_sampling_distance=gsd, reporter=recorder)

    return make

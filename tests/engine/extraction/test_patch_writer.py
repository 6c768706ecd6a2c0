"""Patches as files."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS

from engine.extraction.patch_writer import encode_image, encode_mask
from engine.nomenclature import load_nomenclature
from tests.engine import tiny
from tests.engine.extraction.conftest import NORTH_UP

LAMBERT = CRS.from_epsg(2154)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32", "float64"])
@pytest.mark.parametrize(
    "names",
    [("red",), ("red", "green", "blue"), ("red", "green", "blue", "infrared"), ("infrared", "red", "ndvi", "x", "y")],
)
def test_pixels_names_and_place_come_back(tmp_path, dtype, names):
    values = tiny.smooth(len(names), 96, 96).astype(dtype)
    path = tmp_path / "i.tif"
    path.write_bytes(encode_image(values, names, LAMBERT, NORTH_UP))
    with rasterio.open(path) as file:
        assert (file.read() == values).all()
        assert file.dtypes == (dtype,) * len(names)
        assert file.descriptions == names
        assert file.crs == LAMBERT
        assert file.transform == NORTH_UP
        assert file.nodata is None
        assert file.compression.name == "deflate"
        assert "alpha" not in [kind.name for kind in file.colorinterp]
        assert file.read_masks().all()


def test_the_mask_has_the_colours_of_the_classes(tmp_path):
    nomenclature = load_nomenclature("flair")
    codes = np.random.default_rng(0).choice([0, *nomenclature.codes], (512, 512)).astype(np.uint8)
    path = tmp_path / "m.tif"
    path.write_bytes(encode_mask(codes, nomenclature, LAMBERT, NORTH_UP))
    with rasterio.open(path) as file:
        assert (file.read(1) == codes).all()
        assert file.nodata == 0
        assert file.descriptions == ("Land cover",)
        assert file.profile["tiled"]
        colours = file.colormap(1)
        for item in nomenclature.classes:
            assert colours[item.code] == (*item.rgb, 255)
        assert colours[0][3] == 0


def test_without_a_crs(tmp_path):
    path = tmp_path / "i.tif"
    path.write_bytes(encode_image(np.ones((1, 64, 64), np.uint8), ("red",), None, NORTH_UP))
    with rasterio.open(path) as file:
        assert file.crs is None
        assert file.transform == NORTH_UP

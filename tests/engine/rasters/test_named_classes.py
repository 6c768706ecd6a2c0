from dataclasses import replace

import numpy as np
import rasterio

from engine.nomenclature import load_nomenclature
from engine.rasters.class_raster import class_dressing
from engine.rasters.named_classes import named_classes
from engine.rasters.raster_file import describe
from engine.rasters.style import category_lines, class_aux_xml, color_table
from engine.rasters.virtual_raster import Layer, OutputGrid, PlacedFile, write_vrt
from engine.rasters.windows import PixelWindow
from tests.engine import tiny

FLAIR = load_nomenclature("flair")


def test_classes_that_a_raster_of_this_engine_names(tmp_path):
    path = tiny.write(tmp_path / "p.tif", np.ones((1, 4, 4), np.uint8))
    assert named_classes(describe(path)) == FLAIR
    some = FLAIR.with_disabled({2, 3, 15, 16, 17, 19})
    (tmp_path / "p.tif.aux.xml").write_text(class_aux_xml(some))
    assert named_classes(describe(path)) == some


def test_classes_of_another_nomenclature(tmp_path):
    path = tiny.write(tmp_path / "p.tif", np.ones((1, 4, 4), np.uint8))
    (tmp_path / "p.tif.aux.xml").write_text(class_aux_xml(tiny.TINY_CLASSES))
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, dict(enumerate(color_table(tiny.TINY_CLASSES))))
    found = named_classes(describe(path))
    assert [(item.code, item.name, item.color) for item in found.classes] == [
        (1, "road", "#888888"), (3, "grass", "#00ff00"), (5, "water", "#0000ff"), (7, "roof", "#ff0000"),
    ]  # fmt: skip


def test_classes_that_a_vrt_names(tmp_path):
    tile = tmp_path / "t.tif"
    tiny.write(tile, np.ones((1, 4, 4), np.uint8))
    dressing = class_dressing(FLAIR, {})
    dressing = replace(dressing, band_lines=[*category_lines(FLAIR, "    "), *dressing.band_lines])
    grid = OutputGrid(4, 4, rasterio.Affine(0.2, 0, 0, 0, -0.2, 0), rasterio.CRS.from_epsg(2154))
    placed = [PlacedFile(tile, PixelWindow(0, 0, 4, 4))]
    write_vrt(tmp_path / "p.vrt", grid, Layer("classes", 1, "uint8", 0), placed, dressing)
    assert named_classes(describe(str(tmp_path / "p.vrt"))) == FLAIR

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS

from engine.errors import Cancelled, OutputError
from engine.rasters.sheets import check_sheets, plan_sheets, sheets_folder, write_sheets
from engine.rasters.virtual_raster import PlacedFile
from engine.rasters.windows import PixelWindow
from tests.engine.rasters.stored_tiles import (
    LAMBERT,
    NOMENCLATURE,
    fill,
    finish,
    grid_of,
    land_cover,
    names_in,
    open_store,
)

# 4 m a pixel: sheets of 1000 m are 250 pixels; the grid begins 2 m beside a pixel edge of them.
TRANSFORM = Affine(4, 0, 960_602, 0, -4, 6_329_398)


@pytest.fixture
def output(tmp_path):
    return tmp_path / "map.vrt"


def stored(output, image, transform=TRANSFORM):
    store = open_store(output, grid_of(*image.shape, transform))
    fill(store, 128, classes=image)
    return store


def everywhere(grid):
    return [PlacedFile(None, grid.window)]  # type: ignore[arg-type]


def test_sheets_hold_the_image_at_its_place(output):
    image = land_cover(400, 500)
    image[:, 350:] = 0  # the third column of sheets begins there
    store = stored(output, image)
    assert finish(write_sheets, store, output, NOMENCLATURE, 1000, {"FLAIR_MODEL": "m"}) == 6
    store.remove()
    assert names_in(output.parent) == {"map.vrt", "map.qml", "map_sheets"}
    folder = sheets_folder(output)
    names = {f"map_{x}_{y}" for x in ("0960", "0961") for y in ("6330", "6329", "6328")}
    assert names_in(folder) == {name + end for name in names for end in (".tif", ".tif.aux.xml", ".qml")}
    with rasterio.open(folder / "map_0961_6329.tif") as sheet:
        assert sheet.crs == LAMBERT
        assert sheet.nodata == 0
        assert sheet.shape == (250, 250)
        assert sheet.transform == Affine(4, 0, 961_002, 0, -4, 6_328_998)
        assert sheet.tags()["FLAIR_MODEL"] == "m"
        assert sheet.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert sheet.colormap(1)[1] == (*NOMENCLATURE.classes[0].rgb, 255)
        np.testing.assert_array_equal(sheet.read(1), image[100:350, 100:350])


def test_the_mosaic_moves_with_its_sheets(output, tmp_path):
    image = land_cover(400, 500)
    store = stored(output, image)
    finish(write_sheets, store, output, NOMENCLATURE, 1000, {})
    store.remove()
    (tmp_path / "elsewhere").mkdir()
    for name in ("map.vrt", "map_sheets"):
        (tmp_path / name).rename(tmp_path / "elsewhere" / name)
    with rasterio.open(tmp_path / "elsewhere" / "map.vrt") as file:
        np.testing.assert_array_equal(file.read(1), image)
        assert file.transform == TRANSFORM
        assert file.crs == LAMBERT
        assert file.nodata == 0
        assert file.colormap(1)[5] == (*NOMENCLATURE.classes[4].rgb, 255)
    assert "<Category>Building</Category>" in (tmp_path / "elsewhere" / "map.vrt").read_text()


def test_every_pixel_is_in_exactly_one_sheet():
    grid = grid_of(1234, 987, Affine(0.3, 0, -100.1, 0, -0.3, 55.55))
    count = np.zeros((1234, 987), dtype=int)
    names = set()
    for sheet in plan_sheets(grid, 77.7, "s", everywhere(grid)):
        window = sheet.window
        assert window.pixels
        count[window.row : window.bottom, window.column : window.right] += 1
        names.add(sheet.name)
    assert (count == 1).all()
    assert len(names) == len(plan_sheets(grid, 77.7, "s", everywhere(grid)))


def test_only_squares_with_tiles_have_sheets():
    grid = grid_of(1000, 1000, Affine(1, 0, 0, 0, -1, 1000))
    tiles = [PlacedFile(None, PixelWindow(90, 190, 20, 20)), PlacedFile(None, PixelWindow(0, 0, 100, 100))]  # type: ignore[arg-type]
    sheets = plan_sheets(grid, 100, "s", tiles)
    assert [sheet.window for sheet in sheets] == [
        PixelWindow(row, column, 100, 100) for row, column in [(0, 0), (0, 100), (0, 200), (100, 100), (100, 200)]
    ]
    assert sheets[0].tiles == (tiles[1],)


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
    sheets = plan_sheets(grid, size, "s", everywhere(grid))
    assert [(sheet.name, sheet.window) for sheet in sheets] == [(name, grid.window)]


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


def test_sheets_are_replaced_only_when_allowed(output):
    folder = sheets_folder(output)
    folder.mkdir()
    (folder / "map_0001_0001.tif").write_bytes(b"old")
    store = stored(output, land_cover(200, 200))
    with pytest.raises(OutputError, match="exists already"):
        finish(write_sheets, store, output, NOMENCLATURE, 1000, {})
    assert names_in(folder) == {"map_0001_0001.tif"}

    def cancelled():
        assert names_in(folder) == {"map_0001_0001.tif"}
        return any(folder.parent.glob(".map.vrt.*.partial/map_sheets/*.qml"))

    with pytest.raises(Cancelled):
        finish(write_sheets, store, output, NOMENCLATURE, 1000, {}, overwrite=True, cancelled=cancelled)
    assert names_in(folder) == {"map_0001_0001.tif"}
    finish(write_sheets, store, output, NOMENCLATURE, 1000, {}, overwrite=True)
    store.remove()
    assert "map_0001_0001.tif" not in names_in(folder)
    assert names_in(output.parent) == {"map.vrt", "map.qml", "map_sheets"}


def test_a_folder_with_other_files_is_never_replaced(output):
    sheets_folder(output).mkdir()
    (sheets_folder(output) / "thesis.doc").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"thesis\.doc"):
        check_sheets(output, grid_of(10, 10, TRANSFORM), 1000, overwrite=True)


def test_nothing_classified_is_a_mosaic_without_sheets(output):
    store = open_store(output, grid_of(300, 300, TRANSFORM))
    store.write(PixelWindow(0, 0, 300, 300), None)
    assert finish(write_sheets, store, output, NOMENCLATURE, 1000, {}) == 0
    with rasterio.open(output) as file:
        assert file.shape == (300, 300)
        assert not file.read(1).any()

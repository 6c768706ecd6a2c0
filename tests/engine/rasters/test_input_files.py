"""What an input names: a file, a folder, a list, an index of tiles."""

from __future__ import annotations

import numpy as np
import pyogrio
import pytest
import shapely

from engine.errors import InputError
from engine.rasters.input_files import listed_files
from engine.rasters.source import RasterSource
from engine.rasters.windows import PixelWindow


def index(path, locations, field="location", layer=None):
    shapes = shapely.box(np.arange(len(locations)), 0, np.arange(len(locations)) + 1, 1)
    pyogrio.raw.write(
        path,
        shapely.to_wkb(shapes),
        [np.array(locations, dtype=object), np.arange(len(locations))],
        [field, "number"],
        geometry_type="Polygon",
        crs="EPSG:2154",
        driver="GPKG" if str(path).endswith(".gpkg") else "ESRI Shapefile",
        layer=layer,
    )
    return str(path)


@pytest.fixture
def tiles(tmp_path, write_raster, noise):
    """Two images side by side in a folder, with what else lies in such folders."""
    folder = tmp_path / "tiles"
    folder.mkdir()
    pixels = noise((3, 40, 80))
    write_raster("tiles/b.tif", pixels[:, :, :40])
    write_raster("tiles/a.TIF", pixels[:, :, 40:], origin=(650008.0, 6860000.0))
    (folder / "readme.txt").write_text("tiles")
    (folder / "mosaic.vrt").write_text("<VRTDataset/>")
    (folder / "old.tif").mkdir()
    return folder, pixels


def test_a_folder_is_all_its_rasters(tiles, reporter):
    folder, pixels = tiles
    assert listed_files([str(folder)]) == [str(folder / "a.TIF"), str(folder / "b.tif")]
    source = RasterSource.open([str(folder)], ("red", "green", "blue"), bands={"red": 1, "green": 2, "blue": 3},
                               reporter=reporter)  # fmt: skip
    with source.reader() as reader:
        np.testing.assert_array_equal(reader.read(PixelWindow(0, 0, 40, 80))[0], pixels)


def test_a_folder_with_a_mosaic_alone_is_that(tmp_path):
    (tmp_path / "one.vrt").write_text("<VRTDataset/>")
    assert listed_files([str(tmp_path)]) == [str(tmp_path / "one.vrt")]


def test_a_list_names_files_from_where_it_lies(tmp_path):
    text = '# tiles of 2021\n\na.tif\n"sub/b c.tif"\n/data/d.tif\n/vsizip/x.zip/e.tif\n'
    (tmp_path / "list.txt").write_text(text, encoding="utf-8-sig")
    expected = [str(tmp_path / "a.tif"), str(tmp_path / "sub/b c.tif"), "/data/d.tif", "/vsizip/x.zip/e.tif"]
    assert listed_files([str(tmp_path / "list.txt")]) == expected
    (tmp_path / "names").write_text(text)
    assert listed_files([f"@{tmp_path / 'names'}"]) == expected


@pytest.mark.parametrize(("name", "field"), [("i.gpkg", "location"), ("i.gpkg", "Path"), ("i.shp", "location")])
def test_an_index_names_files(tmp_path, name, field):
    path = index(tmp_path / name, ["a.tif", None, "/data/b.tif"], field)
    assert listed_files([path]) == [str(tmp_path / "a.tif"), "/data/b.tif"]


def test_paths_of_an_index_may_count_from_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "tiles").mkdir()
    (tmp_path / "tiles" / "a.tif").write_bytes(b"")
    path = index(tmp_path / "tiles" / "i.gpkg", ["tiles/a.tif"])
    monkeypatch.chdir(tmp_path)
    assert listed_files([path]) == ["tiles/a.tif"]


def test_a_raster_in_a_geopackage_stays_a_raster(write_raster, noise, tmp_path):
    path = write_raster("r.gpkg", noise((3, 40, 40)), driver="GPKG")
    assert listed_files([path]) == [path]


def test_what_is_named_twice_counts_where_it_comes_last(tmp_path):
    assert listed_files(["a.tif", "b.tif", "a.tif"]) == ["b.tif", "a.tif"]
    assert listed_files(["ign:ortho", "/vsizip/a.zip", "https://host/a.tif"])[0] == "ign:ortho"


@pytest.mark.parametrize("kind", ["folder", "list", "no list", "binary", "index", "no field", "damaged"])
def test_what_names_no_image_is_told(tmp_path, kind):
    path = tmp_path / "x.txt"
    if kind == "folder":
        path = tmp_path / "empty"
        path.mkdir()
    elif kind == "list":
        path.write_text("# nothing\n\n")
    elif kind == "no list":
        path = f"@{tmp_path / 'missing.txt'}"
    elif kind == "binary":
        path.write_bytes(b"\xff\xfe\x00\x80")
    elif kind == "index":
        path = index(tmp_path / "i.gpkg", [None, None])
    elif kind == "no field":
        path = index(tmp_path / "i.gpkg", ["a"], "commune")
    else:
        path = tmp_path / "i.shp"
        path.write_bytes(b"no index")
    with pytest.raises(InputError) as caught:
        listed_files([str(path)])
    assert caught.value.hint
    assert str(path).lstrip("@") in str(caught.value)

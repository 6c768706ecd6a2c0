"""A class raster in another nomenclature, in one process."""

from __future__ import annotations

import threading
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio

from engine.commands.remap_classes import run
from engine.errors import Cancelled, InputError, OutputError
from engine.nomenclature import load_nomenclature
from engine.rasters.named_classes import named_classes
from engine.rasters.raster_file import describe
from engine.requests import parse_request
from tests.engine import tiny
from tests.engine.interruptions import left_behind
from tests.engine.patch_sets import ORIGIN, squares


@pytest.fixture
def codes():
    made = squares(700, 1100, codes=(1, 3, 7, 13, 18), side=50)
    made[:100, :50] = 0
    return made


@pytest.fixture
def remap(tmp_path, codes, recorder):
    path = tiny.write(tmp_path / "map.tif", codes[None], transform=ORIGIN, nodata=0)

    def do(mapping, cancelled=None, **options):
        values = {"input": path, "output": str(tmp_path / "new.tif"), "mapping": mapping, **options}
        return run(parse_request("remap-classes", values), recorder, cancelled or threading.Event())

    return do


def legend(path):
    entries = ElementTree.parse(path).getroot().iter("paletteEntry")
    return {int(item.get("value")): (item.get("label"), item.get("color")) for item in entries}


def test_the_order_of_flair_hub(remap, codes, tmp_path, recorder):
    result = remap("hub")
    table = np.zeros(256, np.uint8)
    for old, new in ((1, 1), (3, 4), (7, 13), (13, 3), (18, 2)):
        table[old] = new
    with rasterio.open(result["output"]) as file:
        assert (file.read(1) == table[codes]).all()
        assert (file.dtypes, file.nodata, file.crs.to_epsg()) == (("uint8",), 0, 2154)
        assert file.transform == ORIGIN
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.colormap(1)[13][:3] == (0x46, 0xE4, 0x83)
        assert file.tags()["FLAIR_NOMENCLATURE"] == "hub"
        assert file.overviews(1)
    assert legend(result["style"])[2] == ("Greenhouse", "#9999ff")
    names = {item.code: item.name for item in named_classes(describe(result["output"])).classes}
    assert (names[2], names[13]) == ("greenhouse", "deciduous")
    assert {row["code"]: row["pixels"] for row in result["classes"]} == {
        int(code): int(count) for code, count in zip(*np.unique(table[codes], return_counts=True), strict=True) if code
    }
    assert result["nomenclature"] == "hub"
    assert sorted(item.name for item in tmp_path.iterdir()) == ["map.tif", "new.qml", "new.tif", "new.tif.aux.xml"]
    assert recorder.fractions == sorted(recorder.fractions)


def test_twelve_classes(remap, codes):
    result = remap("flair-12")
    with rasterio.open(result["output"]) as file:
        assert (file.read(1) == np.where(codes > 12, 13, codes)).all()
    assert legend(result["style"])[13] == ("Other", "#000000")


def test_a_disabled_class_that_occurs_has_a_colour(remap, tmp_path):
    labels = tiny.write(tmp_path / "mask.tif", np.full((1, 20, 20), 15, np.uint8), transform=ORIGIN)
    result = remap("cosia", input=labels)
    found = legend(result["style"])
    assert found[15] == ("Clear cut", "#e48e4d")
    assert 16 not in found
    with pytest.raises(InputError, match="no pixel that the table 'flair-15' gives a class"):
        remap("flair-15", input=labels, output=str(tmp_path / "other.tif"))


def test_every_code_that_the_table_lacks_is_named(remap, codes, tmp_path):
    with pytest.raises(InputError) as error:
        remap("1=1,3=2")
    for code in (7, 13, 18):
        assert f"{code} ({(codes == code).sum()} pixels)" in error.value.message
    assert "default=0" in error.value.hint
    assert left_behind(tmp_path) == []
    assert not (tmp_path / "new.tif").exists()
    result = remap("1=1,3=2,default=9")
    with rasterio.open(result["output"]) as file:
        assert set(np.unique(file.read(1))) == {0, 1, 2, 9}


def test_values_beyond_a_byte(remap, tmp_path):
    path = tiny.write(tmp_path / "wide.tif", np.array([[[1000, 2]]], np.int16), transform=ORIGIN)
    result = remap("1000=1,2=2", input=path)
    with rasterio.open(result["output"]) as file:
        assert file.read(1).tolist() == [[1, 2]]


def test_a_table_is_for_the_codes_it_is_for(remap, tmp_path):
    hub = remap("hub")["output"]
    with pytest.raises(InputError, match="names its classes otherwise than 'flair'") as error:
        remap("flair-12", input=hub, output=str(tmp_path / "x.tif"))
    assert "--nomenclature flair" in error.value.hint
    # back again, by pairs
    pairs = ",".join(
        f"{new.code}={old.code}"
        for new in load_nomenclature("hub").classes
        for old in load_nomenclature("flair").classes
        if old.name == new.name
    )
    back = remap(pairs, input=hub, output=str(tmp_path / "back.tif"))
    with rasterio.open(back["output"]) as file, rasterio.open(tmp_path / "map.tif") as first:
        assert (file.read(1) == first.read(1)).all()
    assert legend(back["style"])[18][0] == "Greenhouse"


def test_outputs_are_whole_or_not_at_all(remap, tmp_path):
    remap("hub")
    before = (tmp_path / "new.tif").read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        remap("cosia")
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        remap("cosia", cancelled=stop, overwrite=True)
    assert (tmp_path / "new.tif").read_bytes() == before
    assert left_behind(tmp_path) == []
    with pytest.raises(OutputError, match="is the raster that is read"):
        remap("cosia", output=str(tmp_path / "map.tif"), overwrite=True)


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.ones((3, 9, 9), np.uint8), "has 3 bands"),
        (np.full((1, 9, 9), 0.5, np.float32), r"holds fractions such as 0\.5"),
        (np.zeros((1, 9, 9), np.uint8), "holds no pixel that the table"),
    ],
)
def test_what_is_no_class_raster(remap, tmp_path, array, sentence):
    with pytest.raises(InputError, match=sentence):
        remap("cosia", input=tiny.write(tmp_path / "x.tif", array))

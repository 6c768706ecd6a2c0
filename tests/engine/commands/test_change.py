"""From two class rasters to what changed, in one process."""

from __future__ import annotations

import csv
import json
import threading
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
from affine import Affine

from engine.commands.change import run
from engine.errors import Cancelled, InputError, OutputError, RequestError
from engine.maps import class_map
from engine.requests import parse_request
from tests.engine import tiny
from tests.engine.interruptions import left_behind
from tests.engine.vectors import box, write_features

METRES = Affine(1, 0, 650000, 0, -1, 6860000)
# A hectare on the grid of Lambert-93 there is so many on the ground; see test_pixel_area.
GROUND = 1.000248


@pytest.fixture
def before():
    made = np.full((200, 300), 10, np.uint8)
    made[:50] = 7
    made[:20, :20] = 0
    return made


@pytest.fixture
def after(before):
    """A house of 40 x 25 pixels, a road, a lost pool of one pixel, a hole."""
    made = before.copy()
    made[60:100, 100:125] = 1
    made[100:110, :] = 3
    made[150, 150] = 13
    made[190:, 290:] = 0
    return made


@pytest.fixture
def change(tmp_path, before, after, recorder):
    paths = {
        name: tiny.write(tmp_path / f"{name}.tif", codes[None], transform=METRES, nodata=0)
        for name, codes in (("before", before), ("after", after))
    }

    def do(cancelled=None, **options):
        values = {**paths, "output": str(tmp_path / "ch"), **options}
        return run(parse_request("change", values), recorder, cancelled or threading.Event())

    return do


def pixels_of(result):
    with rasterio.open(result["raster"]) as file:
        return file.read(1)


def rows_of(result):
    with open(result["table"], newline="", encoding="utf-8-sig") as stream:
        return [(row["name"], row["from"], row["to"], int(row["pixels"])) for row in csv.DictReader(stream)]


def test_raster_table_and_figures(change, before, after, tmp_path, recorder):
    result = change()
    both = (before != 0) & (after != 0)
    expected = np.where(both, np.where(before == after, 1, before.astype(int) * 100 + after), 0)
    with rasterio.open(result["raster"]) as file:
        assert (file.read(1) == expected).all()
        assert (file.dtypes, file.nodata, file.crs.to_epsg()) == (("uint16",), 0, 2154)
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        palette = file.colormap(1)
    entries = {
        int(item.get("value")): (item.get("label"), item.get("color"))
        for item in ElementTree.parse(result["style"]).getroot().iter("paletteEntry")
    }
    assert set(entries) == {1, 1001, 1003, 1013}
    assert entries[1001][0] == "Herbaceous vegetation -> building"
    assert entries[1][0] == "Unchanged"
    for code, (_, color) in entries.items():
        assert "#{:02x}{:02x}{:02x}".format(*palette[code][:3]) == color
    assert result["compared"] == pytest.approx(both.sum() / 1e4 * GROUND, rel=1e-5)
    assert result["changed"] == pytest.approx((1000 + 3000 + 1) / 1e4 * GROUND, rel=1e-5)
    assert result["left_out"] == 0
    assert [(item["to"], item["code"]) for item in result["transitions"]] == [
        ("impervious surface", 1003), ("building", 1001), ("swimming pool", 1013),
    ]  # fmt: skip
    sealed, unsealed = result["groups"]
    assert (sealed["name"], sealed["before"], sealed["loss"]) == ("sealed", 0, 0)
    assert sealed["gain"] == sealed["net"] == unsealed["loss"] == pytest.approx(0.4001 * GROUND, rel=1e-5)
    assert sorted(rows_of(result)) == [
        ("whole", "deciduous", "deciduous", int((both & (before == 7)).sum())),
        ("whole", "herbaceous vegetation", "building", 1000),
        ("whole", "herbaceous vegetation", "herbaceous vegetation", int((both & (before == 10)).sum()) - 4001),
        ("whole", "herbaceous vegetation", "impervious surface", 3000),
        ("whole", "herbaceous vegetation", "swimming pool", 1),
    ]
    assert sorted(item.name for item in (tmp_path / "ch").iterdir()) == [
        "change.csv", "change.qml", "change.tif", "change.tif.aux.xml", "report.html",
    ]  # fmt: skip
    assert json.dumps(result, allow_nan=False)
    assert left_behind(tmp_path) == []
    assert recorder.fractions == sorted(recorder.fractions)


def test_nothing_changed(change, tmp_path):
    result = change(after=str(tmp_path / "before.tif"))
    assert (result["changed"], result["transitions"]) == (0, [])
    assert "Nothing changed." in (tmp_path / "ch" / "report.html").read_text()


@pytest.mark.parametrize("side", [1024, 30])
def test_small_changes_are_left_out_across_tiles(change, before, monkeypatch, side, recorder):
    monkeypatch.setattr(class_map, "TILE", side)
    result = change(minimum_area=1500)
    found = pixels_of(result)
    assert (found[60:100, 100:125] == 2).all()
    assert found[150, 150] == 2
    assert (found[100:110] == 1003).all()
    assert result["changed"] == pytest.approx(0.3 * GROUND, rel=1e-5)
    assert result["left_out"] == pytest.approx(0.1001 * GROUND, rel=1e-5)
    assert "counted as unchanged" in recorder.warnings[-1]
    # what is left out stays what it was
    assert result["groups"][0]["gain"] == pytest.approx(0.3 * GROUND, rel=1e-5)
    assert (pixels_of(change(minimum_area=999, overwrite=True))[60:100, 100:125] == 1001).all()


def test_what_is_not_certain_is_left_out(change, tmp_path):
    sure = np.full((1, 200, 300), 90, np.uint8)
    sure[0, 60:100, 100:110] = 40
    sure[0, 60:100, 110:115] = 255
    path = tiny.write(tmp_path / "conf.tif", sure, transform=METRES, nodata=255)
    result = change(after_confidence=path, minimum_confidence=50)
    found = pixels_of(result)
    assert (found[60:100, 100:115] == 2).all()
    assert (found[60:100, 115:125] == 1001).all()
    assert result["left_out"] == pytest.approx(0.06 * GROUND, rel=1e-4)


def test_polygons_have_matrices(change, tmp_path):
    path = write_features(
        tmp_path / "c.gpkg", [box(METRES, 60, 100, 20, 25), box(METRES, 0, 100, 10, 10)], nom=["house", "wood"]
    )
    result = change(area=path)
    assert [(item["name"], round(item["changed"] / GROUND, 4)) for item in result["polygons"]] == [
        ("house", 0.05), ("wood", 0.0),
    ]  # fmt: skip
    assert ("house", "herbaceous vegetation", "building", 500) in rows_of(result)
    assert ("wood", "deciduous", "deciduous", 100) in rows_of(result)


def test_another_grid_is_resampled_and_that_is_said(change, before, after, tmp_path, recorder):
    # Twice as fine, and 50 pixels further to the north-west.
    fine = np.kron(np.pad(before, ((25, 0), (25, 0))), np.ones((2, 2), np.uint8))
    path = tiny.write(tmp_path / "fine.tif", fine[None], transform=Affine(0.5, 0, 649975, 0, -0.5, 6860025), nodata=0)
    expected = pixels_of(change())
    result = change(before=path, output=str(tmp_path / "other"))
    assert (pixels_of(result) == expected).all()
    assert "on another grid than the later one" in recorder.warnings[0]


def test_another_crs(change, before, tmp_path):
    from rasterio.warp import calculate_default_transform, reproject

    shape = before.shape
    transform, width, height = calculate_default_transform(
        "EPSG:2154", "EPSG:3857", shape[1], shape[0], 650000, 6859800, 650300, 6860000, resolution=0.4
    )
    there = np.zeros((1, height, width), np.uint8)
    reproject(before, there[0], src_transform=METRES, src_crs="EPSG:2154", dst_transform=transform, dst_crs="EPSG:3857")
    path = tiny.write(tmp_path / "m.tif", there, transform=transform, crs="EPSG:3857", nodata=0)
    expected = pixels_of(change())
    found = pixels_of(change(before=path, output=str(tmp_path / "other")))
    assert (found == expected).mean() > 0.995


@pytest.mark.parametrize("crs", [None, 'LOCAL_CS["RGF93 v1 / Lambert-93",UNIT["metre",1]]'])
def test_an_earlier_raster_without_a_crs(change, before, tmp_path, recorder, crs):
    expected = pixels_of(change())
    path = tiny.write(
        tmp_path / "bare.tif", before[None, 10:], transform=METRES * Affine.translation(0, 10), crs=crs, nodata=0
    )
    found = pixels_of(change(before=path, output=str(tmp_path / "other")))
    assert (found[10:] == expected[10:]).all()
    assert (found[:10] == 0).all()
    assert "taken to be in the later one's" in recorder.warnings[0]


def test_classes_that_differ_are_refused(change, tmp_path):
    from engine.nomenclature import load_nomenclature
    from engine.rasters.style import class_aux_xml

    (tmp_path / "before.tif.aux.xml").write_text(class_aux_xml(load_nomenclature("hub")))
    with pytest.raises(InputError, match="2 is 'greenhouse' before and 'pervious surface' after"):
        change()
    assert change(nomenclature="flair")["changed"] > 0


def test_groups_of_ones_own(change, tmp_path):
    (tmp_path / "g.yaml").write_text("green: [7, 10]\n")
    result = change(groups=str(tmp_path / "g.yaml"))
    assert [item["name"] for item in result["groups"]] == ["green", "others"]
    assert result["groups"][0]["loss"] == pytest.approx(0.4001 * GROUND, rel=1e-5)
    with pytest.raises(RequestError, match="cannot be read"):
        change(groups=str(tmp_path / "none.yaml"), output=str(tmp_path / "x"))


def test_again_and_cancelled(change, tmp_path):
    change()
    with pytest.raises(OutputError, match="exists already"):
        change()
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        change(cancelled=stop, overwrite=True)
    assert (tmp_path / "ch" / "change.tif").exists()
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(
    ("which", "array", "options", "sentence"),
    [
        ("before", np.ones((3, 9, 9), np.uint8), {}, "has 3 bands"),
        ("after", np.full((1, 9, 9), 0.5, np.float32), {}, r"holds fractions such as 0\.5"),
        ("after", np.ones((1, 9, 9), np.uint8), {"crs": None}, "has no CRS, so its hectares are unknown"),
        ("before", np.ones((1, 9, 9), np.uint8), {"transform": Affine(1, 0, 9e5, 0, -1, 6e6)}, "does not overlap"),
        ("before", np.full((1, 200, 300), 99, np.uint8), {"transform": METRES}, "No pixel has a class in both"),
    ],
)
def test_what_cannot_be_compared(change, tmp_path, which, array, options, sentence):
    path = tiny.write(tmp_path / "odd.tif", array, **{"transform": METRES, **options})
    with pytest.raises(InputError, match=sentence) as error:
        change(**{which: path})
    assert error.value.hint
    # The command has no such option.
    assert "--crs" not in error.value.hint
    assert not (tmp_path / "ch").exists()


def test_options_that_need_each_other():
    for options, sentence in (
        ({"minimum_confidence": 5}, "needs before_confidence or after_confidence"),
        ({"area_field": "nom"}, "need an area"),
    ):
        with pytest.raises(RequestError, match=sentence):
            parse_request("change", {"before": "a", "after": "b", "output": "c", **options})

"""From a class raster to a GeoPackage, in one process."""

from __future__ import annotations

import sqlite3
import threading
from collections import namedtuple
from contextlib import closing
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS

from engine.commands import polygonise
from engine.commands.polygonise import run
from engine.errors import Cancelled, EngineError, InputError, OutOfMemoryError, OutputError, RequestError
from engine.rasters.pixel_area import PixelAreas
from engine.rasters.windows import PixelWindow
from engine.requests import parse_request
from tests.engine import tiny
from tests.engine.interruptions import left_behind
from tests.engine.vectors import box, write_features
from tests.engine.vectors.drawn import noise, patches

METRES = Affine(1, 0, 650000, 0, -1, 6860000)


@pytest.fixture
def codes():
    """A building, a pond with an island of grass, grass around, two wrong pixels, and a corner without a class."""
    made = np.full((40, 50), 10, np.uint8)
    made[5:15, 5:20] = 1
    made[20:35, 20:40] = 5
    made[26:30, 28:33] = 10
    made[8, 12] = 5
    made[25, 22] = 1
    made[:4, 40:] = 0
    return made


@pytest.fixture
def make(tmp_path, codes, recorder):
    path = tiny.write(tmp_path / "map.tif", codes[None], transform=METRES, nodata=0)

    def do(cancelled=None, reporter=None, **options):
        values = {"input": path, "output": str(tmp_path / "made.gpkg"), "outline": "pixels", **options}
        return run(parse_request("polygonise", values), reporter or recorder, cancelled or threading.Event())

    return do


def read(path, layer=None):
    """Return the layer's CRS, and the fields and geometry of each polygon."""
    meta, _, geometry, values = pyogrio.raw.read(path, layer=layer or pyogrio.list_layers(path)[0][0])
    rows = [dict(zip(meta["fields"], row, strict=True)) for row in zip(*values, strict=True)]
    for row, shape in zip(rows, shapely.from_wkb(geometry), strict=True):
        row["shape"] = shape
    return meta["crs"], rows


def test_polygons_and_what_they_carry(make, codes, tmp_path, recorder):
    result = make()
    assert result["polygons"] == 6
    assert (result["layer"], result["joined"]) == ("made", 0)
    crs, rows = read(result["output"])
    assert crs == "EPSG:2154"
    assert [list(row) for row in rows] == [["code", "class", "area_m2", "pixels", "shape"]] * 6
    grass, *others = rows
    assert (grass["code"], grass["class"]) == (10, "Herbaceous vegetation")
    # around building and pond, whatever lies in these
    assert grass["pixels"] == 2000 - 150 - 300 - 40
    assert len(grass["shape"].interiors) == 2
    assert shapely.is_valid([row["shape"] for row in rows]).all()
    by_code = {row["code"]: row for row in others if row["pixels"] > 50}
    assert by_code[1]["shape"].equals(box(METRES, 5, 5, 10, 15) - box(METRES, 8, 12, 1, 1))
    assert by_code[1]["pixels"] == 149
    assert by_code[5]["pixels"] == 300 - 20 - 1
    # a square metre of the grid of Lambert-93 there is a bit more on the ground
    ground = PixelAreas(CRS.from_epsg(2154), METRES, 50, 40).of(PixelWindow(5, 5, 1, 1))[0, 0]
    assert by_code[1]["area_m2"] == pytest.approx(149 * ground, abs=0.001)
    assert 1.0002 < ground < 1.0003
    assert sum(item["polygons"] for item in result["classes"]) == 6
    assert {item["code"]: item["polygons"] for item in result["classes"]} == {1: 2, 5: 2, 10: 2}
    assert shapely.union_all([row["shape"] for row in rows]).area == (codes > 0).sum()
    assert recorder.fractions == sorted(recorder.fractions)
    assert left_behind(tmp_path) == []


def test_small_regions_join_what_surrounds_them(make, recorder):
    result = make(minimum_area=2)
    _, rows = read(result["output"])
    assert sorted((row["code"], row["pixels"]) for row in rows) == [(1, 150), (5, 280), (10, 20), (10, 1510)]
    assert result["joined"] == 2
    assert any("2 regions below 2 m²" in text for text in recorder.logs)


def test_what_touches_no_class_stays(make, tmp_path, recorder):
    codes = np.zeros((10, 10), np.uint8)
    codes[2, 2] = 1
    codes[5:, 5:] = 5
    path = tiny.write(tmp_path / "alone.tif", codes[None], transform=METRES, nodata=0)
    result = make(input=path, minimum_area=20)
    _, rows = read(result["output"])
    assert sorted((row["code"], row["pixels"]) for row in rows) == [(1, 1), (5, 25)]
    assert any("1 touch nothing but pixels without a class" in text for text in recorder.logs)


def test_the_smallest_area_is_measured_on_the_ground(make, tmp_path):
    """In Web Mercator at 60 degrees north a pixel of 1 m of the grid covers a quarter of a square metre."""
    codes = np.full((30, 30), 10, np.uint8)
    codes[5:7, 5:8] = 1
    origin = Affine(1, 0, 0, 0, -1, 8399737)
    path = tiny.write(tmp_path / "mercator.tif", codes[None], transform=origin, crs="EPSG:3857")
    _, rows = read(make(input=path, minimum_area=1.4)["output"])
    assert {row["code"]: row["pixels"] for row in rows} == {10: 894, 1: 6}
    assert rows[1]["area_m2"] == pytest.approx(1.5, rel=0.01)
    _, rows = read(make(input=path, minimum_area=1.6, overwrite=True)["output"])
    assert {row["code"]: row["pixels"] for row in rows} == {10: 900}


def test_classes_left_out_get_no_polygons(make):
    result = make(leave_out="10 5")
    _, rows = read(result["output"])
    assert {row["code"] for row in rows} == {1}
    assert [item["code"] for item in result["classes"]] == [1]


def test_mean_confidence(make, codes, tmp_path):
    values = np.where(codes == 1, 90, 40).astype(np.uint8)
    values[5, 5:15] = 50
    values[6, 5:10] = 255
    path = tiny.write(tmp_path / "confidence.tif", values[None], transform=METRES, nodata=255)
    _, rows = read(make(confidence=path)["output"])
    house = next(row for row in rows if row["code"] == 1 and row["pixels"] > 50)
    assert house["confidence"] == pytest.approx((134 * 90 + 10 * 50) / 144, abs=0.005)
    assert next(row for row in rows if row["code"] == 5 and row["pixels"] > 50)["confidence"] == 40


@pytest.mark.parametrize("outline", ["pixels", "simplified", "smooth"])
def test_rows_taken_together_change_nothing(make, tmp_path, monkeypatch, outline):
    for name, pixels in (("patches", patches(3, 90) + 1), ("noise", noise(3, (41, 37), 5))):
        path = tiny.write(tmp_path / f"{name}.tif", pixels[None], transform=METRES, nodata=0)
        confidence = tiny.write(tmp_path / "c.tif", (pixels * 7)[None], transform=METRES)
        options = {"input": path, "confidence": confidence, "minimum_area": 4, "outline": outline, "layer": "a"}
        whole = read(make(**options, overwrite=True)["output"])
        for rows in (1, 7, 13):
            monkeypatch.setattr(polygonise, "STRIP_PIXELS", rows * pixels.shape[1])
            monkeypatch.setattr(polygonise, "BATCH_POINTS", 400 * rows)
            assert read(make(**options, overwrite=True)["output"]) == whole
        monkeypatch.undo()


def test_classes_whose_area_the_outline_changes_are_told(make, tmp_path, recorder):
    codes = np.full((80, 80), 10, np.uint8)
    codes[10:50, 10:50] = 1
    # Specks at corners of each other lose theirs.
    codes[60:70:2, 10:70:2] = codes[61:70:2, 11:70:2] = 5
    path = tiny.write(tmp_path / "specks.tif", codes[None], transform=METRES, nodata=0)
    exact = {row["name"]: row["area_m2"] for row in make(input=path, outline="pixels")["classes"]}
    assert not recorder.warnings
    drawn = {row["name"]: row["area_m2"] for row in make(input=path, outline="smooth", overwrite=True)["classes"]}
    share = drawn["water"] / exact["water"] - 1
    assert abs(share) > 0.05
    (told,) = (text for text in recorder.warnings if "The outline changed" in text)
    assert f"water {share:+.0%}" in told
    assert "building" not in told


def test_a_geopackage_that_gdal_of_an_older_qgis_knows_whole(make):
    with closing(sqlite3.connect(make()["output"])) as database:
        assert database.execute("PRAGMA user_version").fetchone()[0] <= 10200


def test_style_lies_beside_and_inside(make):
    result = make(layer="my map")
    text = Path(result["style"]).read_text(encoding="utf-8")
    assert 'attr="code"' in text
    assert 'value="1" label="Building"' in text
    assert '"219,14,154,255"' in text
    assert 'label="Greenhouse"' not in text
    assert pyogrio.list_layers(result["output"])[0][0] == "my map"
    with sqlite3.connect(result["output"]) as connection:
        style = connection.execute(
            "SELECT styleQML, useAsDefault, f_geometry_column FROM layer_styles WHERE f_table_name = 'my map'"
        ).fetchall()
        index = connection.execute('SELECT count(*) FROM "rtree_my map_geom"').fetchone()
    assert style == [(text, 1, "geom")]
    assert index == (result["polygons"],)


def test_names_of_an_own_nomenclature_and_codes_without_a_name(make, tmp_path, recorder):
    path = tmp_path / "classes.yaml"
    path.write_text("name: town\nclasses:\n- {code: 1, name: roof}\n- {code: 10, name: garden}\n", encoding="utf-8")
    _, rows = read(make(nomenclature=str(path))["output"])
    assert {row["code"]: row["class"] for row in rows} == {1: "Roof", 10: "Garden", 5: "Class 5"}
    assert any("no class of the codes 5" in text for text in recorder.warnings)


def test_an_existing_file_is_replaced_only_when_allowed(make, tmp_path):
    make()
    before = (tmp_path / "made.gpkg").read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        make()
    assert (tmp_path / "made.gpkg").read_bytes() == before
    assert make(overwrite=True, leave_out="10")["polygons"] == 4
    assert len(read(tmp_path / "made.gpkg")[1]) == 4


def test_cancelled_leaves_what_was_there(make, tmp_path, recorder, monkeypatch):
    make()
    before = (tmp_path / "made.gpkg").read_bytes()
    cancelled = threading.Event()
    told = recorder.progress

    def stop(fraction, text="", eta=None):
        told(fraction, text, eta)
        if text.startswith("Writing"):
            cancelled.set()

    monkeypatch.setattr(recorder, "progress", stop)
    monkeypatch.setattr(polygonise, "BATCH_POINTS", 5)
    with pytest.raises(Cancelled):
        make(cancelled, overwrite=True)
    assert (tmp_path / "made.gpkg").read_bytes() == before
    assert left_behind(tmp_path) == []


def test_too_many_regions_for_the_memory(make, tmp_path):
    path = tiny.write(tmp_path / "noise.tif", noise(1, (200, 200), 9)[None], transform=METRES)
    with pytest.raises(OutOfMemoryError, match="regions") as caught:
        make(input=path, memory=0.001)
    assert "--minimum-area" in caught.value.hint
    assert make(input=path, memory=0.02, minimum_area=30)["polygons"] < 2000


def test_bad_input(make, codes, tmp_path):
    nothing = tiny.write(tmp_path / "nothing.tif", np.zeros((1, 9, 9), np.uint8), transform=METRES, nodata=0)
    colours = tiny.write(tmp_path / "rgb.tif", np.zeros((3, 9, 9), np.uint8), transform=METRES)
    fractions = tiny.write(tmp_path / "dsm.tif", np.full((1, 9, 9), 1.5, np.float32), transform=METRES)
    large = tiny.write(tmp_path / "large.tif", np.full((1, 9, 9), 1000, np.uint16), transform=METRES)
    nowhere = tiny.write(tmp_path / "nowhere.tif", codes[None], transform=METRES, crs=None)
    vector = write_features(tmp_path / "vector.gpkg", [box(METRES, 0, 0, 5, 5)])
    other = tiny.write(tmp_path / "other.tif", np.zeros((1, 40, 49), np.uint8), transform=METRES)
    for options, error, words in (
        ({"input": nothing}, InputError, "no pixel with a class"),
        ({"input": colours}, InputError, "3 bands"),
        ({"input": fractions}, InputError, "fractions such as 1.5"),
        ({"input": large}, InputError, "numbers such as 1000"),
        ({"input": nowhere}, InputError, "no CRS"),
        ({"input": vector}, InputError, "not a raster"),
        ({"input": str(tmp_path / "absent.tif")}, InputError, "no file"),
        ({"confidence": other}, InputError, "another grid"),
        ({"confidence": colours}, InputError, "3 bands"),
        ({"leave_out": "1 5 10"}, InputError, "left out: 1, 5, 10"),
        ({"minimum_area": 5000}, RequestError, "whole raster"),
        ({"output": str(tmp_path / "no" / "made.gpkg")}, OutputError, "does not exist"),
        ({"crs": "EPSG:nonsense"}, RequestError, "no known CRS"),
    ):
        with pytest.raises(error, match=words):
            make(**options)
        assert left_behind(tmp_path) == []
        assert not (tmp_path / "made.gpkg").exists()
    with pytest.raises(RequestError, match=r"end in \.gpkg"):
        make(output=str(tmp_path / "made.shp"))
    assert make(input=nowhere, crs="EPSG:2154")["polygons"] == 6
    assert issubclass(OutputError, EngineError)


def test_the_disk_is_full(make, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**9, 10**9 - 100, 100))
    with pytest.raises(OutputError, match="too little room"):
        make()
    assert left_behind(tmp_path) == []

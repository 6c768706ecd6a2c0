"""From a class raster to hectares, in one process."""

from __future__ import annotations

import csv
import json
import sqlite3
import threading
from contextlib import closing

import numpy as np
import pyogrio
import pytest
from affine import Affine

from engine.commands.area_statistics import run
from engine.errors import Cancelled, EngineError, InputError, OutputError
from engine.requests import parse_request
from tests.engine import tiny
from tests.engine.interruptions import left_behind
from tests.engine.vectors import box, write_features

METRES = Affine(1, 0, 650000, 0, -1, 6860000)
# A hectare on the grid of Lambert-93 there is so many on the ground; see test_pixel_area.
GROUND = 1.000248


@pytest.fixture
def codes():
    """Three hectares: a half of buildings, a quarter of water, the rest grass but for 500 pixels without a class."""
    made = np.full((200, 150), 10, np.uint8)
    made[:100] = 1
    made[100:150] = 5
    made[190:, 100:] = 0
    return made


@pytest.fixture
def count(tmp_path, codes, recorder):
    path = tiny.write(tmp_path / "map.tif", codes[None], transform=METRES, nodata=0)

    def do(cancelled=None, **options):
        values = {"input": path, "output": str(tmp_path / "areas"), **options}
        return run(parse_request("area-statistics", values), recorder, cancelled or threading.Event())

    return do


def rows_of(result):
    with open(result["table"], newline="", encoding="utf-8-sig") as stream:
        return list(csv.DictReader(stream))


def test_hectares_of_a_raster(count, tmp_path, recorder):
    result = count()
    found = {item["code"]: item for item in result["classes"]}
    assert set(found) == {1, 5, 10}
    for code, grid in ((1, 1.5), (5, 0.75), (10, 0.70)):
        assert found[code]["hectares"] == pytest.approx(grid * GROUND, rel=1e-5)
        assert found[code]["percent"] == pytest.approx(100 * grid / 2.95, abs=0.01)
    assert (found[5]["name"], found[5]["color"]) == ("water", "#1553ae")
    assert result["hectares"] == pytest.approx(2.95 * GROUND, rel=1e-5)
    assert result["unclassified"] == pytest.approx(0.05 * GROUND, rel=1e-5)
    assert result["polygons"] is None
    assert sorted(item.name for item in (tmp_path / "areas").iterdir()) == ["areas.csv", "report.html"]
    assert left_behind(tmp_path) == []
    assert json.dumps(result, allow_nan=False)
    rows = rows_of(result)
    assert [(row["code"], row["pixels"]) for row in rows] == [
        ("1", "15000"), ("5", "7500"), ("10", "7000"), ("0", "500"),
    ]  # fmt: skip
    assert {row["name"] for row in rows} == {"whole"}
    assert float(rows[0]["hectares"]) == pytest.approx(1.5 * GROUND, rel=1e-5)
    assert recorder.fractions == sorted(recorder.fractions)
    assert recorder.fractions[-1] == 1.0


def test_polygons(count, tmp_path):
    shapes = [box(METRES, 0, 0, 200, 150), box(METRES, 90, 0, 20, 100), box(METRES, 190, 140, 20, 20)]
    path = write_features(tmp_path / "c.gpkg", shapes, nom=["all", "both", "edge"])
    result = count(area=path)
    names, fields = read(result["polygons"])
    assert [item["name"] for item in fields] == ["all", "both", "edge"]
    assert {"building_ha", "building_pct", "water_ha", "herbaceous_vegetation_pct"} <= set(names)
    whole, both, edge = fields
    assert whole["hectares"] == pytest.approx(2.95 * GROUND, rel=1e-5)
    assert whole["building_pct"] == pytest.approx(150 / 2.95, abs=1e-3)
    assert both["building_ha"] == both["water_ha"] == pytest.approx(0.1 * GROUND, rel=1e-4)
    assert (whole["largest"], whole["largest_code"], whole["on_raster_pct"]) == ("Building", 1, 100.0)
    assert (edge["hectares"], edge["largest"], edge["largest_code"], edge["on_raster_pct"]) == (0, "", 0, 25.0)
    assert edge["no_class_ha"] == pytest.approx(0.01 * GROUND, rel=1e-3)
    # What several polygons hold counts once as a whole.
    assert result["hectares"] == pytest.approx(2.95 * GROUND, rel=1e-5)
    assert [item["name"] for item in result["areas"]] == ["all", "both", "edge"]
    html = (tmp_path / "areas" / "report.html").read_text()
    assert "reaches beyond the raster" in html
    assert "both" in html


def read(path):
    meta, _, _, data = pyogrio.raw.read(path)
    names = meta["fields"].tolist()
    return names, [
        dict(zip(names, row, strict=True)) for row in zip(*(column.tolist() for column in data), strict=True)
    ]


def test_a_geopackage_that_gdal_of_an_older_qgis_knows_whole(count):
    with closing(sqlite3.connect(count(grid=10)["polygons"])) as database:
        assert database.execute("PRAGMA user_version").fetchone()[0] <= 10200


def test_a_grid(count):
    result = count(grid=50)
    _, fields = read(result["polygons"])
    assert len(fields) == 12
    assert [item["hectares"] for item in fields][:3] == pytest.approx([0.25 * GROUND] * 3, rel=1e-5)
    assert sum(item["hectares"] for item in fields) == pytest.approx(2.95 * GROUND, rel=1e-5)
    assert fields[0]["building_pct"] == 100


def test_degrees_and_web_mercator_give_the_same_ground(count, tmp_path, codes):
    from rasterio.warp import transform

    x, y = transform("EPSG:4326", "EPSG:3857", [2.0, 2.003], [48.0, 47.998])
    mercator = Affine((x[1] - x[0]) / 150, 0, x[0], 0, (y[1] - y[0]) / 200, y[0])
    for name, crs, where in (("d", "EPSG:4326", Affine(2e-5, 0, 2, 0, -1e-5, 48)), ("m", "EPSG:3857", mercator)):
        path = tiny.write(tmp_path / f"{name}.tif", codes[None], transform=where, crs=crs, nodata=0)
        result = count(input=path, output=str(tmp_path / name))
        # 0.003 by 0.001 degrees at 48 degrees north: 223.88 m by 111.19 m
        assert result["classes"][0]["hectares"] == pytest.approx(2.4893, rel=1e-4), crs


def test_a_nomenclature_of_ones_own(count, tmp_path, recorder):
    (tmp_path / "n.yaml").write_text("classes:\n  - {code: 1, name: roof}\n  - {code: 5, name: roof}\n")
    result = count(
        nomenclature=str(tmp_path / "n.yaml"), area=write_features(tmp_path / "a.gpkg", [box(METRES, 0, 0, 200, 150)])
    )
    assert [item["name"] for item in result["classes"]] == ["roof", "roof"]
    assert {"roof_ha", "roof_5_ha"} <= set(read(result["polygons"])[0])
    assert "10 (7000 pixels); they are counted as without a class" in recorder.warnings[-1]


def test_again_replaces_only_when_allowed(count, tmp_path):
    count()
    with pytest.raises(OutputError, match="exists already"):
        count()
    count(overwrite=True)
    (tmp_path / "areas" / "mine.txt").touch()
    with pytest.raises(OutputError, match=r"holds 'mine\.txt'"):
        count(overwrite=True)


def test_cancelled_leaves_nothing(count, tmp_path):
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        count(cancelled=stop)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["map.tif"]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda p: tiny.write(p, np.ones((1, 9, 9), np.uint8), crs=None), "has no CRS, so its hectares are unknown"),
        (lambda p: tiny.write(p, np.ones((3, 9, 9), np.uint8)), "has 3 bands"),
        (lambda p: tiny.write(p, np.full((1, 9, 9), 0.5, np.float32)), "holds fractions such as 0.5"),
        (lambda p: tiny.write(p, np.zeros((1, 9, 9), np.uint8)), "holds no class where areas are counted"),
        (lambda p: tiny.write(p, np.full((1, 9, 9), 77, np.uint8)), "holds no class where areas are counted"),
        (lambda p: write_features(p, [box(METRES, 0, 0, 1, 1)]), "holds polygons, not pixels"),
        (lambda p: str(p.with_name("none.tif")), "There is no file"),
    ],
)  # fmt: skip
def test_what_is_no_class_raster(count, tmp_path, make, sentence):
    with pytest.raises(InputError, match=sentence) as error:
        count(input=make(tmp_path / "x.gpkg"))
    assert error.value.hint
    assert not (tmp_path / "areas").exists()


def test_the_hint_names_the_code_that_is_unknown(count, tmp_path):
    path = tiny.write(tmp_path / "x.tif", np.full((1, 9, 9), 77, np.uint8))
    with pytest.raises(InputError) as error:
        count(input=path)
    assert "77 (81 pixels)" in error.value.hint


def test_a_crs_for_a_raster_without_one(count, tmp_path, codes):
    path = tiny.write(tmp_path / "x.tif", codes[None], transform=METRES, crs=None, nodata=0)
    assert count(input=path, crs="EPSG:2154")["hectares"] == pytest.approx(2.95 * GROUND, rel=1e-5)


def test_a_local_crs_is_said_and_can_be_replaced(count, tmp_path, codes, recorder):
    local = 'LOCAL_CS["RGF93 v1 / Lambert-93",UNIT["metre",1]]'
    path = tiny.write(tmp_path / "x.tif", codes[None], transform=METRES, crs=local, nodata=0)
    assert count(input=path)["hectares"] == pytest.approx(2.95)
    assert "without a place on earth" in recorder.warnings[0]
    result = count(input=path, crs="EPSG:2154", overwrite=True)
    assert result["hectares"] == pytest.approx(2.95 * GROUND, rel=1e-5)


def test_another_crs_than_the_files_own_is_not_used(count, recorder):
    assert count(crs="EPSG:3857")["hectares"] == pytest.approx(2.95 * GROUND, rel=1e-5)
    assert "carries a CRS of its own, which is kept; EPSG:3857 is not used" in recorder.warnings[0]


def test_polygons_that_touch_nothing(count, tmp_path):
    path = write_features(tmp_path / "c.gpkg", [box(METRES, 0, 500, 10, 10)])
    with pytest.raises(InputError, match=r"No polygon of .* lies on the raster"):
        count(area=path)


def test_options_that_exclude_each_other():
    with pytest.raises(EngineError, match="Grid and area exclude each other"):
        parse_request("area-statistics", {"input": "a", "output": "b", "grid": 5, "area": "c"})

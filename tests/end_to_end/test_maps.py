"""The algorithms of the group "Maps and areas" in qgis_process, on rasters whose hectares are known."""

from __future__ import annotations

import csv

import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine

from tests.end_to_end import rasters
from tests.end_to_end.processes import ROOT
from tests.end_to_end.qgis_runs import Qgis, program

# Two metres a pixel in Lambert-93, where a hectare of the plane is so many of the ground.
GRID = Affine(2, 0, 650000, 0, -2, 6860000)
GROUND = 1.000248


@pytest.fixture(scope="module")
def bare_qgis(tmp_path_factory):
    """qgis_process with the checkout as its plugin; these algorithms need no model."""
    if program("qgis_process") is None:
        pytest.skip("QGIS is not installed")
    folder = tmp_path_factory.mktemp("maps_qgis")
    return Qgis(folder, ROOT, folder / "cache").enable()


@pytest.fixture
def after(tmp_path):
    """Four hectares: one of buildings, one of water, two of grass."""
    codes = np.full((1, 100, 100), 10, np.uint8)
    codes[0, :50, :50] = 1
    codes[0, :50, 50:] = 5
    return rasters.write(tmp_path / "after é.tif", codes, transform=GRID, nodata=0, names=False)


def write_halves(path):
    shapes = [shapely.box(650000, 6859800, 650100, 6860000), shapely.box(650100, 6859800, 650200, 6860000)]
    pyogrio.raw.write(
        path, geometry=shapely.to_wkb(shapes), field_data=[np.array(["west", "east"], object)], fields=["nom"],
        crs="EPSG:2154", geometry_type="Polygon",
    )  # fmt: skip
    return path


def test_areas_of_two_polygons(bare_qgis, after, tmp_path):
    values = {"INPUT": after, "AREA": write_halves(tmp_path / "halves.gpkg"), "OUTPUT": tmp_path / "areas"}
    answer = bare_qgis.execute("flair:areastatistics", POLYGONS=tmp_path / "mine.gpkg", **values)
    assert answer.code == 0, answer.text
    results = answer.json["results"]
    assert results["HECTARES"] == pytest.approx(4 * GROUND, rel=1e-5)
    with open(results["TABLE"], newline="", encoding="utf-8-sig") as stream:
        rows = {(row["name"], row["class"]): float(row["hectares"]) for row in csv.DictReader(stream)}
    assert rows["whole", "building"] == rows["west", "building"] == pytest.approx(GROUND, rel=1e-5)
    assert rows["east", "water"] == pytest.approx(GROUND, rel=1e-5)
    assert ("west", "water") not in rows
    info = pyogrio.read_info(tmp_path / "mine.gpkg")
    assert (info["features"], info["crs"]) == (2, "EPSG:2154")
    assert "Areas by class" in (tmp_path / "areas" / "report.html").read_text(encoding="utf-8")


def test_a_legend_beside_a_raster(bare_qgis, after, tmp_path):
    answer = bare_qgis.execute("flair:applystyle", INPUT=after, PALETTE="cosia", SAVE="true", ONLY_PRESENT="true")
    assert answer.code == 0, answer.text
    assert answer.json["results"]["STYLE"] == str(tmp_path / "after é.qml")
    assert rasters.style_classes(tmp_path / "after é.qml") == [
        (1, "#ce7079", "building"), (5, "#3375a1", "water"), (10, "#8cd76a", "herbaceous vegetation"),
    ]  # fmt: skip


def test_another_nomenclature(bare_qgis, after, tmp_path):
    answer = bare_qgis.execute("flair:remapclasses", INPUT=after, MAPPING="hub", OUTPUT=tmp_path / "hub.tif")
    assert answer.code == 0, answer.text
    pixels = rasters.read(tmp_path / "hub.tif")
    assert [int(pixels[0, 0]), int(pixels[0, 99]), int(pixels[99, 0])] == [1, 7, 9]
    assert answer.json["results"]["PIXELS"] == 10_000
    refused = bare_qgis.execute("flair:remapclasses", INPUT=after, TABLE="1=1", OUTPUT=tmp_path / "x.tif")
    assert refused.code != 0
    assert "10 (5000 pixels), 5 (2500 pixels)" in refused.text
    assert not (tmp_path / "x.tif").exists()


def test_change_between_two_rasters(bare_qgis, after, tmp_path):
    codes = np.full((1, 100, 100), 10, np.uint8)
    codes[0, :50, 50:] = 5
    codes[0, 99, 99] = 1
    before = rasters.write(tmp_path / "before.tif", codes, transform=GRID, nodata=0, names=False)
    values = {"BEFORE": before, "AFTER": after, "MINIMUM_AREA": 100, "OUTPUT": tmp_path / "change"}
    answer = bare_qgis.execute("flair:change", CHANGE_MAP=tmp_path / "mine.tif", **values)
    assert answer.code == 0, answer.text
    results = answer.json["results"]
    assert results["CHANGED"] == pytest.approx(GROUND, rel=1e-5)
    assert results["COMPARED"] == pytest.approx(4 * GROUND, rel=1e-5)
    pixels = rasters.read(tmp_path / "mine.tif")
    assert [int(pixels[0, 0]), int(pixels[0, 99]), int(pixels[99, 99])] == [1001, 1, 2]
    assert (1001, "herbaceous vegetation -> building") in [
        (code, label) for code, _, label in rasters.style_classes(tmp_path / "mine.qml")
    ]
    page = (tmp_path / "change" / "report.html").read_text(encoding="utf-8")
    assert "Sealed, gained" in page

"""The chains that go on from a land-cover map, with the stand-in for the engine."""

from pathlib import Path

import pytest
from helpers import write_raster
from osgeo import gdal, ogr
from qgis.core import QgsApplication

DEFAULT = "FLAIR-INC_rgb_15cl_resnet34-unet"


@pytest.fixture
def chain(fake_engine):
    return lambda name: QgsApplication.processingRegistry().createAlgorithmById(f"flair:{name}")


def destinations(found, **paths):
    """Parameters for outputs of a model: 3.22 calls them classify:land_cover, later versions land_cover."""
    names = {item.name().rpartition(":")[2]: item.name() for item in found.parameterDefinitions()}
    return {names[wanted]: str(path) for wanted, path in paths.items()}


def commands(fake_engine):
    return [entry["command"] for entry in fake_engine.requests]


def test_classify_polygonise_and_count(chain, fake_engine, image, labels, model, tmp_path, context, feedback):
    found = chain("classifyandcount")
    made = {"land_cover": tmp_path / "map.tif", "polygons": tmp_path / "polygons.gpkg"}
    made.update(folder=tmp_path / "areas", report=tmp_path / "report.html")
    values = {"images": [image], "model_file": model, "minimum_area": 40, "zones": labels, "zone_field": "landuse"}
    values.update(destinations(found, **made))
    assert found.checkParameterValues(values, context) == (True, "")
    _, success = found.run(values, context, feedback)
    assert success, feedback.errors
    assert sorted(commands(fake_engine)) == ["area-statistics", "classify", "polygonise"]
    by_command = {entry["command"]: entry["options"] for entry in fake_engine.requests}
    assert by_command["classify"]["model"] == model
    assert by_command["polygonise"]["input"] == by_command["area-statistics"]["input"] == str(tmp_path / "map.tif")
    assert by_command["polygonise"]["minimum_area"] == 40
    assert by_command["area-statistics"]["area_field"] == "landuse"
    assert (gdal.Open(str(made["land_cover"])).ReadAsArray() == 5).all()
    assert ogr.Open(str(made["polygons"])).GetLayer(0).GetFeatureCount() == 1
    assert (made["folder"] / "areas.csv").is_file()
    assert made["report"].is_file()


def test_counting_with_nothing_but_an_image(chain, fake_engine, image, tmp_path, context, feedback):
    found = chain("classifyandcount")
    outputs = destinations(found, land_cover=tmp_path / "map.tif", polygons=tmp_path / "p.gpkg", folder=tmp_path / "a")
    _, success = found.run({"images": [image], **outputs}, context, feedback)
    assert success, feedback.errors
    by_command = {entry["command"]: entry["options"] for entry in fake_engine.requests}
    assert by_command["classify"]["model"] == DEFAULT
    assert by_command["polygonise"]["minimum_area"] == 25
    assert not {"area", "area_field"} & set(by_command["area-statistics"])


def test_compare_two_years(chain, fake_engine, image, model, tmp_path, context, feedback):
    found = chain("comparetwoyears")
    later = write_raster(tmp_path / "later.tif", value=80)
    made = {"before_map": tmp_path / "before.tif", "after_map": tmp_path / "after.tif"}
    made.update(changes=tmp_path / "changes.tif", folder=tmp_path / "change", report=tmp_path / "report.html")
    values = {"before": [image], "after": [later], "model_file": model, **destinations(found, **made)}
    assert found.checkParameterValues(values, context) == (True, "")
    _, success = found.run(values, context, feedback)
    assert success, feedback.errors
    assert commands(fake_engine) == ["classify", "classify", "change"]
    classified = {
        Path(entry["options"]["output"]).stem: entry["options"]["input"] for entry in fake_engine.requests[:2]
    }
    assert classified == {"before": [image], "after": [later]}
    change = fake_engine.requests[2]["options"]
    assert (change["before"], change["after"]) == (str(made["before_map"]), str(made["after_map"]))
    assert change["minimum_area"] == 50
    for path in (made["before_map"], made["after_map"], made["changes"]):
        assert gdal.Open(str(path)) is not None
    assert made["report"].is_file()


def test_a_failure_in_a_step_ends_the_chain(chain, fake_engine, image, tmp_path, context, feedback):
    fake_engine.mode("error")
    found = chain("comparetwoyears")
    outputs = destinations(found, before_map=tmp_path / "b.tif", after_map=tmp_path / "a.tif", folder=tmp_path / "c")
    _, success = found.run({"before": [image], "after": [image], **outputs}, context, feedback)
    assert not success
    assert any("The image has no CRS." in error for error in feedback.errors)
    assert commands(fake_engine) == ["classify"]

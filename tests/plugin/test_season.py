"""Seasons in the dialogs: prepared, and beside the model that looks at them."""

from pathlib import Path

import processing
import pytest
from helpers import write_model
from qgis.core import QgsApplication, QgsProcessingContext, QgsProcessingException, QgsRasterLayer

from flair_qgis.model_file import read_model_file

BANDS = ("B02", "B03", "B04")


def algorithm(name):
    return QgsApplication.processingRegistry().createAlgorithmById(f"flair:{name}")


def check(name, parameters):
    return algorithm(name).checkParameterValues(parameters, QgsProcessingContext())


def run(name, parameters, context, feedback):
    return processing.run(f"flair:{name}", parameters, context=context, feedback=feedback, is_child_algorithm=True)


@pytest.fixture
def season(tmp_path):
    folder = tmp_path / "season"
    folder.mkdir()
    return str(folder)


def test_a_model_file_tells_of_its_season(tmp_path):
    assert read_model_file(Path(write_model(tmp_path / "a.safetensors"))).season == ()
    assert read_model_file(Path(write_model(tmp_path / "b.safetensors", season=BANDS))).season == BANDS


def test_classify_takes_the_folder_and_wants_it_where_the_model_does(
    fake_engine, image, model, season, tmp_path, context, feedback
):
    seasonal = write_model(tmp_path / "seasonal.safetensors", season=BANDS)
    good = {"INPUT": [image], "MODEL": seasonal, "SEASON": season, "OUTPUT": str(tmp_path / "map.tif")}
    assert check("classify", good) == (True, "")
    for change, part in (
        ({"SEASON": None}, "The model tiny also looks at the season"),
        ({"SEASON": str(tmp_path / "nowhere")}, "There is no folder"),
        ({"MODEL": model}, "looks at aerial images alone"),
    ):
        valid, message = check("classify", {**good, **change})
        assert not valid
        assert part in message
    run("classify", good, context, feedback)
    assert fake_engine.options["season"] == season
    run("classify", {**good, "MODEL": model, "SEASON": None}, context, feedback)
    assert "season" not in fake_engine.options


def test_a_season_is_prepared_for_a_layer_or_an_extent(fake_engine, image, season, tmp_path, context, feedback):
    output = str(tmp_path / "prepared")
    parameters = {"INPUT": season, "IMAGE": image, "OUTPUT": output, "SEASON_BANDS": "B02, B8A", "MONTHLY": True}
    found = run("preparetimeseries", parameters, context, feedback)
    assert found["OUTPUT"] == output
    assert (found["KEPT"], found["DROPPED"], found["SECONDS"]) == (3, 2, 0.5)
    assert found["TABLE"].endswith("dates.csv")
    options = fake_engine.options
    box = QgsRasterLayer(image).extent()
    sides, crs = options["extent"].rstrip("]").split(" [")
    assert [float(side) for side in sides.split(",")] == [
        box.xMinimum(),
        box.xMaximum(),
        box.yMinimum(),
        box.yMaximum(),
    ]
    assert crs == QgsRasterLayer(image).crs().authid()
    assert (options["input"], options["season_bands"]) == (season, ["B02", "B8A"])
    assert (options["monthly"], options["clear_only"], options["margin"]) == (True, True, 300.0)
    assert "offset" not in options
    parameters = {"INPUT": season, "EXTENT": "650000,651000,6860000,6861000 [EPSG:2154]", "OUTPUT": output}
    run("preparetimeseries", {**parameters, "OFFSET": -1000}, context, feedback)
    assert fake_engine.options["extent"] == "650000.0,651000.0,6860000.0,6861000.0 [EPSG:2154]"
    assert fake_engine.options["offset"] == -1000


def test_what_is_wrong_with_a_preparation_is_said(image, season, tmp_path):
    good = {"INPUT": season, "IMAGE": image, "OUTPUT": str(tmp_path / "prepared")}
    assert check("preparetimeseries", good) == (True, "")
    for change, part in (
        ({"IMAGE": None}, "Nothing says which ground is wanted"),
        ({"EXTENT": "0,1,0,1 [EPSG:2154]"}, "An image and an extent are given"),
        ({"INPUT": str(tmp_path / "nowhere")}, "nowhere. Check the path."),
        ({"IMAGE": None, "EXTENT": "5,5,0,1 [EPSG:2154]"}, "no area"),
    ):
        valid, message = check("preparetimeseries", {**good, **change})
        assert not valid
        assert part in message, message


def test_training_and_judging_hand_it_on(fake_engine, season, tmp_path, context, feedback):
    data = tmp_path / "data"
    data.mkdir()
    for name in ("train.csv", "val.csv", "test.csv"):
        (data / name).write_text("a.tif,b.tif\n")
    centroids = tmp_path / "c.json"
    centroids.write_text("{}")
    given = {"SEASON": season, "CENTROIDS": str(centroids), "METADATA": str(centroids)}
    output = str(tmp_path / "m.safetensors")
    parameters = {"DATA": str(data), "PRESET": "utt", "SEASON_BANDS": "B02,B03", "OUTPUT": output, **given}
    run("train", parameters, context, feedback)
    options = fake_engine.options
    assert (options["season"], options["season_bands"], options["preset"]) == (season, ["B02", "B03"], "utt")
    assert (options["centroids"], options["metadata"]) == (str(centroids), str(centroids))
    with pytest.raises(QgsProcessingException, match="There is no folder"):
        run("train", {**parameters, "SEASON": str(tmp_path / "nowhere")}, context, feedback)
    parameters = {"DATA": str(data), "MODEL": output, "OUTPUT": str(tmp_path / "evaluation"), **given}
    run("evaluate", parameters, context, feedback)
    options = fake_engine.options
    assert (options["season"], options["centroids"], options["metadata"]) == (season, str(centroids), str(centroids))

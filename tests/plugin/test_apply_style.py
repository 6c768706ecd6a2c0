"""flair:applystyle: what layers look like afterwards."""

import numpy as np
import processing
import pytest
from helpers import write_raster
from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsPalettedRasterRenderer,
    QgsProcessingAlgorithm,
    QgsProcessingException,
    QgsProject,
    QgsRasterLayer,
)

NAME = "flair:applystyle"


def run(parameters, context, feedback):
    return processing.run(NAME, parameters, context=context, feedback=feedback, is_child_algorithm=True)


def legend(layer):
    assert isinstance(layer.renderer(), QgsPalettedRasterRenderer)
    return {int(item.value): (item.label, item.color.name()) for item in layer.renderer().classes()}


@pytest.fixture
def path(tmp_path):
    """A raster of the codes 0, 1, 5 and 16."""
    made = write_raster(tmp_path / "map.tif", bands=1)
    dataset = gdal.Open(made, gdal.GA_Update)
    dataset.GetRasterBand(1).WriteArray(np.resize(np.array([0, 1, 5, 16], np.uint8), (10, 20)))
    del dataset
    return made


@pytest.fixture
def layer(path):
    made = QgsRasterLayer(path, "map")
    QgsProject.instance().addMapLayer(made)
    return made


def test_needs_no_engine_and_the_main_thread():
    found = QgsApplication.processingRegistry().createAlgorithmById(NAME)
    assert found.canExecute() == (True, "")
    assert found.flags() & QgsProcessingAlgorithm.Flag.FlagNoThreading
    assert found.group() == "5. Maps and areas"
    assert not found.icon().isNull()


def test_the_layer_of_the_project_is_styled(layer, context, feedback):
    result = run({"INPUT": layer.id()}, context, feedback)
    assert result == {"OUTPUT": layer.id()}
    found = legend(layer)
    assert found[1] == ("Building", "#db0e9a")
    # a class that never wins is in no legend
    assert set(found) == set(range(1, 15)) | {18}
    run({"INPUT": layer.id(), "PALETTE": "cosia"}, context, feedback)
    assert legend(layer)[1] == ("Building", "#ce7079")
    run({"INPUT": layer.id(), "PALETTE": "hub"}, context, feedback)
    assert legend(layer)[2] == ("Greenhouse", "#9999ff")
    assert feedback.warnings == []


def test_only_classes_that_occur(layer, context, feedback):
    run({"INPUT": layer.id(), "ONLY_PRESENT": True}, context, feedback)
    assert legend(layer) == {
        1: ("Building", "#db0e9a"),
        5: ("Water", "#1553ae"),
        16: ("Mixed", "#6b714f"),
    }


def test_a_file_of_ones_own(layer, tmp_path, context, feedback):
    (tmp_path / "mine.yaml").write_text('classes:\n  - {code: 5, name: pond, color: "#0000cc"}\n')
    run({"INPUT": layer.id(), "STYLE_FILE": str(tmp_path / "mine.yaml")}, context, feedback)
    assert legend(layer) == {5: ("Pond", "#0000cc")}


def test_a_style_of_qgis(layer, path, tmp_path, context, feedback):
    run({"INPUT": layer.id(), "PALETTE": "cosia", "SAVE": True}, context, feedback)
    style = tmp_path / "other.qml"
    (tmp_path / "map.qml").rename(style)
    run({"INPUT": layer.id()}, context, feedback)
    run({"INPUT": layer.id(), "STYLE_FILE": str(style)}, context, feedback)
    assert legend(layer)[1] == ("Building", "#ce7079")
    run({"INPUT": layer.id(), "STYLE_FILE": str(style), "ONLY_PRESENT": True}, context, feedback)
    assert set(legend(layer)) == {1, 5}


def test_saved_beside_the_raster(path, tmp_path, context, feedback):
    result = run({"INPUT": path, "PALETTE": "cosia", "SAVE": True}, context, feedback)
    assert result["STYLE"] == str(tmp_path / "map.qml")
    assert feedback.warnings == []
    fresh = QgsRasterLayer(path, "fresh")
    fresh.loadDefaultStyle()
    assert legend(fresh)[5] == ("Water", "#3375a1")


def test_what_nothing_keeps_is_said(path, context, feedback):
    run({"INPUT": path}, context, feedback)
    assert "nothing keeps its style" in feedback.warnings[0]


def test_another_band(tmp_path, context, feedback):
    layer = QgsRasterLayer(write_raster(tmp_path / "two.tif", bands=2, value=3), "two")
    QgsProject.instance().addMapLayer(layer)
    run({"INPUT": layer.id(), "BAND": 2, "ONLY_PRESENT": True}, context, feedback)
    assert layer.renderer().band() == 2
    assert set(legend(layer)) == {5}


@pytest.mark.parametrize(
    ("text", "sentence"), [(None, "There is no file"), ("name: x\n", "lists no classes"), ("classes:\n  x\n", "Line 2")]
)
def test_what_the_dialog_refuses(layer, tmp_path, context, text, sentence):
    path = tmp_path / "mine.yaml"
    if text:
        path.write_text(text)
    found = QgsApplication.processingRegistry().createAlgorithmById(NAME)
    fine, message = found.checkParameterValues({"INPUT": layer.id(), "STYLE_FILE": str(path)}, context)
    assert not fine
    assert sentence in message


def test_no_pixel_of_these_classes(tmp_path, context, feedback):
    layer = QgsRasterLayer(write_raster(tmp_path / "x.tif", bands=1, value=99), "x")
    QgsProject.instance().addMapLayer(layer)
    with pytest.raises(QgsProcessingException, match="has no pixel of these classes"):
        run({"INPUT": layer.id(), "ONLY_PRESENT": True}, context, feedback)


def test_a_damaged_style(layer, tmp_path, context, feedback):
    (tmp_path / "bad.qml").write_text("<nonsense")
    with pytest.raises(QgsProcessingException, match="is no style of a raster"):
        run({"INPUT": layer.id(), "STYLE_FILE": str(tmp_path / "bad.qml")}, context, feedback)

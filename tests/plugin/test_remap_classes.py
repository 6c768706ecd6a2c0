"""flair:remapclasses with a stand-in for the engine: what it asks for, and what it gives back."""

import processing
import pytest
from helpers import write_raster
from qgis.core import QgsApplication, QgsProcessingContext, QgsProcessingException, QgsProject, QgsRasterLayer

from flair_qgis.styling import StylePostProcessor

NAME = "flair:remapclasses"


def run(parameters, context, feedback):
    return processing.run(NAME, parameters, context=context, feedback=feedback, is_child_algorithm=True)


@pytest.fixture
def good(tmp_path):
    """Values that a run needs."""
    return {"INPUT": write_raster(tmp_path / "map.tif", bands=1, value=4), "OUTPUT": str(tmp_path / "new.tif")}


def test_parameters_and_outputs():
    found = QgsApplication.processingRegistry().createAlgorithmById(NAME)
    shown = [item.name() for item in found.parameterDefinitions() if not item.flags() & item.FlagAdvanced]
    assert shown == ["INPUT", "MAPPING", "TABLE", "OUTPUT"]
    assert {item.name() for item in found.outputDefinitions()} == {"OUTPUT", "PIXELS", "SECONDS"}
    assert found.group() == "5. Maps and areas"
    assert not found.icon().isNull()


def test_values_arrive(fake_engine, good, context, feedback):
    result = run({**good, "MAPPING": "hub", "NOMENCLATURE": "flair", "OVERWRITE": False}, context, feedback)
    assert fake_engine.record["request"] == {
        "command": "remap-classes",
        "options": {
            "input": good["INPUT"],
            "output": good["OUTPUT"],
            "mapping": "hub",
            "nomenclature": "flair",
            "overwrite": False,
        },
    }
    assert result == {"OUTPUT": good["OUTPUT"], "PIXELS": 200, "SECONDS": 0.5}


def test_a_table_of_ones_own_wins(fake_engine, good, tmp_path, context, feedback):
    run({**good, "TABLE": "1=1,default=0"}, context, feedback)
    assert fake_engine.options["mapping"] == "1=1,default=0"
    (tmp_path / "t.yaml").write_text("1: 1\n")
    run({**good, "TABLE": str(tmp_path / "t.yaml")}, context, feedback)
    assert fake_engine.options["mapping"] == str(tmp_path / "t.yaml")


def test_the_result_is_loaded_with_its_legend(fake_engine, good, context, feedback):
    details = QgsProcessingContext.LayerDetails("new", QgsProject.instance())
    context.addLayerToLoadOnCompletion(good["OUTPUT"], details)
    run(good, context, feedback)
    processor = context.layerToLoadOnCompletionDetails(good["OUTPUT"]).postProcessor()
    assert isinstance(processor, StylePostProcessor)
    layer = QgsRasterLayer(good["OUTPUT"], "new")
    processor.postProcessLayer(layer, context, feedback)
    assert [item.label for item in layer.renderer().classes()] == ["Building", "Water", "Greenhouse"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"TABLE": "flair-13"}, 'The table "flair-13" holds no pairs of codes.'),
        ({"TABLE": "none.yaml"}, "none.yaml"),
        ({"INPUT": "IMAGE"}, "has 3 bands"),
        ({"OUTPUT": "new.vrt"}, "The map is a GeoTIFF."),
    ],
)
def test_what_the_dialog_refuses(good, image, tmp_path, context, feedback, changes, sentence):
    places = {"IMAGE": image, "new.vrt": str(tmp_path / "new.vrt")}
    parameters = {**good, **{key: places.get(value, value) for key, value in changes.items()}}
    found = QgsApplication.processingRegistry().createAlgorithmById(NAME)
    fine, message = found.checkParameterValues(parameters, context)
    assert not fine
    assert sentence in message
    with pytest.raises(QgsProcessingException):
        run(parameters, context, feedback)

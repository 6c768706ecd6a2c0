"""flair:change with a stand-in for the engine: what it asks for, and what it gives back."""

from pathlib import Path

import processing
import pytest
from helpers import write_raster
from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingOutputHtml,
    QgsProcessingOutputRasterLayer,
    QgsProject,
    QgsRasterLayer,
)

from flair_qgis.styling import StylePostProcessor

NAME = "flair:change"


def run(parameters, context, feedback):
    return processing.run(NAME, parameters, context=context, feedback=feedback, is_child_algorithm=True)


@pytest.fixture
def good(tmp_path):
    """Values that a run needs."""
    before = write_raster(tmp_path / "before.tif", bands=1, value=4)
    after = write_raster(tmp_path / "after.tif", bands=1, value=9)
    return {"BEFORE": before, "AFTER": after, "OUTPUT": str(tmp_path / "results")}


def test_parameters_and_outputs():
    found = QgsApplication.processingRegistry().createAlgorithmById(NAME)
    definitions = {item.name(): item for item in found.parameterDefinitions()}
    shown = [name for name, item in definitions.items() if not item.flags() & item.FlagAdvanced]
    assert shown == ["BEFORE", "AFTER", "MINIMUM_AREA", "AREA", "AREA_FIELD", "OUTPUT", "CHANGE_MAP", "REPORT"]
    outputs = {item.name(): item for item in found.outputDefinitions()}
    assert set(outputs) == {"OUTPUT", "CHANGE_MAP", "REPORT", "TABLE", "CHANGED", "COMPARED", "SECONDS"}
    assert isinstance(outputs["CHANGE_MAP"], QgsProcessingOutputRasterLayer)
    assert isinstance(outputs["REPORT"], QgsProcessingOutputHtml)
    assert (found.group(), found.groupId()) == ("5. Maps and areas", "maps")
    assert not found.icon().isNull()


def test_all_values_arrive(fake_engine, good, labels, tmp_path, context, feedback):
    (tmp_path / "g.yaml").write_text("sealed: [1]\n")
    sure = write_raster(tmp_path / "sure.tif", bands=1, value=80)
    parameters = {**good, "AREA": labels, "AREA_FIELD": "landuse", "NOMENCLATURE": "flair", "OVERWRITE": False}
    parameters.update({"AFTER_CONFIDENCE": sure, "MINIMUM_CONFIDENCE": 60, "MINIMUM_AREA": 50})
    result = run({**parameters, "GROUPS": str(tmp_path / "g.yaml")}, context, feedback)
    assert fake_engine.record["request"] == {
        "command": "change",
        "options": {
            "before": good["BEFORE"],
            "after": good["AFTER"],
            "output": good["OUTPUT"],
            "after_confidence": sure,
            "minimum_confidence": 60,
            "minimum_area": 50,
            "groups": str(tmp_path / "g.yaml"),
            "area": labels.partition("|")[0],
            "area_layer": "parcels",
            "area_field": "landuse",
            "nomenclature": "flair",
            "overwrite": False,
        },
    }
    folder = Path(good["OUTPUT"])
    assert result == {
        "OUTPUT": str(folder),
        "CHANGE_MAP": str(folder / "change.tif"),
        "REPORT": str(folder / "report.html"),
        "TABLE": str(folder / "change.csv"),
        "CHANGED": 0.5,
        "COMPARED": 4.0,
        "SECONDS": 0.5,
    }


def test_the_raster_goes_where_it_is_wanted_with_its_legend(fake_engine, good, tmp_path, context, feedback):
    mine = str(tmp_path / "mine.tif")
    context.addLayerToLoadOnCompletion(mine, QgsProcessingContext.LayerDetails("change", QgsProject.instance()))
    result = run({**good, "CHANGE_MAP": mine}, context, feedback)
    assert result["CHANGE_MAP"] == mine
    assert (tmp_path / "mine.tif.aux.xml").is_file()
    processor = context.layerToLoadOnCompletionDetails(mine).postProcessor()
    assert isinstance(processor, StylePostProcessor)
    layer = QgsRasterLayer(mine, "change")
    processor.postProcessLayer(layer, context, feedback)
    assert [item.label for item in layer.renderer().classes()] == ["Building", "Water", "Greenhouse"]


def test_layers_of_one_name_that_need_a_crs(fake_engine, good, tmp_path, context, feedback):
    layers = []
    for name in ("a", "b"):
        layer = QgsRasterLayer(write_raster(tmp_path / f"{name}.tif", bands=1, epsg=None), "map")
        layer.setCrs(QgsCoordinateReferenceSystem("EPSG:2154"))
        QgsProject.instance().addMapLayer(layer)
        layers.append(layer.id())
    run({**good, "BEFORE": layers[0], "AFTER": layers[1]}, context, feedback)
    assert fake_engine.options["before"] != fake_engine.options["after"]
    assert {Path(fake_engine.options[name]).name for name in ("before", "after")} == {"map.vrt"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"BEFORE": "IMAGE"}, "has 3 bands"),
        ({"BEFORE": "FAR"}, "The maps do not overlap."),
        ({"MINIMUM_CONFIDENCE": 5}, "A least confidence needs a raster of confidence"),
        ({"AFTER_CONFIDENCE": "FAR"}, "A least confidence needs a raster of confidence"),
        ({"AREA_FIELD": "nom"}, "A field of the name is given, but no polygons."),
        ({"AREA": "LABELS", "AREA_FIELD": "nom"}, 'The polygons have no field "nom".'),
        ({"GROUPS": "none.yaml"}, "none.yaml"),
    ],
)
def test_what_the_dialog_refuses(good, image, labels, tmp_path, context, feedback, changes, sentence):
    far = write_raster(tmp_path / "far.tif", bands=1, origin=(800000.0, 6600000.0))
    places = {"IMAGE": image, "LABELS": labels, "FAR": far}
    parameters = {**good, **{key: places.get(value, value) for key, value in changes.items()}}
    found = QgsApplication.processingRegistry().createAlgorithmById(NAME)
    fine, message = found.checkParameterValues(parameters, context)
    assert not fine
    assert sentence in message
    with pytest.raises(QgsProcessingException):
        run(parameters, context, feedback)

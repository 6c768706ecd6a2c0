"""flair:areastatistics with a stand-in for the engine: what it asks for, and what it gives back."""

from pathlib import Path

import processing
import pytest
from helpers import polygons, write_raster
from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsCategorizedSymbolRenderer,
    QgsCoordinateReferenceSystem,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingOutputHtml,
    QgsProcessingOutputVectorLayer,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)

from flair_qgis.area_styling import AreaStylePostProcessor

NAME = "flair:areastatistics"


def algorithm():
    return QgsApplication.processingRegistry().createAlgorithmById(NAME)


def run(parameters, context, feedback):
    return processing.run(NAME, parameters, context=context, feedback=feedback, is_child_algorithm=True)


@pytest.fixture
def good(raster, tmp_path):
    """Values that a run needs."""
    return {"INPUT": raster, "OUTPUT": str(tmp_path / "results")}


def test_parameters_and_outputs():
    found = algorithm()
    definitions = {item.name(): item for item in found.parameterDefinitions()}
    shown = [name for name, item in definitions.items() if not item.flags() & item.FlagAdvanced]
    assert shown == ["INPUT", "AREA", "AREA_FIELD", "GRID", "OUTPUT", "POLYGONS", "REPORT"]
    outputs = {item.name(): item for item in found.outputDefinitions()}
    assert set(outputs) == {"OUTPUT", "POLYGONS", "REPORT", "TABLE", "HECTARES", "SECONDS"}
    # what makes QGIS put it on the map, and into the viewer of results
    assert isinstance(outputs["POLYGONS"], QgsProcessingOutputVectorLayer)
    assert isinstance(outputs["REPORT"], QgsProcessingOutputHtml)
    assert definitions["AREA_FIELD"].parentLayerParameterName() == "AREA"
    assert (found.group(), found.groupId()) == ("5. Maps and areas", "maps")
    assert not found.icon().isNull()
    assert "qgis_process run flair:areastatistics" in found.shortHelpString()


def test_all_values_arrive(fake_engine, good, labels, context, feedback):
    parameters = {**good, "AREA": labels, "AREA_FIELD": "landuse", "NOMENCLATURE": "flair", "OVERWRITE": False}
    result = run({**parameters, "POLYGONS": "TEMPORARY_OUTPUT"}, context, feedback)
    assert fake_engine.record["request"] == {
        "command": "area-statistics",
        "options": {
            "input": good["INPUT"],
            "area": labels.partition("|")[0],
            "area_layer": "parcels",
            "area_field": "landuse",
            "nomenclature": "flair",
            "overwrite": False,
            "output": good["OUTPUT"],
        },
    }
    folder = Path(good["OUTPUT"])
    assert result == {
        "OUTPUT": str(folder),
        "TABLE": str(folder / "areas.csv"),
        "REPORT": str(folder / "report.html"),
        "POLYGONS": str(folder / "areas.gpkg"),
        "HECTARES": 1.5,
        "SECONDS": 0.5,
    }


def test_a_grid_and_names_of_ones_own(fake_engine, good, tmp_path, context, feedback):
    mine = {"POLYGONS": str(tmp_path / "cells.gpkg"), "REPORT": str(tmp_path / "page.html")}
    result = run({**good, **mine, "GRID": 250}, context, feedback)
    assert fake_engine.options["grid"] == 250
    assert {name: result[name] for name in mine} == mine
    assert QgsVectorLayer(mine["POLYGONS"], "cells", "ogr").featureCount() == 1


def test_without_polygons_there_is_no_layer(fake_engine, good, tmp_path, context, feedback):
    path = str(tmp_path / "a.gpkg")
    context.addLayerToLoadOnCompletion(path, QgsProcessingContext.LayerDetails("areas", QgsProject.instance()))
    result = run({**good, "POLYGONS": path}, context, feedback)
    assert "POLYGONS" not in result
    assert not context.layersToLoadOnCompletion()


def test_polygons_get_the_colour_of_their_largest_class(fake_engine, good, tmp_path, context, feedback):
    path = str(tmp_path / "a.gpkg")
    context.addLayerToLoadOnCompletion(path, QgsProcessingContext.LayerDetails("areas", QgsProject.instance()))
    run({**good, "POLYGONS": path, "GRID": 100}, context, feedback)
    processor = context.layerToLoadOnCompletionDetails(path).postProcessor()
    assert isinstance(processor, AreaStylePostProcessor)
    layer = QgsVectorLayer(path, "areas", "ogr")
    processor.postProcessLayer(layer, context, feedback)
    renderer = layer.renderer()
    assert isinstance(renderer, QgsCategorizedSymbolRenderer)
    assert renderer.classAttribute() == "largest_code"
    found = [(item.value(), item.label(), item.symbol().color().name()) for item in renderer.categories()]
    assert found == [(1, "Building", "#db0e9a"), (5, "Water", "#1553ae"), (18, "Greenhouse", "#9999ff")]


def test_the_crs_that_somebody_chose(fake_engine, good, tmp_path, context, feedback):
    fake_engine.mode("inspect")
    layer = QgsRasterLayer(write_raster(tmp_path / "bare.tif", bands=1, epsg=None), "my map")
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32631"))
    QgsProject.instance().addMapLayer(layer)
    run({**good, "INPUT": layer.id()}, context, feedback)
    assert Path(fake_engine.options["input"]).name == "my_map.vrt"
    assert "32631" in fake_engine.record["info"]["coordinateSystem"]["wkt"]


def test_a_memory_layer_of_polygons(fake_engine, good, context, feedback):
    fake_engine.mode("inspect")
    layer = polygons(4326)
    QgsProject.instance().addMapLayer(layer)
    run({**good, "AREA": layer.id()}, context, feedback)
    assert fake_engine.record["area"][1:] == [3, "4326"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"AREA": "LABELS", "GRID": 5}, "Polygons and a grid are given."),
        ({"AREA": "LABELS", "AREA_FIELD": "nom"}, 'The polygons have no field "nom".'),
        ({"AREA_FIELD": "nom"}, "A field of the name is given, but no polygons."),
        ({"POLYGONS": "a.shp", "GRID": 5}, "The polygons with areas are a GeoPackage."),
        ({"INPUT": "IMAGE"}, "has 3 bands"),
        ({"NOMENCLATURE": "none.yaml"}, "none.yaml"),
    ],
)
def test_what_the_dialog_refuses(good, image, labels, tmp_path, context, feedback, changes, sentence):
    places = {"LABELS": labels, "IMAGE": image, "a.shp": str(tmp_path / "a.shp")}
    parameters = {**good, **{key: places.get(value, value) for key, value in changes.items()}}
    fine, message = algorithm().checkParameterValues(parameters, context)
    assert not fine
    assert sentence in message
    # a model does not ask
    with pytest.raises(QgsProcessingException, match=sentence[:12]):
        run(parameters, context, feedback)


def test_what_the_engine_says(fake_engine, good, context, feedback):
    fake_engine.mode("error")
    with pytest.raises(QgsProcessingException, match=r"The image has no CRS\. Set one\."):
        run(good, context, feedback)
    assert gdal.Open(good["INPUT"]) is not None

"""flair:polygonise with a stand-in for the engine: what it asks for, and what it gives back."""

from pathlib import Path

import processing
import pytest
from helpers import write_raster
from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsCategorizedSymbolRenderer,
    QgsCoordinateReferenceSystem,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingOutputVectorLayer,
    QgsProject,
    QgsRasterLayer,
    QgsRenderContext,
    QgsVectorLayer,
)

from flair_qgis.polygon_styling import PolygonStylePostProcessor, class_renderer

NAME = "flair:polygonise"


def algorithm():
    return QgsApplication.processingRegistry().createAlgorithmById(NAME)


def run(parameters, context, feedback):
    return processing.run(NAME, parameters, context=context, feedback=feedback, is_child_algorithm=True)


@pytest.fixture
def good(raster, tmp_path):
    """Values that a run needs."""
    return {"INPUT": raster, "OUTPUT": str(tmp_path / "made.gpkg")}


def test_parameters_and_outputs():
    found = algorithm()
    definitions = {item.name(): item for item in found.parameterDefinitions()}
    shown = [name for name, item in definitions.items() if not item.flags() & item.FlagAdvanced]
    assert shown == ["INPUT", "MINIMUM_AREA", "OUTLINE", "LEAVE_OUT", "CONFIDENCE", "OUTPUT"]
    outputs = {item.name(): item for item in found.outputDefinitions()}
    assert set(outputs) == {"OUTPUT", "POLYGONS", "SECONDS"}
    assert isinstance(outputs["OUTPUT"], QgsProcessingOutputVectorLayer)
    assert definitions["OUTPUT"].defaultFileExtension() == "gpkg"
    assert (found.group(), found.groupId()) == ("5. Maps and areas", "maps")
    assert not found.icon().isNull()
    assert "qgis_process run flair:polygonise" in found.shortHelpString()


def test_all_values_arrive(fake_engine, good, tmp_path, context, feedback):
    confidence = write_raster(tmp_path / "confidence.tif", bands=1, value=80)
    parameters = {**good, "MINIMUM_AREA": 25, "OUTLINE": "smooth", "TOLERANCE": 0.5, "LEAVE_OUT": "19, 20;7"}
    parameters.update({"CONFIDENCE": confidence, "NOMENCLATURE": "flair", "MEMORY": 2, "OVERWRITE": False})
    result = run(parameters, context, feedback)
    assert fake_engine.record["request"] == {
        "command": "polygonise",
        "options": {
            "input": good["INPUT"],
            "confidence": confidence,
            "minimum_area": 25,
            "outline": "smooth",
            "tolerance": 0.5,
            "leave_out": [19, 20, 7],
            "nomenclature": "flair",
            "memory": 2,
            "overwrite": False,
            "output": good["OUTPUT"],
        },
    }
    assert result == {"OUTPUT": good["OUTPUT"], "POLYGONS": 1, "SECONDS": 0.5}
    assert QgsVectorLayer(result["OUTPUT"], "made", "ogr").featureCount() == 1


def test_defaults_leave_choices_to_the_engine(fake_engine, good, context, feedback):
    result = run({**good, "OUTPUT": "TEMPORARY_OUTPUT"}, context, feedback)
    options = fake_engine.options
    assert options["output"] == result["OUTPUT"]
    assert result["OUTPUT"].endswith(".gpkg")
    assert Path(result["OUTPUT"]).is_file()
    assert options["outline"] == "simplified"
    assert options["minimum_area"] == 0
    assert options["overwrite"] is True
    assert not {"tolerance", "leave_out", "confidence", "nomenclature", "memory", "layer", "crs"} & set(options)


def test_the_crs_that_somebody_chose(fake_engine, tmp_path, context, feedback):
    path = write_raster(tmp_path / "bare.tif", bands=1, value=4)
    dataset = gdal.Open(path, gdal.GA_Update)
    dataset.SetProjection("")
    del dataset
    layer = QgsRasterLayer(path, "bare")
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:2154"))
    QgsProject.instance().addMapLayer(layer)
    fake_engine.mode("inspect")
    run({"INPUT": layer, "OUTPUT": str(tmp_path / "a.gpkg")}, context, feedback)
    assert "2154" in fake_engine.record["info"]["coordinateSystem"]["wkt"]


@pytest.mark.parametrize("with_file", [True, False])
def test_polygons_get_the_colours_of_the_classes(fake_engine, good, with_file, context, feedback):
    path = good["OUTPUT"]
    if with_file:
        styled = QgsVectorLayer("Polygon?crs=EPSG:2154&field=code:integer", "styled", "memory")
        styled.setRenderer(class_renderer([{"code": 5, "name": "sea", "color": "#0000ff"}]))
        styled.saveNamedStyle(str(Path(path).with_suffix(".qml")))
    context.addLayerToLoadOnCompletion(path, QgsProcessingContext.LayerDetails("polygons", QgsProject.instance()))
    run(good, context, feedback)
    processor = context.layerToLoadOnCompletionDetails(path).postProcessor()
    assert isinstance(processor, PolygonStylePostProcessor)
    layer = QgsVectorLayer(path, "polygons", "ogr")
    processor.postProcessLayer(layer, context, feedback)
    renderer = layer.renderer()
    assert isinstance(renderer, QgsCategorizedSymbolRenderer)
    assert renderer.classAttribute() == "code"
    found = [(int(item.value()), item.label()) for item in renderer.categories()]
    assert found == ([(5, "Sea")] if with_file else [(1, "Building"), (5, "Water"), (18, "Greenhouse")])
    feature = next(layer.getFeatures())
    rendering = QgsRenderContext()
    renderer.startRender(rendering, layer.fields())
    assert renderer.symbolForFeature(feature, rendering).color().name() == ("#0000ff" if with_file else "#1553ae")
    renderer.stopRender(rendering)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"LEAVE_OUT": "19 water"}, 'Classes left out: "water" is no code.'),
        ({"LEAVE_OUT": "300"}, '"300" is no code'),
        ({"NOMENCLATURE": "absent.yaml"}, "absent.yaml"),
        ({"OUTPUT": "made.shp"}, ".gpkg"),
    ],
)
def test_mistakes_are_told_before_anything_starts(good, change, words, tmp_path, context, feedback):
    if "OUTPUT" in change:
        change = {"OUTPUT": str(tmp_path / change["OUTPUT"])}
    valid, message = algorithm().checkParameterValues({**good, **change}, context)
    assert not valid
    assert words in message
    with pytest.raises(QgsProcessingException):
        run({**good, **change}, context, feedback)


def test_rasters_that_hold_no_classes(good, image, tmp_path, context):
    valid, message = algorithm().checkParameterValues({**good, "INPUT": image}, context)
    assert not valid
    assert "colours or probabilities" in message
    valid, message = algorithm().checkParameterValues({**good, "CONFIDENCE": image}, context)
    assert not valid
    assert "no raster file of one band" in message
    valid, message = algorithm().checkParameterValues({**good, "INPUT": str(tmp_path / "absent.tif")}, context)
    assert not valid
    assert message


def test_a_failure_is_a_sentence(fake_engine, good, context, feedback):
    fake_engine.mode("error")
    with pytest.raises(QgsProcessingException, match="no CRS"):
        run(good, context, feedback)

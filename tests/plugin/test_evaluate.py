# ruff: noqa: N802 - the names of Qt
"""flair:evaluate with a stand-in for the engine: what it asks for, and what it gives back."""

from pathlib import Path

import processing
import pytest
from helpers import Feedback, polygons, write_raster
from osgeo import gdal
from qgis.core import (
    NULL,
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsPalettedRasterRenderer,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingOutputHtml,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingOutputRasterLayer,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)

from flair_qgis.styling import StylePostProcessor


def algorithm():
    return QgsApplication.processingRegistry().createAlgorithmById("flair:evaluate")


def run(parameters, context, feedback):
    return processing.run("flair:evaluate", parameters, context=context, feedback=feedback, is_child_algorithm=True)


@pytest.fixture
def prediction(tmp_path):
    return write_raster(tmp_path / "map.tif", bands=1, value=4)


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "dataset.yaml").write_text("format: 1\n")
    for name in ("train", "val", "test"):
        (folder / f"{name}.csv").write_text("a.tif,b.tif\n")
    return folder


@pytest.fixture
def good(prediction, labels, tmp_path):
    """Values that a run needs."""
    return {"PREDICTION": prediction, "TRUTH": labels, "OUTPUT": str(tmp_path / "results")}


def test_parameters_and_outputs():
    found = algorithm()
    definitions = {item.name(): item for item in found.parameterDefinitions()}
    shown = [name for name, item in definitions.items() if not item.flags() & item.FlagAdvanced]
    assert shown == [
        "PREDICTION", "TRUTH", "CLASS_FIELD", "TRUTH_RASTER", "CLASSES", "MODEL", "DATA",
        "DEFINITION", "AREA", "AREA_FIELD", "IMAGE", "OUTPUT", "ERROR_MAP", "REPORT", "PREDICTIONS",
    ]  # fmt: skip
    required = [name for name, item in definitions.items() if not item.flags() & item.FlagOptional]
    assert [name for name in required if definitions[name].defaultValue() is None] == ["OUTPUT"]
    outputs = {item.name(): item for item in found.outputDefinitions()}
    assert set(outputs) == {"OUTPUT", "ERROR_MAP", "REPORT", "METRICS", "CONFUSION", "PIXELS", "SECONDS"} | {
        "PREDICTIONS",
        "MIOU", "OVERALL_ACCURACY", "KAPPA", "FSCORE",
    }  # fmt: skip
    # what makes QGIS put it on the map, and into the viewer of results
    assert isinstance(outputs["ERROR_MAP"], QgsProcessingOutputRasterLayer)
    assert isinstance(outputs["REPORT"], QgsProcessingOutputHtml)
    assert definitions["ERROR_MAP"].createByDefault()
    assert definitions["CLASS_FIELD"].parentLayerParameterName() == "TRUTH"
    assert definitions["AREA_FIELD"].parentLayerParameterName() == "AREA"
    assert (found.group(), found.groupId()) == ("4. Evaluation", "evaluation")
    assert not found.icon().isNull()


def test_all_values_arrive(fake_engine, good, image, labels, tmp_path, context, feedback):
    mapping = tmp_path / "classes.yaml"
    mapping.write_text("Wald: 7\nHaus: 1\n")
    parameters = {**good, "CLASS_FIELD": "landuse", "CLASSES": str(mapping), "DEFINITION": "ign", "AREA": labels}
    parameters.update({"AREA_FIELD": "code", "IMAGE": [image], "BANDS": "red=3,green=2,blue=1", "IGNORE": "0, 19"})
    parameters.update({"NOMENCLATURE": str(mapping), "BLOCK": 64, "SEED": 7, "NODATA": 0, "THREADS": 2})
    result = run({**parameters, "OVERWRITE": False}, context, feedback)
    file = labels.partition("|")[0]
    assert fake_engine.record["request"] == {
        "command": "evaluate",
        "options": {
            "prediction": [good["PREDICTION"]],
            "truth": [file],
            "truth_layer": "parcels",
            "class_field": "landuse",
            "classes": str(mapping),
            "nomenclature": str(mapping),
            "ignore": [0, 19],
            "definition": "ign",
            "area": file,
            "area_layer": "parcels",
            "area_field": "code",
            "image": [image],
            "bands": {"red": 3, "green": 2, "blue": 1},
            "block": 64,
            "seed": 7,
            "nodata": 0,
            "threads": 2,
            "overwrite": False,
            "output": good["OUTPUT"],
        },
    }
    folder = Path(good["OUTPUT"])
    assert result == {
        "OUTPUT": str(folder),
        "REPORT": str(folder / "report.html"),
        "METRICS": str(folder / "metrics.json"),
        "CONFUSION": str(folder / "confusion.csv"),
        "ERROR_MAP": str(folder / "errors.tif"),
        "MIOU": 0.61,
        "OVERALL_ACCURACY": 0.8,
        "FSCORE": 0.7,
        "PIXELS": 200,
        "SECONDS": 0.5,
    }
    # of kappa the engine said that it has no value
    assert "By 'strict': mean IoU 61.0 %" in "\n".join(feedback.infos)


def test_defaults_leave_choices_to_the_engine(fake_engine, good, context, feedback):
    result = run({**good, "OUTPUT": "TEMPORARY_OUTPUT"}, context, feedback)
    options = fake_engine.options
    assert options["output"] == result["OUTPUT"]
    assert Path(result["ERROR_MAP"]).parent == Path(result["OUTPUT"])
    left = {"class_field", "classes", "bands", "area", "nodata", "nomenclature", "ignore", "crs", "image", "model"}
    assert not left & set(options)
    assert (options["definition"], options["overwrite"], options["block"]) == ("strict", True, 512)


def test_what_a_dialog_leaves_empty(fake_engine, good, context, feedback):
    empty = {"MODEL": NULL, "DATA": NULL, "WEIGHTS": NULL, "ROOT": NULL, "CLASS_FIELD": NULL, "AREA_FIELD": NULL}
    empty.update({"MODEL_NAME": None, "TRUTH_RASTER": None, "AREA": None, "IMAGE": None, "BANDS": "", "IGNORE": ""})
    assert algorithm().checkParameterValues({**good, **empty}, context) == (True, "")
    run({**good, **empty}, context, feedback)
    assert not {"model", "data", "weights", "root", "class_field", "area_field"} & set(fake_engine.options)


def test_truth_as_a_raster_in_a_crs_chosen_in_qgis(fake_engine, prediction, tmp_path, context, feedback):
    fake_engine.mode("inspect")
    raster = QgsRasterLayer(write_raster(tmp_path / "bare.tif", bands=1, value=6, epsg=None), "bare")
    raster.setCrs(QgsCoordinateReferenceSystem("EPSG:2154"))
    QgsProject.instance().addMapLayer(raster)
    parameters = {"PREDICTION": prediction, "TRUTH_RASTER": raster.id(), "OUTPUT": "TEMPORARY_OUTPUT"}
    run(parameters, context, feedback)
    found = fake_engine.record["label_raster"]
    assert 'ID["EPSG",2154]' in found["coordinateSystem"]["wkt"].replace("\n", "")
    assert found["bands"][0]["computedMin"] == 7
    assert not {"truth_layer", "class_field"} & set(fake_engine.options)


def test_prediction_in_a_crs_chosen_in_qgis(fake_engine, labels, tmp_path, context, feedback):
    bare = QgsRasterLayer(write_raster(tmp_path / "bare.tif", bands=1, value=4, epsg=None), "bare")
    bare.setCrs(QgsCoordinateReferenceSystem("EPSG:2154"))
    QgsProject.instance().addMapLayer(bare)
    run({"PREDICTION": bare.id(), "TRUTH": labels, "OUTPUT": "TEMPORARY_OUTPUT"}, context, feedback)
    assert fake_engine.options["crs"] == "EPSG:2154"


def test_what_the_person_sees_is_what_is_compared(fake_engine, good, context, feedback):
    fake_engine.mode("inspect")
    memory = polygons(4326)
    memory.selectByExpression('"code"=3')
    QgsProject.instance().addMapLayer(memory)
    value = QgsProcessingFeatureSourceDefinition(memory.id(), True)
    run({**good, "TRUTH": value, "AREA": memory.id(), "AREA_FIELD": "landuse"}, context, feedback)
    assert [row["code"] for row in fake_engine.record["labels"]["rows"]] == [3]
    # the names of the area's polygons stay with them
    assert fake_engine.record["area"][1] == 3
    assert fake_engine.options["area_field"] == "landuse"


def test_model_and_data_set(fake_engine, data, model, tmp_path, context, feedback):
    parameters = {"MODEL": model, "DATA": str(data), "SPLIT": "val", "ROOT": str(tmp_path), "DEVICE": "cpu"}
    # a dialog asks for a map of errors by itself
    parameters.update({"OUTPUT": str(tmp_path / "results"), "ERROR_MAP": "TEMPORARY_OUTPUT"})
    parameters["PREDICTIONS"] = str(tmp_path / "classes")
    result = run(parameters, context, feedback)
    assert fake_engine.options == {
        "model": model,
        "data": str(data),
        "split": "val",
        "root": str(tmp_path),
        "device": "cpu",
        "predictions": str(tmp_path / "classes"),
        "definition": "strict",
        "seed": 0,
        "overwrite": True,
        "output": str(tmp_path / "results"),
    }
    assert "ERROR_MAP" not in result
    assert result["PREDICTIONS"] == str(tmp_path / "classes")
    assert result["MIOU"] == 0.61


def test_model_by_name(fake_engine, data, model, tmp_path, context, feedback):
    name = "FLAIR-INC_rgb_15cl_resnet34-unet"
    parameters = {"MODEL_NAME": name, "WEIGHTS": model, "DATA": str(data), "OUTPUT": str(tmp_path / "results")}
    run(parameters, context, feedback)
    assert (fake_engine.options["model"], fake_engine.options["weights"]) == (name, model)


def test_outputs_with_names_of_their_own_are_copies(fake_engine, good, tmp_path, context, feedback):
    errors, page = tmp_path / "mine.tif", tmp_path / "page.html"
    result = run({**good, "ERROR_MAP": str(errors), "REPORT": str(page)}, context, feedback)
    assert (result["ERROR_MAP"], result["REPORT"]) == (str(errors), str(page))
    folder = Path(good["OUTPUT"])
    assert errors.read_bytes() == (folder / "errors.tif").read_bytes()
    assert page.read_text() == "fake report.html"
    assert (tmp_path / "mine.qml").read_text() == (folder / "errors.qml").read_text()
    assert (tmp_path / "mine.tif.aux.xml").is_file()
    assert not list(tmp_path.glob(".*"))


def test_a_copy_that_cannot_be_written(fake_engine, good, context, feedback):
    with pytest.raises(QgsProcessingException, match=r"cannot be written: .* the results lie in"):
        run({**good, "REPORT": "/proc/nowhere/page.html"}, context, feedback)


@pytest.mark.parametrize("named", [False, True])
def test_map_of_errors_goes_onto_the_canvas(fake_engine, good, tmp_path, feedback, named):
    """As the toolbox does it: an output that QGIS is to load."""
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    value = str(tmp_path / "mine.tif") if named else "TEMPORARY_OUTPUT"
    definition = QgsProcessingOutputLayerDefinition(value, QgsProject.instance())
    result, success = algorithm().run({**good, "ERROR_MAP": definition}, context, feedback)
    assert success, feedback.errors
    # a temporary one is the file in the folder of results, which stays where QGIS's own would vanish
    wanted = value if named else str(Path(good["OUTPUT"]) / "errors.tif")
    assert result["ERROR_MAP"] == wanted
    layers = context.layersToLoadOnCompletion()
    assert list(layers) == [wanted]
    details = layers[wanted]
    assert details.name == "Map of errors"
    assert details.outputName == "ERROR_MAP"
    assert isinstance(details.postProcessor(), StylePostProcessor)
    layer = QgsRasterLayer(wanted, "errors")
    details.postProcessor().postProcessLayer(layer, context, feedback)
    assert isinstance(layer.renderer(), QgsPalettedRasterRenderer)
    assert [item.label for item in layer.renderer().classes()] == ["Building", "Water", "Greenhouse"]


def test_nothing_is_loaded_of_a_model(fake_engine, data, model, tmp_path, feedback):
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    definition = QgsProcessingOutputLayerDefinition("TEMPORARY_OUTPUT", QgsProject.instance())
    parameters = {"MODEL": model, "DATA": str(data), "OUTPUT": str(tmp_path / "r"), "ERROR_MAP": definition}
    _, success = algorithm().run(parameters, context, feedback)
    assert success, feedback.errors
    assert context.layersToLoadOnCompletion() == {}


class Service(QgsRasterLayer):
    """A layer that says it is drawn by a service."""

    def providerType(self):
        return "wms"


def test_service_is_copied_where_the_prediction_lies(fake_engine, good, image, context, feedback, monkeypatch):
    from flair_qgis import layers

    asked = []
    plan = layers.Extract.plan
    monkeypatch.setattr(layers.Extract, "plan", staticmethod(lambda *values: asked.append(values) or plan(*values)))

    def copy(extract, folder, *_):
        folder.mkdir()
        gdal.Translate(str(folder / "copy.tif"), image)
        return folder / "copy.tif"

    monkeypatch.setattr(layers, "copy_extract", copy)
    service = Service(image, "service")
    QgsProject.instance().addMapLayer(service)
    run({**good, "IMAGE": [service]}, context, feedback)
    _, _, _, box, crs, distance, _ = asked[0]
    assert crs.authid() == "EPSG:2154"
    corners = [box.xMinimum(), box.xMaximum(), box.yMinimum(), box.yMaximum()]
    assert corners == pytest.approx([700000, 700004, 6599998, 6600000])
    assert distance == pytest.approx(0.2, rel=0.01)
    (path,) = fake_engine.options["image"]
    assert fake_engine.record["files"] == {path: True}


def test_checks_of_a_prediction_before_the_run(good, prediction, labels, image, model, data, tmp_path):
    context = QgsProcessingContext()
    far = write_raster(tmp_path / "far.tif", bands=1, origin=(1000.0, 2000.0))
    bare = write_raster(tmp_path / "bare.tif", bands=1, epsg=None)
    results = good["OUTPUT"]
    assert algorithm().checkParameterValues(good, context) == (True, "")
    assert algorithm().checkParameterValues({**good, "ERROR_MAP": f"{results}/errors.tif"}, context) == (True, "")
    both_bare = {"PREDICTION": bare, "TRUTH_RASTER": bare, "OUTPUT": results}
    assert algorithm().checkParameterValues(both_bare, context) == (True, "")
    for change, part in (
        ({"PREDICTION": None, "TRUTH": None}, "nothing to judge. Choose a prediction and its truth, or a model"),
        ({"TRUTH": None}, "has no truth. Choose polygons"),
        ({"PREDICTION": None}, "a truth, but no prediction"),
        ({"TRUTH_RASTER": prediction}, "given twice"),
        ({"MODEL": model}, "Clear the two of them"),
        ({"DATA": str(data)}, "Clear the two of them"),
        ({"CLASS_FIELD": "klasse"}, 'no field "klasse". Their fields: fid, landuse, code.'),
        ({"AREA": labels, "AREA_FIELD": "nom"}, 'no field "nom". Their fields: fid, landuse, code.'),
        ({"CLASSES": "Wald"}, 'Classes: "Wald" is not name=code.'),
        ({"NOMENCLATURE": "/nowhere/mine.yaml"}, "There is no file /nowhere/mine.yaml."),
        ({"IGNORE": "wood"}, '"wood" is no class code'),
        ({"IMAGE": [image], "BANDS": "red=4"}, "has 3 bands"),
        ({"PREDICTION": "/nowhere/map.tif"}, "There is no image /nowhere/map.tif."),
        ({"PREDICTION": bare}, "The prediction has no CRS, and its counterpart has one. Set it"),
        ({"TRUTH": None, "TRUTH_RASTER": bare}, "The truth has no CRS"),
        ({"PREDICTION": far}, "The truth lies outside the prediction."),
        ({"PREDICTION": Service(prediction, "plan")}, 'prediction "plan" is a picture drawn by a service'),
        ({"ERROR_MAP": f"{results}/mine.tif"}, "would lie in the folder of results"),
        ({"REPORT": f"{results}/sub/page.html"}, "would lie in the folder of results"),
        ({"PREDICTIONS": str(tmp_path / "classes")}, "but there are no patches"),
        ({"OUTPUT": None}, "OUTPUT"),
    ):
        valid, message = algorithm().checkParameterValues({**good, **change}, context)
        assert not valid, change
        assert part in message, message


def test_checks_of_a_model_before_the_run(model, data, labels, tmp_path):
    context = QgsProcessingContext()
    good = {"MODEL": model, "DATA": str(data), "OUTPUT": str(tmp_path / "results")}
    empty = tmp_path / "empty"
    empty.mkdir()
    (data / "test.csv").write_text("")
    (tmp_path / "damaged.safetensors").write_bytes(b"nothing")
    assert algorithm().checkParameterValues({**good, "SPLIT": "val"}, context) == (True, "")
    assert algorithm().checkParameterValues({**good, "DATA": str(data / "test.csv")}, context) == (True, "")
    for change, part in (
        ({}, "no patches of the part test: test.csv is missing or empty. It has: val, train."),
        ({"DATA": None}, "The model has no data set."),
        ({"MODEL": None}, "a data set, but no model"),
        ({"DATA": str(empty)}, "holds no data set"),
        ({"DATA": "/nowhere"}, "There is no folder /nowhere."),
        ({"MODEL": "/nowhere/model.pth"}, "There is no model file /nowhere/model.pth."),
        ({"MODEL": str(tmp_path / "damaged.safetensors")}, "is not a model file, or it is damaged"),
        ({"AREA": labels}, '"Area" has no effect where a model is judged'),
        ({"SPLIT": "val", "ERROR_MAP": str(tmp_path / "errors.tif")}, "There is no map of errors"),
    ):
        valid, message = algorithm().checkParameterValues({**good, **change}, context)
        assert not valid, change
        assert part in message, message


def test_mistakes_are_found_in_a_step_of_a_model_too(fake_engine, good, context, feedback):
    """A model does not make the checks of its steps before it runs them."""
    _, success = algorithm().run({**good, "CLASS_FIELD": "klasse"}, context, feedback)
    assert not success
    assert feedback.errors == ['The polygons have no field "klasse". Their fields: fid, landuse, code.']
    assert not (fake_engine.folder / "record.json").exists()


def test_engine_error_is_raised_in_the_words_of_the_dialog(fake_engine, good, context, feedback):
    fake_engine.mode("error")
    with pytest.raises(QgsProcessingException, match=r"The image has no CRS\. Set one\."):
        run(good, context, feedback)
    assert not Path(good["OUTPUT"]).exists()


def test_cancel(fake_engine, good, context):
    fake_engine.mode("hang")
    with pytest.raises(QgsProcessingException, match="Cancelled"):
        run(good, context, Feedback(cancel_after=1.0))


def test_a_layer_without_a_file(good, tmp_path):
    lost = QgsVectorLayer("/nowhere/lost.gpkg", "lost", "ogr")
    valid, message = algorithm().checkParameterValues({**good, "TRUTH": lost}, QgsProcessingContext())
    assert not valid
    assert message

import json
import time
from pathlib import Path

import processing
import pytest
from helpers import Feedback, write_model, write_raster
from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsGeometry,
    QgsPalettedRasterRenderer,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingParameterFile,
    QgsProcessingParameterMultipleLayers,
    QgsProject,
    QgsProperty,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QCoreApplication, QEventLoop


def algorithm():
    return QgsApplication.processingRegistry().createAlgorithmById("flair:classify")


def run(parameters, context, feedback):
    return processing.run("flair:classify", parameters, context=context, feedback=feedback, is_child_algorithm=True)


def check(parameters, context=None):
    return algorithm().checkParameterValues(parameters, context or QgsProcessingContext())


def test_parameters_and_outputs():
    found = algorithm()
    names = [item.name() for item in found.parameterDefinitions()]
    assert names[:7] == ["INPUT", "MODEL_NAME", "MODEL", "WEIGHTS", "BANDS", "EXTENT", "AREA"]
    assert {"OUTPUT", "CONFIDENCE", "PROBABILITIES", "DEVICE", "OVERWRITE"} <= set(names)
    assert {item.name() for item in found.outputDefinitions()} >= {"OUTPUT", "PIXELS", "SECONDS"}
    required = [item.name() for item in found.parameterDefinitions() if not item.flags() & item.FlagOptional]
    assert [name for name in required if name in ("INPUT", "OUTPUT", "MODEL", "CONFIDENCE")] == ["INPUT", "OUTPUT"]
    assert found.group() == "3. Land cover"
    assert found.groupId() == "landcover"
    assert "FLAIR-INC_rgbie_15cl_resnet34-unet" in found.parameterDefinition("MODEL_NAME").options()


def test_every_option_is_one_of_the_request(fake_engine, image, model, tmp_path, context, feedback):
    """The names that are sent are those of the engine's request."""
    source = (Path(__file__).resolve().parents[2] / "engine" / "requests" / "classify.py").read_text()
    parameters = {"INPUT": [image], "MODEL": model, "OUTPUT": str(tmp_path / "map.tif")}
    parameters.update({"BANDS": "red=1,green=2,blue=3", "WINDOW": 128, "MARGIN": 8, "BATCH_SIZE": 2, "MEMORY": 2.0})
    parameters.update({"NODATA": 0, "BLEND": True, "AUGMENT": True, "EXTENT": "700000,700001,6599999,6600000"})
    parameters.update({"CONFIDENCE": str(tmp_path / "c.tif"), "PROBABILITIES": str(tmp_path / "p.tif")})
    parameters.update({"DEVICE": "cuda:1", "PRECISION": "int8", "ALLOW_SCALE": True, "ALLOW_RANGE": True})
    run(parameters, context, feedback)
    options = fake_engine.options
    assert not [name for name in options if f"    {name}: " not in source]
    assert options["input"] == [image]
    assert options["model"] == model
    assert options["bands"] == {"red": 1, "green": 2, "blue": 3}
    assert options["nodata"] == 0.0
    assert (options["window"], options["margin"], options["batch_size"], options["memory"]) == (128, 8, 2, 2.0)
    assert [float(part) for part in options["extent"].split(",")] == [700000, 700001, 6599999, 6600000]
    assert (options["device"], options["precision"], options["layout"]) == ("cuda:1", "int8", "single")
    assert options["overwrite"] is True
    assert "crs" not in options


def test_run_returns_layer_and_numbers(fake_engine, image, model, tmp_path, context, feedback):
    output = str(tmp_path / "map.tif")
    result = run({"INPUT": [image], "MODEL": model, "OUTPUT": output}, context, feedback)
    assert result == {"OUTPUT": output, "PIXELS": 200, "SECONDS": 0.5}
    assert (gdal.Open(output).ReadAsArray() == 5).all()
    assert feedback.warnings == ['bands look alike: see "Bands"']


def test_relative_paths_start_from_the_folder_of_qgis(
    fake_engine, image, model, tmp_path, context, feedback, monkeypatch
):
    """The engine runs in a folder of its own, which is deleted afterwards."""
    monkeypatch.chdir(tmp_path)
    run({"INPUT": [image], "MODEL": "tiny.safetensors", "OUTPUT": "map.tif"}, context, feedback)
    assert (fake_engine.options["model"], fake_engine.options["output"]) == (model, str(tmp_path / "map.tif"))
    assert (gdal.Open(str(tmp_path / "map.tif")).ReadAsArray() == 5).all()


def test_model_by_name_with_weights(fake_engine, image, tmp_path, context, feedback):
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"x")
    name = "FLAIR-INC_rgb_15cl_resnet34-fpn"
    run(
        {"INPUT": [image], "MODEL_NAME": name, "WEIGHTS": str(weights), "OUTPUT": "TEMPORARY_OUTPUT"}, context, feedback
    )
    assert fake_engine.options["model"] == name
    assert fake_engine.options["weights"] == str(weights)
    assert fake_engine.options["output"].endswith(".tif")


def test_engine_error_is_raised(fake_engine, image, model, context, feedback):
    fake_engine.mode("error")
    with pytest.raises(QgsProcessingException, match=r"The image has no CRS\. Set one\."):
        run({"INPUT": [image], "MODEL": model, "OUTPUT": "TEMPORARY_OUTPUT"}, context, feedback)


def test_without_engine_it_says_what_to_do():
    possible, text = algorithm().canExecute()
    assert not possible
    assert "Set up the engine" in text
    for other in ("flair:setupengine", "flair:diagnostics"):
        assert QgsApplication.processingRegistry().createAlgorithmById(other).canExecute()[0]


def test_checks_before_the_run(image, model, tmp_path):
    good = {"INPUT": [image], "MODEL": model, "OUTPUT": str(tmp_path / "map.tif")}
    assert check(good) == (True, "")
    five = write_model(tmp_path / "five.safetensors", ("red", "green", "blue", "infrared", "elevation"))
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"\xff" * 40)
    later = write_model(tmp_path / "later.safetensors", version=3)
    for change, part in (
        ({"MODEL": five}, "has 3 bands, and the model tiny needs 5: red, green, blue, infrared, elevation"),
        ({"MODEL": None, "MODEL_NAME": "FLAIR-INC_rgbi_15cl_resnet34-unet"}, "needs 4"),
        ({"MODEL": str(damaged)}, "damaged"),
        ({"MODEL": str(tmp_path / "absent.safetensors")}, "There is no model file"),
        ({"MODEL": later}, "Update the plugin"),
        ({"BANDS": "red:1"}, "is not name=number"),
        ({"BANDS": "infrared=1"}, 'no band "infrared"'),
        ({"BANDS": "red=4"}, "has 3 bands"),
        ({"LAYOUT": "sheets"}, ".vrt"),
        ({"OUTPUT": str(tmp_path / "map.vrt")}, ".tif"),
        ({"DEVICE": "toaster"}, "DEVICE"),
    ):
        valid, message = check({**good, **change})
        assert not valid, change
        assert part in message, message
    assert check({**good, "LAYOUT": "sheets", "OUTPUT": str(tmp_path / "map.vrt")}) == (True, "")


def test_model_file_wins_over_the_name(image, model):
    name = "FLAIR-INC_rgbie_15cl_resnet34-unet"
    assert check({"INPUT": [image], "MODEL": model, "MODEL_NAME": name, "OUTPUT": "TEMPORARY_OUTPUT"})[0]


def area_layer(epsg=4326):
    layer = QgsVectorLayer(f"Polygon?crs=EPSG:{epsg}", "area", "memory")
    feature = QgsFeature()
    feature.setGeometry(
        QgsGeometry.fromWkt("POLYGON((700001 6599999, 700003 6599999, 700003 6599998.5, 700001 6599999))")
    )
    if epsg != 2154:
        from qgis.core import QgsCoordinateTransform

        transform = QgsCoordinateTransform(
            QgsCoordinateReferenceSystem("EPSG:2154"),
            QgsCoordinateReferenceSystem(f"EPSG:{epsg}"),
            QgsProject.instance(),
        )
        geometry = feature.geometry()
        geometry.transform(transform)
        feature.setGeometry(geometry)
    layer.dataProvider().addFeature(feature)
    layer.updateExtents()
    return layer


@pytest.mark.parametrize("with_extent", [False, True])
def test_area_arrives_in_the_crs_of_the_image(fake_engine, image, model, context, feedback, with_extent):
    fake_engine.mode("inspect")
    layer = area_layer()
    QgsProject.instance().addMapLayer(layer)
    parameters = {"INPUT": [image], "MODEL": model, "AREA": layer.id(), "OUTPUT": "TEMPORARY_OUTPUT"}
    if with_extent:
        parameters["EXTENT"] = "700000,700002,6599990,6600010 [EPSG:2154]"
    run(parameters, context, feedback)
    extent, count, code = fake_engine.record["area"]
    assert (count, code) == (1, "2154")
    assert extent == pytest.approx([700001, 700002 if with_extent else 700003, extent[2], 6599999], abs=0.02)
    assert "extent" not in fake_engine.options


def test_area_without_polygons(fake_engine, image, model, context, feedback):
    layer = QgsVectorLayer("Polygon?crs=EPSG:2154", "area", "memory")
    QgsProject.instance().addMapLayer(layer)
    parameters = {"INPUT": [image], "MODEL": model, "AREA": layer.id(), "OUTPUT": "TEMPORARY_OUTPUT"}
    with pytest.raises(QgsProcessingException, match="holds no polygon"):
        run(parameters, context, feedback)


def test_extent_is_transformed_to_the_image(fake_engine, image, model, context, feedback):
    from qgis.core import QgsCoordinateTransform, QgsRectangle

    transform = QgsCoordinateTransform(
        QgsCoordinateReferenceSystem("EPSG:2154"), QgsCoordinateReferenceSystem("EPSG:3857"), QgsProject.instance()
    )
    box = transform.transformBoundingBox(QgsRectangle(700001, 6599998, 700003, 6599999))
    text = f"{box.xMinimum()},{box.xMaximum()},{box.yMinimum()},{box.yMaximum()} [EPSG:3857]"
    run({"INPUT": [image], "MODEL": model, "EXTENT": text, "OUTPUT": "TEMPORARY_OUTPUT"}, context, feedback)
    sent = [float(part) for part in fake_engine.options["extent"].split(",")]
    assert sent == pytest.approx([700001, 700003, 6599998, 6599999], abs=0.2)


def test_layer_crs_is_passed_on(fake_engine, model, tmp_path, context, feedback):
    layer = QgsRasterLayer(write_raster(tmp_path / "bare.tif", epsg=None), "bare")
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:2154"))
    QgsProject.instance().addMapLayer(layer)
    run({"INPUT": [layer.id()], "MODEL": model, "OUTPUT": "TEMPORARY_OUTPUT"}, context, feedback)
    assert fake_engine.options["crs"] == "EPSG:2154"


def load_results(found, context, feedback):
    from processing.gui.Postprocessing import handleAlgorithmResults

    assert handleAlgorithmResults(found, context, feedback)
    return list(QgsProject.instance().mapLayers().values())


def assert_styled(layer):
    renderer = layer.renderer()
    assert isinstance(renderer, QgsPalettedRasterRenderer)
    assert [(item.value, item.color.name(), item.label) for item in renderer.classes()] == [
        (1, "#db0e9a", "Building"),
        (5, "#1553ae", "Water"),
        (18, "#9999ff", "Greenhouse"),
    ]


def destination(path="TEMPORARY_OUTPUT"):
    return QgsProcessingOutputLayerDefinition(path, QgsProject.instance())


def test_background_task_styles_the_layer_and_keeps_the_window_alive(fake_engine, image, model):
    """As the toolbox runs it: in a task of its own, while the main thread goes on."""
    fake_engine.mode("slow")
    context, feedback, found = QgsProcessingContext(), Feedback(), algorithm()
    context.setProject(QgsProject.instance())
    task = QgsProcessingAlgRunnerTask(
        found, {"INPUT": [image], "MODEL": model, "OUTPUT": destination()}, context, feedback
    )
    outcome = []
    task.executed.connect(lambda success, results: outcome.append((success, results)))
    QgsApplication.taskManager().addTask(task)
    longest, last, end = 0.0, time.monotonic(), time.monotonic() + 30
    while not outcome and time.monotonic() < end:
        QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 20)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
        time.sleep(0.005)
    assert outcome
    assert outcome[0][0], feedback.infos
    assert longest < 0.5
    (layer,) = load_results(found, context, feedback)
    assert_styled(layer)
    assert layer.name() == "Land cover"


def test_without_style_file_the_model_gives_the_legend(fake_engine, image, model, tmp_path):
    context, feedback, found = QgsProcessingContext(), Feedback(), algorithm()
    context.setProject(QgsProject.instance())
    _, success = found.run(
        {"INPUT": [image], "MODEL": model, "OUTPUT": destination(str(tmp_path / "map.tif"))}, context, feedback
    )
    assert success
    (tmp_path / "map.qml").unlink()
    (layer,) = load_results(found, context, feedback)
    assert [(item.value, item.label) for item in layer.renderer().classes()] == [(1, "Building"), (5, "Water")]


def test_cancelled_task_ends_the_engine(fake_engine, image, model):
    from helpers import alive

    fake_engine.mode("hang")
    context, feedback, found = QgsProcessingContext(), Feedback(), algorithm()
    task = QgsProcessingAlgRunnerTask(
        found, {"INPUT": [image], "MODEL": model, "OUTPUT": "TEMPORARY_OUTPUT"}, context, feedback
    )
    outcome = []
    task.executed.connect(lambda success, results: outcome.append(success))
    QgsApplication.taskManager().addTask(task)
    pids = fake_engine.pids()
    started = time.monotonic()
    feedback.cancel()
    while [pid for pid in pids if alive(pid)] and time.monotonic() < started + 10:
        QCoreApplication.processEvents()
        time.sleep(0.02)
    assert time.monotonic() - started < 2.0
    while not outcome and time.monotonic() < started + 10:
        QCoreApplication.processEvents()
    assert outcome == [False]


def chain():
    """A model whose second step takes the model file as it comes from outside."""
    made = QgsProcessingModelAlgorithm("chain", "tests")
    made.addModelParameter(
        QgsProcessingParameterMultipleLayers("images", "images"), QgsProcessingModelParameter("images")
    )
    made.addModelParameter(QgsProcessingParameterFile("model", "model"), QgsProcessingModelParameter("model"))
    child = QgsProcessingModelChildAlgorithm("flair:classify")
    child.setChildId("classify")
    source = QgsProcessingModelChildParameterSource
    child.addParameterSources("INPUT", [source.fromModelParameter("images")])
    child.addParameterSources("MODEL", [source.fromModelParameter("model")])
    output = QgsProcessingModelOutput("map")
    output.setChildId("classify")
    output.setChildOutputName("OUTPUT")
    child.setModelOutputs({"map": output})
    made.addChildAlgorithm(child)
    made.updateDestinationParameters()
    return made


def test_model_chain_loads_a_styled_layer(fake_engine, image, model):
    made = chain()
    context, feedback = QgsProcessingContext(), Feedback()
    context.setProject(QgsProject.instance())
    name = next(item.name() for item in made.destinationParameterDefinitions())
    _, success = made.run({"images": [image], "model": model, name: destination()}, context, feedback)
    assert success, feedback.console
    (layer,) = load_results(made, context, feedback)
    assert_styled(layer)


def test_dynamic_output_value_is_understood(image, model):
    value = QgsProcessingOutputLayerDefinition(QgsProperty.fromExpression("'/tmp/' || 'x.tif'"))
    assert check({"INPUT": [image], "MODEL": model, "OUTPUT": value})[0]


def test_values_can_be_sent_as_json(fake_engine, image, model, context, feedback):
    run({"INPUT": [image], "MODEL": model, "OUTPUT": "TEMPORARY_OUTPUT"}, context, feedback)
    json.dumps(fake_engine.record["request"])


def test_an_image_that_is_missing_is_named_before_the_run(fake_engine, model, tmp_path, context):
    """QGIS itself only says that the value is incorrect."""
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("flair:classify")
    parameters = {"INPUT": ["/nowhere/image.tif"], "MODEL": model, "OUTPUT": str(tmp_path / "map.tif")}
    valid, message = algorithm.checkParameterValues(parameters, context)
    assert not valid
    assert "There is no image /nowhere/image.tif" in message

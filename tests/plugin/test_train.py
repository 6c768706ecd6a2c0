"""flair:train with a stand-in for the engine: what it asks for, what it gives back, and how it ends."""

import time
from pathlib import Path

import processing
import pytest
from helpers import Feedback, alive
from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
    QgsProcessingOutputHtml,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterRasterLayer,
    QgsProject,
    QgsVectorLayer,
)

from flair_qgis.algorithms.train_checks import parse_choices
from flair_qgis.model_file import read_model_file


def algorithm():
    return QgsApplication.processingRegistry().createAlgorithmById("flair:train")


def run(parameters, context, feedback):
    return processing.run("flair:train", parameters, context=context, feedback=feedback, is_child_algorithm=True)


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "dataset.yaml").write_text("format: 1\n")
    return str(folder)


def test_parameters_and_outputs():
    found = algorithm()
    definitions = {item.name(): item for item in found.parameterDefinitions()}
    shown = [name for name, item in definitions.items() if not item.flags() & item.FlagAdvanced]
    assert shown == [
        "DATA",
        "PRESET",
        "START_FROM",
        "EPOCHS",
        "BATCH_SIZE",
        "LEARNING_RATE",
        "MODEL_TITLE",
        "OUTPUT",
        "REPORT",
    ]
    outputs = {item.name(): item for item in found.outputDefinitions()}
    assert set(outputs) == {"OUTPUT", "REPORT", "MIOU", "LOSS", "EPOCH", "SECONDS"}
    assert isinstance(outputs["REPORT"], QgsProcessingOutputHtml)
    assert definitions["REPORT"].createByDefault()
    assert definitions["OUTPUT"].defaultFileExtension() == "safetensors"
    assert definitions["PRESET"].defaultValue() == "fine-tune"
    assert "FLAIR-INC_rgbie_15cl_resnet34-unet" in definitions["START_FROM_NAME"].options()
    assert found.groupId() == "training"


def test_all_values_arrive(fake_engine, data, model, tmp_path, context, feedback):
    preset, root, weights = tmp_path / "mine.yaml", tmp_path / "images", tmp_path / "encoder.pth"
    preset.write_text("base: quick\n")
    root.mkdir()
    weights.write_bytes(b"x")
    output, report = tmp_path / "out.safetensors", tmp_path / "report.html"
    parameters = {"DATA": data, "ROOT": str(root), "PRESET": "quick", "PRESET_FILE": str(preset)}
    parameters.update({"ARCHITECTURE": "fpn", "ENCODER": "mobilenet_v2", "ENCODER_WEIGHTS": str(weights)})
    parameters.update({"START_FROM": model, "START_FROM_NAME": "FLAIR-INC_rgb_15cl_resnet34-fpn", "WEIGHTS": model})
    parameters.update({"EPOCHS": 5, "BATCH_SIZE": 2, "LEARNING_RATE": 0.0004, "BANDS": "red, green", "IGNORE": "0 19"})
    parameters.update({"FREEZE": "2", "DEVICE": "cuda:1", "THREADS": 3, "WORKERS": 0, "DEVICES": 2, "SEED": 9})
    parameters.update({"MODEL_TITLE": "My model", "LICENCE": "CC0", "OVERWRITE": False, "RESUME": False})
    parameters.update({"OPTIONS": "crop=256 scale = 1.5\nclass-weights=1=2.0,19=0", "OUTPUT": str(output)})
    result = run({**parameters, "REPORT": str(report)}, context, feedback)
    assert fake_engine.record["request"] == {
        "command": "train",
        "options": {
            "data": data,
            "root": str(root),
            "preset": str(preset),
            "architecture": "fpn",
            "encoder": "mobilenet_v2",
            "encoder_weights": str(weights),
            "start_from": model,
            "epochs": 5,
            "batch_size": 2,
            "learning_rate": 0.0004,
            "bands": ["red", "green"],
            "ignore": [0, 19],
            "freeze": "2",
            "device": "cuda:1",
            "threads": 3,
            "workers": 0,
            "devices": 2,
            "seed": 9,
            "name": "My model",
            "licence": "CC0",
            "overwrite": False,
            "resume": False,
            "crop": "256",
            "scale": "1.5",
            "class_weights": "1=2.0,19=0",
            "output": str(output),
            "report": str(report),
        },
    }
    assert result == {
        "OUTPUT": str(output),
        "REPORT": str(report),
        "MIOU": 0.31,
        "LOSS": 0.8,
        "EPOCH": 2,
        "SECONDS": 1.5,
    }
    assert read_model_file(output).bands == ("red", "green", "blue")
    assert report.is_file()


def test_what_is_left_empty_is_the_presets(fake_engine, data, context, feedback):
    """Only a model in a temporary file is given a name, that of its data set: "OUTPUT" would say nothing."""
    result = run({"DATA": data, "OUTPUT": "TEMPORARY_OUTPUT", "REPORT": "TEMPORARY_OUTPUT"}, context, feedback)
    assert fake_engine.options == {
        "data": data,
        "preset": "fine-tune",
        "device": "auto",
        "devices": 1,
        "seed": 0,
        "overwrite": True,
        "resume": True,
        "name": "set",
        "output": result["OUTPUT"],
        "report": result["REPORT"],
    }
    assert result["OUTPUT"].endswith(".safetensors")
    assert result["REPORT"].endswith(".html")


def test_model_of_the_catalogue_with_weights(fake_engine, data, tmp_path, context, feedback, monkeypatch):
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    name = "FLAIR-INC_rgb_15cl_resnet34-fpn"
    parameters = {"DATA": data, "START_FROM_NAME": name, "WEIGHTS": "weights.pth", "ENCODER_WEIGHTS": "none"}
    result = run({**parameters, "OUTPUT": "out.safetensors", "REPORT": None}, context, feedback)
    options = fake_engine.options
    assert (options["start_from"], options["weights"], options["encoder_weights"]) == (name, str(weights), "none")
    assert options["output"] == str(tmp_path / "out.safetensors")
    assert "REPORT" not in result


def test_progress_and_figures_are_shown(fake_engine, data, tmp_path, context, feedback):
    run({"DATA": data, "EPOCHS": 2, "OUTPUT": str(tmp_path / "m.safetensors")}, context, feedback)
    assert feedback.texts[0] == "Epoch 1 of 2, batch 1 of 2, loss 0.81, mIoU 0.31, 3 s left"
    assert [text for text in feedback.infos if text.startswith("Epoch")] == [
        "Epoch 1: loss 0.80, mIoU 0.31",
        "Epoch 2: loss 0.80, mIoU 0.32",
    ]
    assert {25, 50, 75, 100} <= {round(value) for _, value in feedback.progresses}


def test_checks_before_the_run(data, model, tmp_path):
    good = {"DATA": data, "OUTPUT": str(tmp_path / "m.safetensors")}
    context = QgsProcessingContext()
    assert algorithm().checkParameterValues(good, context) == (True, "")
    assert algorithm().checkParameterValues({**good, "OUTPUT": "TEMPORARY_OUTPUT", "START_FROM": model}, context)[0]
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "train.csv").write_text("")
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"\xff" * 40)
    for change, part in (
        ({"DATA": str(tmp_path / "none")}, f"There is no folder {tmp_path / 'none'}. Choose a folder that"),
        ({"DATA": str(lists)}, "holds no data set"),
        ({"OUTPUT": str(tmp_path / "m.pth")}, "has to end in .safetensors"),
        ({"START_FROM": str(tmp_path / "none.pth")}, "There is no model file"),
        ({"START_FROM": str(damaged)}, "damaged"),
        ({"OPTIONS": "crop 256"}, '"crop" is not key=value. An example: crop=256 scale=1.5.'),
        ({"OPTIONS": "epochs=3"}, '"epochs" has a parameter of its own'),
        ({"OPTIONS": "name=3"}, '"name" has a parameter of its own'),
        ({"OPTIONS": "crop=64 crop=128"}, '"crop" is given twice'),
        ({"IGNORE": "0,other"}, '"other" is no class code'),
        ({"PRESET": "slow"}, "PRESET"),
        ({"ARCHITECTURE": "vgg"}, "ARCHITECTURE"),
        ({"EPOCHS": 0}, "EPOCHS"),
    ):
        valid, message = algorithm().checkParameterValues({**good, **change}, context)
        assert not valid, change
        assert part in message, message
    (lists / "val.csv").write_text("")
    assert algorithm().checkParameterValues({**good, "DATA": str(lists)}, context)[0]


def test_the_loss_can_be_chosen_though_an_output_bears_its_name(data):
    parameters = {"DATA": data, "OUTPUT": "TEMPORARY_OUTPUT", "OPTIONS": "loss=focal+dice"}
    assert algorithm().checkParameterValues(parameters, QgsProcessingContext())[0]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", {}),
        ("  crop=256\n\n scale =1.5 ", {"crop": "256", "scale": "1.5"}),
        ("--label-smoothing=0.1", {"label_smoothing": "0.1"}),
        ("crop=64 crop=64", {"crop": "64"}),
    ],
)
def test_further_choices(text, wanted):
    assert parse_choices(text, ()) == wanted


def test_engine_error_is_raised(fake_engine, data, tmp_path, context, feedback):
    fake_engine.mode("error")
    output = tmp_path / "m.safetensors"
    with pytest.raises(QgsProcessingException, match=r"The image has no CRS\. Set one\."):
        run({"DATA": data, "OUTPUT": str(output)}, context, feedback)
    assert not output.exists()


def test_cancel_says_what_is_kept(fake_engine, data, tmp_path, context):
    fake_engine.mode("last-words")
    feedback = Feedback(cancel_after=1.5)
    started = time.monotonic()
    with pytest.raises(QgsProcessingException, match=r"The best model so far \(epoch 3, mIoU 0\.41\) is kept: PATH"):
        run({"DATA": data, "OUTPUT": str(tmp_path / "m.safetensors")}, context, feedback)
    assert time.monotonic() - started < 1.5 + 2.0
    assert not [pid for pid in fake_engine.pids() if alive(pid)]


def chain():
    """Extract, train, classify, as the modeler chains them: no file of a step exists when the model is checked."""
    made = QgsProcessingModelAlgorithm("chain", "tests")
    for definition in (
        QgsProcessingParameterRasterLayer("image", "image"),
        QgsProcessingParameterFeatureSource("polygons", "polygons"),
    ):
        made.addModelParameter(definition, QgsProcessingModelParameter(definition.name()))
    source = QgsProcessingModelChildParameterSource
    image = source.fromModelParameter("image")
    steps = (
        ("extract", "flair:extractpatches", {"IMAGE": image, "LABELS": source.fromModelParameter("polygons")}),
        ("train", "flair:train", {"DATA": source.fromChildOutput("extract", "OUTPUT")}),
        ("classify", "flair:classify", {"INPUT": image, "MODEL": source.fromChildOutput("train", "OUTPUT")}),
    )
    for name, identifier, sources in steps:
        child = QgsProcessingModelChildAlgorithm(identifier)
        child.setChildId(name)
        for parameter, value in sources.items():
            child.addParameterSources(parameter, [value])
        if name == "classify":
            output = QgsProcessingModelOutput("map")
            output.setChildId(name)
            output.setChildOutputName("OUTPUT")
            child.setModelOutputs({"map": output})
        made.addChildAlgorithm(child)
    made.updateDestinationParameters()
    return made


def test_chain_from_labels_to_a_map(fake_engine, image, labels, tmp_path, context, feedback):
    made = chain()
    QgsProject.instance().addMapLayer(QgsVectorLayer(labels, "parcels", "ogr"))
    parameters = {"image": image, "polygons": labels, "classify:map": str(tmp_path / "map.tif")}
    assert made.checkParameterValues(parameters, context) == (True, "")
    _, success = made.run(parameters, context, feedback)
    assert success, feedback.errors
    assert fake_engine.record["request"]["command"] == "classify"
    assert read_model_file(Path(fake_engine.options["model"])).name == "trained"
    assert (gdal.Open(str(tmp_path / "map.tif")).ReadAsArray() == 5).all()


def test_a_step_that_finds_no_data_set_ends_the_chain(fake_engine, tmp_path, context, feedback):
    _, success = algorithm().run({"DATA": str(tmp_path), "OUTPUT": "TEMPORARY_OUTPUT"}, context, feedback)
    assert not success
    assert "holds no data set" in feedback.errors[0]
    assert not (fake_engine.folder / "record.json").exists()

"""flair:downloadmodel with a stand-in for the engine."""

import processing
import pytest
from helpers import write_model
from qgis.core import QgsApplication, QgsProcessingException, QgsProcessingOutputFile

from flair_qgis.catalogue import catalogue

NAME = "FLAIR-INC_rgbie_15cl_resnet34-unet"


def algorithm():
    return QgsApplication.processingRegistry().createAlgorithmById("flair:downloadmodel")


def run(parameters, context, feedback):
    return processing.run(
        "flair:downloadmodel", parameters, context=context, feedback=feedback, is_child_algorithm=True
    )


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """Where the stand-in puts a model that nobody gave a name."""
    path = tmp_path / "cache.safetensors"
    monkeypatch.setenv("FAKE_ENGINE_CACHE", str(path))
    return path


def test_parameters_and_outputs():
    found = algorithm()
    assert found.parameterDefinition("MODEL").options() == list(catalogue())
    assert found.parameterDefinition("MODEL").usesStaticStrings()
    assert isinstance(found.outputDefinition("MODEL_FILE"), QgsProcessingOutputFile)
    assert (found.group(), found.groupId()) == ("1. Images and models", "inputs")


def test_into_a_file(fake_engine, tmp_path, context, feedback):
    output, weights = tmp_path / "mine.safetensors", tmp_path / "x.pth"
    weights.write_bytes(b"x")
    result = run({"MODEL": NAME, "WEIGHTS": str(weights), "OUTPUT": str(output)}, context, feedback)
    assert fake_engine.record["request"] == {
        "command": "models-download",
        "options": {"model": NAME, "weights": str(weights), "output": str(output), "overwrite": True},
    }
    assert result == {"MODEL_FILE": str(output), "OUTPUT": str(output)}
    assert feedback.texts == ["Downloading, 39 of 98 MB, 12 s left"]


def test_into_the_cache(fake_engine, cached, context, feedback):
    result = run({"MODEL": NAME, "REVISION": " becbcf6 ", "OVERWRITE": False}, context, feedback)
    assert fake_engine.options == {"model": NAME, "revision": "becbcf6", "overwrite": False}
    assert result == {"MODEL_FILE": str(cached)}


def test_size_and_licence_are_said_first(fake_engine, cached, context, feedback):
    fake_engine.mode("error")
    with pytest.raises(QgsProcessingException):
        run({"MODEL": NAME}, context, feedback)
    assert feedback.infos == [f"{NAME}: bands red, green, blue, infrared, elevation, 98 MB, licence etalab-2.0."]


def test_model_file_chains_into_the_classification(fake_engine, image, cached, tmp_path, context, feedback):
    made = run({"MODEL": NAME}, context, feedback)["MODEL_FILE"]
    parameters = {"INPUT": [image], "MODEL": made, "OUTPUT": str(tmp_path / "map.tif")}
    processing.run("flair:classify", parameters, context=context, feedback=feedback, is_child_algorithm=True)
    assert fake_engine.options["model"] == made


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"MODEL": "absent"}, "MODEL"),
        ({"WEIGHTS": "/nowhere/x.pth"}, "There is no file /nowhere/x.pth"),
        ({"WEIGHTS": "here", "REVISION": "abc"}, "have no revision"),
        ({"OUTPUT": "model.pth"}, "has to end in .safetensors"),
    ],
)
def test_what_is_wrong_is_said_before_the_run(parameters, message, tmp_path, context):
    here = write_model(tmp_path / "w.safetensors")
    given = {"MODEL": NAME, **{name: here if value == "here" else value for name, value in parameters.items()}}
    valid, text = algorithm().checkParameterValues(given, context)
    assert not valid
    # QGIS names a wrong choice by the title of the parameter in later versions
    assert message in text or ("MODEL" in message and "Model" in text)

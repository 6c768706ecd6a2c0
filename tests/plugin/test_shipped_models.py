"""The models for the graphical modeler that come with the plugin."""

import os
import subprocess
import sys

import pytest
from helpers import ROOT, write_raster
from osgeo import gdal
from qgis.core import QgsApplication, QgsProcessingModelAlgorithm

from flair_qgis.model_file import read_model_file

FOLDER = ROOT / "resources" / "models3"


def model(folder=FOLDER, name="train_on_my_area.model3"):
    made = QgsProcessingModelAlgorithm()
    assert made.fromFile(str(folder / name))
    return made


def apart_from_names(variant):
    """A model without its version, on which depends what QGIS calls its outputs from outside."""
    kept = {key: value for key, value in variant.items() if key != "internal_version"}
    inputs = {name: value for name, value in variant["parameterDefinitions"].items() if not (value["metadata"] or {})}
    return {**kept, "parameterDefinitions": inputs}


def test_they_are_what_the_script_makes(tmp_path):
    made = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "build_models.py"), str(tmp_path)],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    names = sorted(path.name for path in FOLDER.iterdir())
    assert names == ["train_on_my_area.model3"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    for name in names:
        written, shipped = (model(folder, name).toVariant() for folder in (tmp_path, FOLDER))
        if written.get("internal_version") != shipped.get("internal_version"):
            written, shipped = apart_from_names(written), apart_from_names(shipped)
        assert written == shipped, "run scripts/build_models.py"


def test_inputs_and_outputs_have_help():
    found = model()
    text = found.shortHelpString()
    definitions = {item.name(): item for item in found.parameterDefinitions()}
    required = [name for name, item in definitions.items() if not item.flags() & item.FlagOptional]
    assert [name for name in required if not definitions[name].isDestination()] == [
        "image",
        "labels",
        "patch_size",
        "preset",
    ]
    assert [name for name in required if definitions[name].isDestination()] == ["classify:land_cover", "train:model"]
    assert definitions["preset"].defaultValue() == "quick"
    for name, item in definitions.items():
        assert f"<h3>{item.description()}</h3>" in text, name
        assert found.helpContent()[name], name
    assert (found.name(), found.group()) == ("Train on my area", "FLAIR land cover")


@pytest.mark.parametrize("other", [False, True])
def test_chain_from_labels_to_a_map(fake_engine, image, labels, tmp_path, context, feedback, other):
    """With an image to classify, the map is of that; without, of the image that was learnt from."""
    parameters = {"image": image, "labels": labels, "class_field": "landuse", "classes": "Wald=7,Haus=1"}
    parameters.update({"patch_size": 128, "preset": "quick", "epochs": 2})
    parameters.update(
        {"classify:land_cover": str(tmp_path / "map.tif"), "train:model": str(tmp_path / "m.safetensors")}
    )
    wanted = image
    if other:
        wanted = parameters["other_image"] = write_raster(tmp_path / "other.tif", size=(8, 4), origin=(1000.0, 2000.0))
    found = model()
    assert found.checkParameterValues(parameters, context) == (True, "")
    results, success = found.run(parameters, context, feedback)
    assert success, feedback.errors
    assert fake_engine.options["input"] == [wanted]
    assert fake_engine.options["model"] == str(tmp_path / "m.safetensors")
    assert read_model_file(tmp_path / "m.safetensors").name == "trained"
    dataset, source = gdal.Open(str(tmp_path / "map.tif")), gdal.Open(wanted)
    assert dataset.GetGeoTransform() == source.GetGeoTransform()
    assert (dataset.ReadAsArray() == 5).all()
    requests = [entry["options"] for entry in fake_engine.requests]
    assert [entry["command"] for entry in fake_engine.requests] == ["extract-patches", "train", "classify"]
    assert (requests[0]["class_field"], requests[0]["classes"]) == ("landuse", "Wald=7,Haus=1")
    assert requests[0]["patch_size"] == 128
    assert requests[1]["data"] == requests[0]["output"]
    assert (requests[1]["preset"], requests[1]["epochs"]) == ("quick", 2)
    assert "start_from" not in requests[1]
    assert results["classify:land_cover"] == str(tmp_path / "map.tif")


def test_defaults_hold_where_nothing_is_named(fake_engine, image, labels, tmp_path, context, feedback):
    """As qgis_process does it: inputs that a person does not name are not there at all."""
    parameters = {"image": image, "labels": labels}
    parameters.update(
        {"classify:land_cover": str(tmp_path / "map.tif"), "train:model": str(tmp_path / "m.safetensors")}
    )
    _, success = model().run(parameters, context, feedback)
    assert success, feedback.errors
    extract, train, _ = (entry["options"] for entry in fake_engine.requests)
    assert extract["patch_size"] == 256
    assert train["preset"] == "quick"
    assert not {"epochs", "start_from"} & set(train)
    assert not {"classes", "class_field"} & set(extract)


def test_the_modeler_takes_all_steps_for_finished():
    assert model().validate() == (True, [])
    for child in model().childAlgorithms().values():
        assert QgsApplication.processingRegistry().algorithmById(child.algorithmId()), child.algorithmId()

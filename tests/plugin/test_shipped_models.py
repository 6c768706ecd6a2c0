"""The models for the graphical modeler that come with the plugin."""

import os
import subprocess
import sys

import pytest
from helpers import ROOT, write_model, write_raster
from osgeo import gdal
from qgis.core import QgsApplication, QgsProcessingModelAlgorithm

from flair_qgis.model_file import read_model_file
from flair_qgis.provider import FlairProvider

FOLDER = ROOT / "resources" / "models3"
PREPARE = "prepare_and_classify.model3"


def model(folder=FOLDER, name="train_on_my_area.model3"):
    made = QgsProcessingModelAlgorithm()
    assert made.fromFile(str(folder / name))
    return made


def destinations(found, **paths):
    """Parameters for outputs of a model: 3.22 calls them classify:land_cover, later versions land_cover."""
    names = {item.name().rpartition(":")[2]: item.name() for item in found.parameterDefinitions()}
    return {names[wanted]: str(path) for wanted, path in paths.items()}


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
    chains = ["classify_and_count", "compare_two_years", "prepare_and_classify", "train_on_my_area"]
    assert names == [f"{chain}.model3" for chain in chains]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    for name in names:
        written, shipped = (model(folder, name).toVariant() for folder in (tmp_path, FOLDER))
        if written.get("internal_version") != shipped.get("internal_version"):
            written, shipped = apart_from_names(written), apart_from_names(shipped)
        assert written == shipped, "run scripts/build_models.py"


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.iterdir()))
def test_each_input_and_output_has_help(name):
    found = model(name=name)
    text = found.shortHelpString()
    assert found.group() == "FLAIR land cover"
    for item in found.parameterDefinitions():
        assert f"<h3>{item.description()}</h3>" in text, item.name()


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


def test_chain_from_products_to_a_map(fake_engine, image, tmp_path, context, feedback):
    products = {"rgb": [image, write_raster(tmp_path / "east.tif", origin=(700004.0, 6600000.0))]}
    products["irc"] = [write_raster(tmp_path / "irc.tif", value=90)]
    products.update({name: [write_raster(tmp_path / f"{name}.tif", bands=1)] for name in ("dsm", "dtm")})
    five = write_model(tmp_path / "five.safetensors", bands=("red", "green", "blue", "infrared", "elevation"))
    parameters = {**products, "model_file": five, "extent": "700001,700003,6599998.5,6599999.5 [EPSG:2154]"}
    outputs = {"image": tmp_path / "i.tif", "report": tmp_path / "r.html", "land_cover": tmp_path / "map.tif"}
    found = model(name=PREPARE)
    parameters.update(destinations(found, **outputs))
    assert found.checkParameterValues(parameters, context) == (True, "")
    _, success = found.run(parameters, context, feedback)
    assert success, feedback.errors
    assert [entry["command"] for entry in fake_engine.requests] == ["prepare-input", "classify"]
    prepare, classify = (entry["options"] for entry in fake_engine.requests)
    assert {name: prepare[name] for name in products} == products
    assert prepare["extent"] == "700001.0,700003.0,6599998.5,6599999.5 [EPSG:2154]"
    assert classify["input"] == [str(tmp_path / "i.tif")]
    assert classify["model"] == five
    assert "bands" not in classify
    assert (tmp_path / "r.html").is_file()
    assert (gdal.Open(str(tmp_path / "map.tif")).ReadAsArray() == 5).all()


@pytest.mark.parametrize("name", ["FLAIR-INC_rgb_15cl_resnet34-unet", None])
def test_the_orthophoto_alone_and_a_model_by_its_name(fake_engine, image, tmp_path, context, feedback, name):
    found = model(name=PREPARE)
    parameters = destinations(found, image=tmp_path / "i.tif", land_cover=tmp_path / "map.tif")
    chosen = {"catalogue_model": name} if name else {}
    _, success = found.run({"rgb": [image], **chosen, **parameters}, context, feedback)
    assert success, feedback.errors
    prepare, classify = (entry["options"] for entry in fake_engine.requests)
    assert not {"irc", "dsm", "dtm", "extent"} & set(prepare)
    assert classify["model"] == (name or "FLAIR-INC_rgbie_15cl_resnet34-unet")


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.iterdir()))
def test_the_modeler_takes_all_steps_for_finished(name):
    assert model(name=name).validate() == (True, [])
    for child in model(name=name).childAlgorithms().values():
        assert QgsApplication.processingRegistry().algorithmById(child.algorithmId()), child.algorithmId()


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.stem)
def test_no_input_is_called_as_a_variable_of_qgis(path):
    """Expressions would see the variable instead, in later versions than 3.22."""
    taken = {"model_name", "model_group", "model_path", "model_folder", "project_path", "algorithm_id", "user_name"}
    found = model(name=path.name)
    assert not taken & {definition.name() for definition in found.parameterDefinitions()}


def test_they_are_in_the_toolbox(fake_engine, image, tmp_path, context, feedback):
    registry = QgsApplication.processingRegistry()
    found = {item.name(): item for item in registry.providerById("flair").algorithms()}
    for path in FOLDER.iterdir():
        item = found[path.stem.replace("_", "")]
        shipped = model(name=path.name)
        assert (item.displayName(), item.groupId()) == (shipped.displayName(), "chains")
        names = [definition.name() for definition in shipped.parameterDefinitions()]
        assert [definition.name() for definition in item.parameterDefinitions()] == names
        assert not item.icon().isNull()
    chain = registry.createAlgorithmById("flair:prepareandclassify")
    parameters = destinations(chain, image=tmp_path / "image.tif", land_cover=tmp_path / "map.tif")
    _, success = chain.run({"rgb": [image], **parameters}, context, feedback)
    assert success, feedback.errors
    assert [entry["command"] for entry in fake_engine.requests] == ["prepare-input", "classify"]


def test_they_stay_when_the_provider_is_taken_out_and_in(qgis_app):
    registry = QgsApplication.processingRegistry()
    registry.removeProvider("flair")
    assert registry.createAlgorithmById("flair:prepareandclassify") is None
    # Python has to keep it: the registry holds a pointer only
    qgis_app.flair_provider = FlairProvider()
    registry.addProvider(qgis_app.flair_provider)
    names = [item.name() for item in registry.providerById("flair").algorithms()]
    assert len(names) == len(set(names))
    assert {"prepareandclassify", "trainonmyarea", "classify"} <= set(names)

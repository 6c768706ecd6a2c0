"""flair:classify in qgis_process: mistakes. Each is one clear sentence, an exit code that is not 0, and no file."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from tests.end_to_end import rasters
from tests.end_to_end.processes import ROOT, names_in
from tests.end_to_end.qgis_runs import Qgis


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder / "map.tif"


def assert_refused(answer, out, *words):
    """Check that a run failed in words for people, and left nothing."""
    assert answer.code != 0
    assert "Traceback" not in answer.text
    assert ".py" not in answer.text
    for word in words:
        assert word in answer.stderr, answer.text
    # QGIS says where it went wrong, then the sentence, perhaps once more: never a wall of text
    assert len(answer.errors) <= 3, answer.stderr
    assert len(answer.errors[-1].strip()) < 300, answer.stderr
    assert names_in(out.parent) == []


def test_missing_image(qgis, material, out):
    answer = qgis.classify(INPUT="/nowhere/image.tif", MODEL=material.model, OUTPUT=out)
    assert_refused(answer, out, "There is no image /nowhere/image.tif")


def test_file_that_is_no_raster(qgis, material, out, tmp_path):
    wrong = tmp_path / "text.tif"
    wrong.write_text("not a raster")
    answer = qgis.classify(INPUT=[material.image, wrong], MODEL=material.model, OUTPUT=out)
    assert_refused(answer, out, f"{wrong} is no image that QGIS can read")


def test_missing_model(qgis, material, out):
    answer = qgis.classify(INPUT=material.image, MODEL="/nowhere/model.safetensors", OUTPUT=out)
    assert_refused(answer, out, "There is no model file /nowhere/model.safetensors")


def test_file_that_is_no_model(qgis, material, out, tmp_path):
    wrong = tmp_path / "model.safetensors"
    wrong.write_bytes(b"\x10\0\0\0\0\0\0\0not a header at all")
    answer = qgis.classify(INPUT=material.image, MODEL=wrong, OUTPUT=out)
    assert_refused(answer, out, "model.safetensors")


def test_damaged_model(qgis, material, out, tmp_path):
    # the header is whole, the tensors are not: only the engine can tell
    wrong = tmp_path / "cut.safetensors"
    wrong.write_bytes(material.model.read_bytes()[:2_000_000])
    answer = qgis.classify(INPUT=material.image, MODEL=wrong, OUTPUT=out)
    assert_refused(answer, out, "cut.safetensors")


def test_too_few_bands(qgis, material, out, tmp_path):
    image = rasters.write(tmp_path / "rgb.tif", rasters.read_all(material.image)[:3], transform=material.transform)
    answer = qgis.classify(INPUT=image, MODEL=material.model, OUTPUT=out)
    assert_refused(answer, out, "3 bands", "5")


def test_no_crs(qgis, material, out, tmp_path):
    image = rasters.write(
        tmp_path / "nowhere.tif", rasters.read_all(material.image), transform=material.transform, crs=None
    )
    answer = qgis.classify(INPUT=image, MODEL=material.model, OUTPUT=out)
    assert_refused(answer, out, "CRS")


def test_nothing_but_nodata(qgis, material, out, tmp_path):
    image = rasters.write(
        tmp_path / "empty.tif", np.zeros((5, 64, 64), np.uint8), transform=material.transform, nodata=0
    )
    answer = qgis.classify(INPUT=image, MODEL=material.model, OUTPUT=out)
    assert_refused(answer, out, "no pixel of the area holds data")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"BANDS": "red"}, ["Bands", "name=number"]),
        ({"BANDS": "purple=1"}, ["purple", "red"]),
        ({"BANDS": "red=9"}, ["red=9"]),
        ({"DEVICE": "abacus"}, ["DEVICE"]),
        ({"WINDOW": "7"}, ["WINDOW"]),
        ({"EXTENT": "0,10,0,10 [EPSG:2154]"}, ["outside"]),
        ({"LAYOUT": "sheets"}, [".vrt"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_parameter(qgis, material, out, values, words):
    answer = qgis.classify(INPUT=material.image, MODEL=material.model, OUTPUT=out, **values)
    assert_refused(answer, out, *words)


def test_output_folder_is_missing(qgis, material, out):
    answer = qgis.classify(INPUT=material.image, MODEL=material.model, OUTPUT=out.parent / "none" / "map.tif")
    assert_refused(answer, out, "does not exist")


def test_engine_named_by_the_variable_is_missing(qgis, material, out):
    answer = qgis.classify(
        INPUT=material.image, MODEL=material.model, OUTPUT=out, environment={"FLAIR_ENGINE_PYTHON": "/nowhere/python"}
    )
    assert_refused(answer, out, "FLAIR_ENGINE_PYTHON", "/nowhere/python")


def test_engine_is_not_set_up(material, out, tmp_path):
    # a plugin without an environment beside it, as it comes from the plugin repository
    plugin = tmp_path / "installed"
    plugin.mkdir()
    for name in ("__init__.py", "metadata.txt"):
        shutil.copy(ROOT / name, plugin)
    for name in ("flair_qgis", "engine", "resources"):
        shutil.copytree(ROOT / name, plugin / name, ignore=shutil.ignore_patterns("__pycache__"))
    bare = Qgis(tmp_path / "qgis", plugin, material.cache, python=None).enable()
    answer = bare.classify(INPUT=material.image, MODEL=material.model, OUTPUT=out)
    assert_refused(answer, out, "not set up", "flair:setupengine")
    # it stays in the list all the same
    assert "flair:classify" in bare.run("list").stdout

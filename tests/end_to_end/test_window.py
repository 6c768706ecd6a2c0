"""The dialogs of the algorithms in a QGIS with a window; see `window_runs`."""

from __future__ import annotations

import numpy as np
import pytest

from tests.end_to_end import rasters
from tests.end_to_end.processes import PATIENCE, names_in, stored_tiles
from tests.end_to_end.qgis_runs import program
from tests.end_to_end.window_runs import run_in_window


@pytest.fixture
def window(material, display, tmp_path):
    """Runs the classification in a new QGIS and returns what it saw, the output and the pictures."""
    if program("qgis") is None:
        pytest.skip("QGIS is not installed")
    folder = tmp_path / "out"
    folder.mkdir()

    def run(*, name, **settings):
        settings = {"model": str(material.model), "output": str(folder / "map.tif"), **settings}
        seen, pictures = run_in_window("classify_in_window.py", material, display, tmp_path, name=name, **settings)
        return seen, folder / "map.tif", pictures

    return run


def lowered(classes):
    return [(code, color.lower(), name.lower()) for code, color, name in classes]


def test_run_from_the_dialog(window, material):
    seen, output, pictures = window(name="run", image=str(material.image))
    assert "flair:classify" in seen["listed"]
    assert "Classify land cover" in seen["title"]
    assert seen["successful"], seen
    assert seen["results"]["OUTPUT"] == str(output)
    print(f"{seen['ticks']} ticks in {seen['seconds']:.1f} s, the longest gap {seen['longest_gap']:.2f} s")
    assert seen["dialog_returned_after"] < PATIENCE
    assert seen["longest_gap"] < PATIENCE
    assert seen["loaded"] == 1
    layer = seen["layer"]
    assert layer["type"] == "paletted"
    assert lowered(layer["classes"]) == rasters.expected_classes()
    assert layer["crs"] == "EPSG:2154"
    # what a person reads in the legend
    assert [
        row.lower() for row in layer["rows"] if row.lower() in {name for *_, name in rasters.expected_classes()}
    ] == [name for *_, name in rasters.expected_classes()]
    assert seen["by_hand"]["type"] == "paletted"
    assert lowered(seen["by_hand"]["classes"]) == rasters.expected_classes()
    assert np.array_equal(rasters.read(output), rasters.read(material.map))
    assert names_in(pictures) == ["dialog.png", "log.png", "map.png"]


def test_cancel_from_the_dialog(window, material):
    seen, output, _ = window(name="cancel", image=str(material.large), cancel=0.5, values={"WINDOW": 256})
    assert not seen["successful"]
    print(f"ended {seen['cancelled_after']:.1f} s after Cancel; the longest gap {seen['longest_gap']:.2f} s")
    assert seen["cancelled_after"] < 2.5 * PATIENCE
    assert seen["longest_gap"] < PATIENCE
    assert seen["loaded"] == 0
    assert not output.exists()
    assert stored_tiles(output) > 0


def test_extract_train_cancel_and_train_on_from_the_dialogs(material, display, tmp_path):
    if program("qgis") is None:
        pytest.skip("QGIS is not installed")
    output, page = tmp_path / "mine.safetensors", tmp_path / "report.html"
    values = {"PRESET": "quick", "ENCODER": "mobilenet_v2", "ENCODER_WEIGHTS": "none", "EPOCHS": 4}
    seen, pictures = run_in_window(
        "train_in_window.py",
        material,
        display,
        tmp_path,
        name="train",
        image=str(material.image),
        polygons=str(material.polygons),
        data=str(tmp_path / "patches"),
        output=str(output),
        page=str(page),
        values={**values, "OPTIONS": "crop=128 repeats=1"},
        seconds=300,
    )
    assert seen["groups"]["flair:extractpatches"] == seen["groups"]["flair:train"] == "2. Training"
    extracted = seen["extract"]
    assert extracted["successful"], extracted
    patches = [extracted["results"][f"{split}_PATCHES"] for split in ("TRAIN", "VAL", "TEST")]
    assert sum(patches) == 24
    running = seen["running"]
    assert 0 < running["progress"] < 100
    assert "Epoch 1 of 4" in running["log"]
    cancelled = seen["cancelled"]
    print(f"ended {cancelled['cancelled_after']:.1f} s after Cancel")
    assert not cancelled["successful"]
    assert cancelled["cancelled_after"] < 2.5 * PATIENCE
    assert not cancelled["output"]
    kept = tmp_path / "mine_training" / "best.safetensors"
    assert f"is kept: {kept}" in cancelled["log"]
    again = seen["again"]
    assert again["successful"], again["log"]
    assert "Going on with the training" in again["log"]
    assert again["results"]["OUTPUT"] == str(output)
    assert 0 <= again["results"]["MIOU"] <= 1
    assert rasters.learnt(output) <= rasters.SCENE
    for part in (extracted, cancelled, again):
        assert part["dialog_returned_after"] < PATIENCE
        assert part["longest_gap"] < PATIENCE
    # the table and, once there is one, the report: each opens from the viewer of results
    table = extracted["results"]["TABLE"]
    assert seen["results_then"] == [["Table of classes", table]]
    assert seen["results"] == [["Table of classes", table], ["Report", str(page)]]
    assert page.is_file()
    assert seen["after"] > 100
    shown = ["extract.png", "extract_log.png", "train.png", "train_cancelled.png", "train_log.png", "train_running.png"]
    assert names_in(pictures) == shown


def test_evaluate_from_the_dialog(material, display, tmp_path):
    if program("qgis") is None:
        pytest.skip("QGIS is not installed")
    output = tmp_path / "results"
    seen, pictures = run_in_window(
        "evaluate_in_window.py",
        material,
        display,
        tmp_path,
        name="evaluate",
        images=[str(material.image)],
        prediction=str(material.map),
        truth=str(material.labels),
        output=str(output),
        runs=[{}, {"IGNORE": "10"}],
    )
    assert "Evaluate a map or a model" in seen["title"]
    for run in seen["runs"]:
        assert run["successful"], run["log"]
        assert run["dialog_returned_after"] < PATIENCE
        assert run["longest_gap"] < PATIENCE
        assert run["results"]["ERROR_MAP"] == str(output / "errors.tif")
    # the file of the first run was replaced by that of the second: one layer, which shows the new one
    (layer,) = seen["layers"]
    assert (layer["name"], layer["crs"], layer["type"]) == ("errors", "EPSG:2154", "paletted")
    assert layer["classes"] == [[1, "#a6dba0", "Right"], [2, "#b2182b", "Wrong"]]
    assert {"Right", "Wrong"} <= set(layer["rows"])
    truth, predicted = rasters.read(material.labels), rasters.read(material.map)
    known = truth != 10
    right = int((truth == predicted)[known].sum())
    assert layer["pixels"] == {"0": int((~known).sum()), "1": right, "2": int(known.sum()) - right}
    assert seen["results"] == [["Report", str(output / "report.html")]] * 2
    assert names_in(pictures) == ["dialog.png", "log.png", "map.png"]

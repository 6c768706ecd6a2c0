"""flair:evaluate in qgis_process: a map against its truth, a model on patches, and a chain from the modeler."""

from __future__ import annotations

import json
import signal
import subprocess
import time

import numpy as np
import pytest
import rasterio

from tests.end_to_end import rasters
from tests.end_to_end.processes import PATIENCE, ROOT, names_in, wait_for
from tests.end_to_end.qgis_runs import destinations

RIGHT, WRONG = (166, 219, 160), (178, 24, 43)
LEGEND = [(1, "#a6dba0", "right"), (2, "#b2182b", "wrong")]
FILES = ["confusion.csv", "errors.qml", "errors.tif", "errors.tif.aux.xml", "metrics.json", "report.html"]


def figures(truth, predicted):
    """Return mean IoU over the classes of the truth, and the share of labelled pixels that are right."""
    known = truth > 0
    shares = []
    for code in np.unique(truth[known]):
        both = ((truth == code) & (predicted == code)).sum()
        shares.append(both / ((known & ((truth == code) | (predicted == code))).sum()))
    return float(np.mean(shares)), float((truth == predicted)[known].mean())


def assert_is_error_map(path, truth, predicted, transform):
    """Check place, colours, names and pixels of a map of errors."""
    with rasterio.open(path) as dataset:
        assert dataset.crs.to_epsg() == 2154
        assert dataset.transform.almost_equals(transform, 1e-9)
        assert (dataset.dtypes, dataset.nodata) == (("uint8",), 0)
        palette = dataset.colormap(1)
        assert (palette[1][:3], palette[2][:3]) == (RIGHT, WRONG)
        pixels = dataset.read(1)
    wanted = np.where(truth == predicted, 1, 2)
    wanted[truth == 0] = 0
    assert np.array_equal(pixels, wanted)
    assert rasters.style_classes(path.with_suffix(".qml")) == LEGEND


@pytest.fixture(scope="module")
def truth(material, tmp_path_factory):
    """The labels, of which the left quarter is not known."""
    pixels = rasters.read(material.labels)
    pixels[:, :192] = 0
    path = tmp_path_factory.mktemp("truth") / "truth é.tif"
    return rasters.write(path, pixels[np.newaxis], transform=material.transform, nodata=0, names=False)


def test_figures_report_and_map_of_errors(qgis, material, truth, tmp_path):
    output, errors = tmp_path / "results é", tmp_path / "errors.tif"
    values = {"PREDICTION": material.map, "TRUTH_RASTER": truth, "IMAGE": material.image, "OUTPUT": output}
    answer = qgis.execute("flair:evaluate", ERROR_MAP=errors, **values)
    assert answer.code == 0, answer.text
    results = answer.json["results"]
    known, predicted = rasters.read(truth), rasters.read(material.map)
    miou, accuracy = figures(known, predicted)
    assert results["MIOU"] == pytest.approx(miou)
    assert results["OVERALL_ACCURACY"] == pytest.approx(accuracy)
    assert results["PIXELS"] == 576 * 512
    assert 0 < results["KAPPA"] < 1
    assert 0 < results["FSCORE"] < 1
    assert results["SECONDS"] > 0
    assert results["ERROR_MAP"] == str(errors)
    assert_is_error_map(errors, known, predicted, material.transform)
    assert names_in(output) == FILES
    assert results["REPORT"] == str(output / "report.html")
    assert "map.tif" in (output / "report.html").read_text(encoding="utf-8")
    assert json.loads((output / "metrics.json").read_text())["scores"]["miou"] == results["MIOU"]
    assert (output / "confusion.csv").read_text().count("\n") > 14
    # what a person reads while it runs
    assert "building " in answer.text
    again = qgis.execute("flair:evaluate", **values)
    assert again.code == 0, again.text
    assert again.json["results"]["ERROR_MAP"] == str(output / "errors.tif")
    assert again.json["results"]["MIOU"] == results["MIOU"]
    assert names_in(tmp_path) == ["errors.qml", "errors.tif", "errors.tif.aux.xml", "results é"]


def test_polygons_of_other_classes_within_an_area(qgis, material, tmp_path):
    output = tmp_path / "results"
    answer = qgis.execute(
        "flair:evaluate",
        PREDICTION=material.map,
        TRUTH=material.polygons,
        CLASS_FIELD="class",
        CLASSES="brushwood=coniferous,swimming pool=0",
        DEFINITION="ign",
        AREA=material.polygons,
        AREA_FIELD="class",
        OUTPUT=output,
    )
    assert answer.code == 0, answer.text
    said = json.loads((output / "metrics.json").read_text())
    assert said["definition"]["name"] == "ign"
    names = {row["name"] for row in said["polygons"]}
    assert {"building", "brushwood", "swimming pool"} <= names
    with rasterio.open(output / "errors.tif") as dataset:
        pixels = dataset.read(1)
    labels, predicted = rasters.read(material.labels), rasters.read(material.map)
    wanted = np.where(labels == 8, 6, np.where(labels == 13, 0, labels))
    # edges of the polygons apart
    assert ((pixels == 1) == ((wanted == predicted) & (wanted > 0))).mean() > 0.99
    assert (pixels == 0)[labels == 13].mean() > 0.9


def test_a_model_on_patches(qgis, material, tmp_path):
    output, classes = tmp_path / "results", tmp_path / "classes"
    values = {"MODEL": material.model, "DATA": material.patches, "OUTPUT": output}
    missing = qgis.execute("flair:evaluate", **values)
    assert missing.code != 0
    assert "test.csv is missing or empty. It has: val, train." in missing.stderr
    answer = qgis.execute("flair:evaluate", SPLIT="val", PREDICTIONS=classes, DEVICE="cpu", **values)
    assert answer.code == 0, answer.text
    results = answer.json["results"]
    assert 0 < results["MIOU"] <= 1
    patches = (material.patches / "val.csv").read_text().splitlines()
    assert results["PIXELS"] == len(patches) * 128 * 128
    assert "ERROR_MAP" not in results
    assert len(list(classes.rglob("*.tif"))) == len(patches)
    assert names_in(output) == ["confusion.csv", "metrics.json", "report.html"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"TRUTH_RASTER": None}, ["The prediction has no truth."]),
        ({"PREDICTION": "/nowhere.tif"}, ["There is no image /nowhere.tif"]),
        ({"PREDICTION": "image"}, ["bands", "class codes"]),
        ({"CLASSES": "8=underwater"}, ["underwater"]),
        ({"OUTPUT": "here"}, ["is not replaced"]),
    ],
    ids=["no truth", "no file", "an image", "unknown class", "a folder of something else"],
)
def test_mistakes_are_told_in_a_sentence(qgis, material, truth, tmp_path, values, words):
    places = {"image": material.image, "here": tmp_path}
    (tmp_path / "mine.txt").write_text("mine")
    values = {key: places.get(value, value) for key, value in values.items()}
    values = {"PREDICTION": material.map, "TRUTH_RASTER": truth, "OUTPUT": tmp_path / "results", **values}
    answer = qgis.execute("flair:evaluate", **{key: value for key, value in values.items() if value is not None})
    assert answer.code != 0
    for word in words:
        assert word in answer.stderr, answer.text
    assert "Traceback" not in answer.text
    assert len(answer.errors) <= 3, answer.stderr
    assert names_in(tmp_path) == ["mine.txt"]


def test_interrupt_ends_it_and_leaves_nothing(qgis, material, tmp_path):
    large = {name: rasters.repeated(path, tmp_path / f"{name}.vrt", 24, 24) for name, path in (
        ("map", material.map), ("labels", material.labels),
    )}  # fmt: skip
    output = tmp_path / "results"
    values = {"PREDICTION": large["map"], "TRUTH_RASTER": large["labels"], "OUTPUT": output}
    with qgis.start_algorithm("flair:evaluate", **values) as run:
        wait_for(lambda: list(tmp_path.glob(".results*")) or run.process.poll() is not None, "the comparison", 60)
        time.sleep(0.3)
        assert run.process.poll() is None, run.stdout + run.stderr
        began = run.send(signal.SIGINT)
        assert run.wait(20) != 0
        seconds = time.monotonic() - began
        text = run.stdout + run.stderr
        assert run.processes() == []
    print(f"ended after {seconds:.1f} s")
    assert seconds < 3 * PATIENCE
    assert "Cancelled." in text
    assert "Traceback" not in text
    assert names_in(tmp_path) == ["labels.vrt", "map.vrt"]


def test_chain_classifies_and_evaluates(qgis, material, truth, tmp_path):
    script = ROOT / "tests" / "end_to_end" / "inside_qgis" / "build_models.py"
    done = subprocess.run(
        ["/usr/bin/python3", str(script), str(tmp_path), str(qgis.folder / "plugins"), str(material.model)],
        env=qgis.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120 * PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    outputs = {name: tmp_path / f"{name}.tif" for name in ("map", "errors", "figure")}
    chain = tmp_path / "judged.model3"
    made = {
        "classify:land cover": outputs["map"],
        "evaluate:errors": outputs["errors"],
        "evaluate:report": tmp_path / "report.html",
        "figure:raster": outputs["figure"],
    }
    answer = qgis.execute(chain, image=material.image, truth=truth, **destinations(chain, made))
    assert answer.code == 0, answer.text
    assert "Traceback" not in answer.text
    known, predicted = rasters.read(truth), rasters.read(outputs["map"])
    assert np.array_equal(predicted, rasters.read(material.map))
    assert_is_error_map(outputs["errors"], known, predicted, material.transform)
    # the mean IoU went on to the next step as a number
    assert rasters.read(outputs["figure"])[0, 0] == pytest.approx(figures(known, predicted)[0], rel=1e-5)
    assert "map.tif" in (tmp_path / "report.html").read_text(encoding="utf-8")

"""flair:extractpatches and flair:train in qgis_process, and the shipped model that chains them with flair:classify."""

from __future__ import annotations

import csv
import itertools
import re
import signal
import time

import numpy as np
import pytest
import rasterio

from tests.end_to_end import rasters
from tests.end_to_end.processes import MINUTES, PATIENCE, ROOT, names_in, wait_for

MODEL = ROOT / "resources" / "models3" / "train_on_my_area.model3"
SPLITS = ("train", "val", "test")
BANDS = ["red", "green", "blue", "infrared", "elevation"]
# A training that ends within a minute, without a download.
SHORT = {"PRESET": "quick", "ENCODER": "mobilenet_v2", "ENCODER_WEIGHTS": "none", "OPTIONS": "crop=128 repeats=1"}


def pairs(folder):
    """Return images and masks of a data set, as full paths, by split."""
    found = {}
    for split in SPLITS:
        with (folder / f"{split}.csv").open(newline="") as file:
            found[split] = [[folder / name for name in row] for row in csv.reader(file)]
    return found


def test_patches_hold_the_image_and_its_labels(qgis, material, tmp_path):
    output, table = tmp_path / "patches é", tmp_path / "table.html"
    answer = qgis.execute(
        "flair:extractpatches",
        IMAGE=material.image,
        LABELS=material.polygons,
        CLASS_FIELD="code",
        CLASSES="8=6,13=0",
        PATCH_SIZE=128,
        OUTPUT=output,
        TABLE=table,
    )
    assert answer.code == 0, answer.text
    found = pairs(output)
    results = answer.json["results"]
    counts = [results[f"{split.upper()}_PATCHES"] for split in SPLITS]
    assert counts == [len(found[split]) for split in SPLITS]
    # 6 x 4 patches fill the scene
    assert sum(counts) == 24
    assert min(counts) >= 1
    assert results["OUTPUT"] == str(output)
    places = set()
    for image, mask in itertools.chain(*found.values()):
        with rasterio.open(image) as patch, rasterio.open(mask) as codes:
            assert patch.crs.to_epsg() == codes.crs.to_epsg() == 2154
            assert patch.transform == codes.transform
            assert list(patch.descriptions) == BANDS
            column, row = (round(value) for value in ~material.transform @ (patch.transform.c, patch.transform.f))
            window = rasterio.windows.Window(column, row, 128, 128)
            pixels, labels = patch.read(), codes.read(1)
        places.add((column, row))
        with rasterio.open(material.image) as whole, rasterio.open(material.labels) as truth:
            assert np.array_equal(pixels, whole.read(window=window))
            wanted = truth.read(1, window=window)
        # what the mapping says: brushwood counts as coniferous, and swimming pools as nothing
        assert np.array_equal(labels, np.where(wanted == 8, 6, np.where(wanted == 13, 0, wanted)))
    assert places == {(column, row) for column in range(0, 768, 128) for row in range(0, 512, 128)}
    page = table.read_text(encoding="utf-8")
    assert "coniferous" in page
    assert "brushwood" not in page
    assert "#194a26" in page
    assert re.search(rf"{counts[0]} patches", page)
    assert sorted(names_in(tmp_path)) == ["patches é", "table.html"]


def test_raster_labels_and_an_unknown_class(qgis, material, tmp_path):
    values = {"IMAGE": material.image, "PATCH_SIZE": 128, "OUTPUT": tmp_path / "patches"}
    answer = qgis.execute("flair:extractpatches", LABELS_RASTER=material.labels, **values)
    assert answer.code == 0, answer.text
    truth, seen = rasters.read(material.labels), np.zeros(256, np.int64)
    for _, mask in itertools.chain(*pairs(tmp_path / "patches").values()):
        seen += np.bincount(rasters.read(mask).ravel(), minlength=256)
    assert np.array_equal(seen, np.bincount(truth.ravel(), minlength=256))
    values["OUTPUT"] = tmp_path / "wrong"
    refused = qgis.execute("flair:extractpatches", LABELS_RASTER=material.labels, CLASSES="8=underwater", **values)
    assert refused.code != 0
    assert "'underwater'" in refused.stderr
    assert "Traceback" not in refused.text
    assert names_in(tmp_path) == ["patches"]


def test_training_gives_a_model_a_report_and_figures(qgis, material, tmp_path):
    output, report = tmp_path / "mine.safetensors", tmp_path / "report.html"
    answer = qgis.execute(
        "flair:train",
        DATA=material.patches,
        EPOCHS=2,
        BANDS="red,green,infrared",
        MODEL_TITLE="My model",
        LICENCE="CC0-1.0",
        OUTPUT=output,
        REPORT=report,
        **SHORT,
    )
    assert answer.code == 0, answer.text
    results = answer.json["results"]
    assert 0 <= results["MIOU"] <= 1
    assert results["EPOCH"] in (1, 2)
    assert results["LOSS"] > 0
    assert results["SECONDS"] > 0
    said = rasters.manifest(output)
    assert (said["name"], said["licence"]) == ("My model", "CC0-1.0")
    assert (said["architecture"], said["encoder"]) == ("unet", "mobilenet_v2")
    assert [band["name"] for band in said["bands"]] == ["red", "green", "infrared"]
    assert [
        (item["code"], item["color"], item["name"]) for item in said["nomenclature"]["classes"] if not item["disabled"]
    ] == [(item.code, item.color, item.name) for item in rasters.FLAIR.enabled if item.code in rasters.SCENE]
    assert said["provenance"]["recipe"]["crop"] == 128
    assert "My model" in report.read_text(encoding="utf-8")
    # what a person sees of it while it runs
    assert re.search(r"Epoch 2 of 2: loss \d", answer.text)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"DATA": "/nowhere"}, ["There is no folder /nowhere"]),
        ({"OUTPUT": "model.pth"}, ["has to end in .safetensors"]),
        ({"OPTIONS": "crop"}, ['"crop" is not key=value']),
        ({"OPTIONS": "crop=100"}, ["crop", "32"]),
        ({"OPTIONS": "cropp=128"}, ["cropp", "crop"]),
        ({"ENCODER": "resnet999"}, ["resnet999"]),
        ({"BANDS": "purple"}, ["purple"]),
    ],
    ids=lambda value: next(iter(value.items()))[1] if isinstance(value, dict) else "",
)
def test_mistakes_are_told_in_a_sentence(qgis, material, tmp_path, values, words):
    values = {"DATA": material.patches, "PRESET": "quick", "OUTPUT": tmp_path / "m.safetensors", **values}
    answer = qgis.execute("flair:train", **values)
    assert answer.code != 0
    for word in words:
        assert word in answer.stderr, answer.text
    assert "Traceback" not in answer.text
    assert len(answer.errors) <= 3, answer.stderr
    assert not list(tmp_path.glob("m*.*"))


def test_interrupt_keeps_the_best_model_and_a_second_run_goes_on(qgis, material, tmp_path):
    output = tmp_path / "m.safetensors"
    work = tmp_path / "m_training"
    values = {"DATA": material.patches, "OUTPUT": output, "REPORT": tmp_path / "r.html", **SHORT}
    with qgis.start_algorithm("flair:train", EPOCHS=300, **values) as run:
        kept = work / "last.ckpt"
        wait_for(lambda: kept.exists() or run.process.poll() is not None, "the first epoch", 200)
        assert run.process.poll() is None, run.stdout + run.stderr
        began = run.send(signal.SIGINT)
        assert run.wait(20) != 0
        seconds = time.monotonic() - began
        text = run.stdout + run.stderr
        assert run.processes() == []
    print(f"ended after {seconds:.1f} s")
    assert seconds < 3 * PATIENCE
    assert "Traceback" not in text
    told = re.search(r"The best model so far \(epoch \d+, mIoU 0\.\d+\) is kept: (\S+\.safetensors)", text)
    assert told, text
    best = work / "best.safetensors"
    assert told[1] == str(best)
    assert [band["name"] for band in rasters.manifest(best)["bands"]] == BANDS
    assert not output.exists()
    classified = qgis.classify(INPUT=material.image, MODEL=best, OUTPUT=tmp_path / "map.tif")
    assert classified.code == 0, classified.text
    with qgis.start_algorithm("flair:train", EPOCHS=300, **values) as again:
        wait_for(
            lambda: "Going on with the training" in again.stdout + again.stderr or again.process.poll() is not None,
            "the second run",
            120,
        )
        assert again.process.poll() is None, again.stdout + again.stderr
        again.send(signal.SIGINT)
        assert again.wait(20) != 0


def test_shipped_model_goes_from_labels_to_a_map(qgis, material, tmp_path):
    # nothing is said of preset and image to classify: the model's own defaults
    output, model, report = tmp_path / "map.tif", tmp_path / "mine.safetensors", tmp_path / "report.html"
    answer = qgis.execute(
        MODEL,
        timeout=3 * MINUTES,
        **{
            "image": material.image,
            "labels": material.polygons,
            "class_field": "code",
            "patch_size": 128,
            "epochs": 2,
            "classify:land_cover": output,
            "extract:table": tmp_path / "table.html",
            "train:model": model,
            "train:report": report,
        },
    )
    assert answer.code == 0, answer.text
    assert "Traceback" not in answer.text
    pixels = rasters.assert_is_class_raster(output, width=768, height=512, transform=material.transform)
    assert (pixels > 0).all()
    # what two epochs learn is little, but not nothing
    truth = rasters.read(material.labels)
    commonest = np.bincount(truth.ravel()).max() / truth.size
    right = float((pixels == truth).mean())
    print(f"{right:.1%} right, the commonest class alone {commonest:.1%}")
    assert right > commonest
    said = rasters.manifest(model)
    assert [band["name"] for band in said["bands"]] == BANDS
    assert said["provenance"]["preset"] == "quick"
    with rasterio.open(output) as dataset:
        assert dataset.tags()["FLAIR_MODEL"] == said["name"] == "mine"
    assert "image" in report.read_text(encoding="utf-8")
    assert (tmp_path / "table.html").is_file()
    # the model file is the map's: it makes the same of the image again
    material.classify(model=model, input=material.image, output=tmp_path / "direct.tif")
    assert np.array_equal(pixels, rasters.read(tmp_path / "direct.tif"))

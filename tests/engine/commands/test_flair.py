"""IGN's file for training, predicting and scoring, run by our engine on patches laid out as FLAIR-1's."""

from __future__ import annotations

import json
import threading
import warnings

import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from engine.cancellation import Cancellation
from engine.commands import flair, train
from engine.errors import EngineError
from engine.models.model_file import read_manifest
from engine.requests import parse_request
from tests.engine import tiny
from tests.engine.ign.flair_files import MEANS, STDS, flair_class_list, flair_manifest, write_conf, write_weights

SIZE = 64
PLACES = ("D012_2019/Z1_UU", "D012_2019/Z2_NN", "D022_2021/Z1_AA")


def write_patch(folder, number, codes=(1, 5, 10)):
    """Write an image and its mask, which has no CRS; returns the line of a list."""
    place = folder / PLACES[number % 3]
    image, mask = place / "img" / f"IMG_{number:06d}.tif", place / "msk" / f"MSK_{number:06d}.tif"
    values = np.repeat(np.asarray(codes, dtype=np.uint8), -(-SIZE // len(codes)))[:SIZE]
    values = np.roll(np.tile(values, (SIZE, 1)), 7 * number, axis=1)
    for path in (image, mask):
        path.parent.mkdir(parents=True, exist_ok=True)
    pixels = tiny.smooth(5, SIZE, SIZE, seed=number)
    pixels[0] = values * 12
    tiny.write(image, pixels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        tiny.write(mask, values[np.newaxis], crs=None)
    return f"{image},{mask}\n"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flair")
    for split, numbers in {"train": range(4), "val": range(4, 6), "test": range(6, 8)}.items():
        (folder / f"{split}.csv").write_text("".join(write_patch(folder, number) for number in numbers))
    return folder


def values_of(data, out, paths=(), tasks=(), older=False, **changes):
    network = {
        "model_framework": {
            "model_provider": "SegmentationModelsPytorch",
            "HuggingFace": {"org_model": None},
            "SegmentationModelsPytorch": {"encoder_decoder": "mobilenet_v2_unet"},
        }
    }
    if older:
        network = {"model_architecture": "unet", "encoder_name": "mobilenet_v2"}
    lists = {f"{split}_csv": str(data / f"{split}.csv") for split in ("train", "val", "test")}
    return {
        "paths": {
            "out_folder": str(out), "out_model_name": "run", **lists, "ckpt_model_path": "",
            "path_metadata_aerial": "", **dict(paths),
        },
        "tasks": {
            "train": False, **({} if older else {"train_tasks": {}}), "predict": False, "metrics": False,
            "delete_preds": False, **dict(tasks),
        },
        **network,
        "use_augmentation": True, "use_metadata": False, "channels": [1, 2, 3], "norm_type": "custom",
        "norm_means": MEANS, "norm_stds": STDS, "seed": 7, "batch_size": 2, "learning_rate": 0.03, "num_epochs": 1,
        "use_weights": True, "classes": flair_class_list(), "georeferencing_output": True, "accelerator": "cpu",
        "num_nodes": 1, "gpus_per_node": 1, "strategy": None, "num_workers": 0, "cp_csv_and_conf_to_output": True,
        "enable_progress_bar": True, "progress_rate": 10, **changes,
    }  # fmt: skip


def run(folder, recorder, values, **options):
    request = parse_request("flair", {"conf": str(write_conf(folder, values)), "threads": 1, **options})
    return flair.run(request, recorder, Cancellation())


def read_metrics(folder):
    return json.loads((folder / "metrics" / "metrics.json").read_text())


def test_predict_and_score_with_the_older_schema(data, tmp_path, recorder):
    network = write_weights(tmp_path / "ckpt.pth")
    values = values_of(
        data, tmp_path, {"ckpt_model_path": str(tmp_path / "ckpt.pth")}, {"predict": True, "metrics": True}, older=True
    )
    result = run(tmp_path, recorder, values)
    out = tmp_path / "run"
    described = flair_manifest()
    counts = np.zeros((19, 19), int)
    for number in (6, 7):
        place = data / PLACES[number % 3]
        with rasterio.open(out / "predictions_run" / f"PRED_IMG_{number:06d}.tif") as file:
            found = file.read(1)
            assert (file.dtypes, file.crs.to_epsg(), file.nodata) == (("uint8",), 2154, None)
        with rasterio.open(place / "img" / f"IMG_{number:06d}.tif") as file:
            expected = tiny.codes_of(tiny.truth(network, described, file.read([1, 2, 3])), described.nomenclature) - 1
        assert (found == expected).mean() > 0.999
        truth = tiny.read(place / "msk" / f"MSK_{number:06d}.tif") - 1
        np.add.at(counts, (truth, found), 1)
    assert (np.load(out / "metrics" / "confmat.npy") == counts).all()
    metrics = read_metrics(out)
    assert list(metrics) == [
        "Avg_metrics_name", "Avg_metrics", "classes", "per_class_iou", "per_class_fscore", "per_class_precision",
        "per_class_recall",
    ]  # fmt: skip
    assert metrics["Avg_metrics_name"] == ["mIoU", "Overall Accuracy", "Fscore", "Precision", "Recall"]
    kept = [index for index in range(19) if index not in (14, 15, 16, 18)]
    reduced = counts[np.ix_(kept, kept)]
    union = reduced.sum(0) + reduced.sum(1) - np.diag(reduced)
    ious = 100 * np.diag(reduced) / np.maximum(union, 1)
    assert metrics["per_class_iou"] == pytest.approx(ious.tolist())
    assert metrics["Avg_metrics"][0] == pytest.approx(ious.mean())
    assert metrics["Avg_metrics"][1] == pytest.approx(100 * np.trace(reduced) / reduced.sum())
    assert len(metrics["classes"]) == 15
    assert result["miou"] == pytest.approx(ious.mean() / 100, abs=1e-5)
    assert {item.name for item in (out / "used_csv_and_config").iterdir()} == {"test.csv", "conf.yaml"}
    with pytest.raises(EngineError, match="exists already"):
        run(tmp_path, recorder, values)
    values["tasks"]["delete_preds"] = True
    run(tmp_path, recorder, values, overwrite=True, published_behaviour=True)
    assert not (out / "predictions_run").exists()


def test_train_predict_and_score(data, tmp_path, recorder):
    write_weights(tmp_path / "start.ckpt")
    tasks = {"train": True, "predict": True, "metrics": True, "train_tasks": {"init_weights_only_from_ckpt": True}}
    values = values_of(data, tmp_path, {"ckpt_model_path": str(tmp_path / "start.ckpt")}, tasks)
    result = run(tmp_path, recorder, values)
    manifest = read_manifest(tmp_path / "run" / "checkpoints" / "run.safetensors")
    assert [(band.mean, band.std) for band in manifest.bands] == list(zip(MEANS, STDS, strict=True))
    assert [item.code for item in manifest.nomenclature.enabled] == [1, 5, 10]
    recipe = manifest.provenance["recipe"]
    assert (recipe["optimizer"], recipe["learning_rate"], recipe["batch_size"]) == ("sgd", 0.03, 2)
    assert (recipe["epochs"], recipe["flips"], recipe["monitor"], recipe["patience"]) == (1, True, "loss", 30)
    assert 0 <= result["miou"] <= 1
    assert len(list((tmp_path / "run" / "predictions_run").glob("PRED_IMG_*.tif"))) == 2
    assert any("Not needed" in text and "num_workers" in text for text in recorder.logs)


@pytest.fixture
def asked(monkeypatch):
    """What would be trained."""
    requests = []
    monkeypatch.setattr(train, "run", lambda request, reporter, cancelled: requests.append(request))
    return requests


def test_choices_reach_the_training(data, tmp_path, recorder, asked):
    classes = flair_class_list()
    classes[1] = [2.5, "building"]
    values = values_of(
        data, tmp_path, tasks={"train": True}, classes=classes, use_augmentation=False, gpus_per_node=4,
        ckpt_monitor="val_miou", ckpt_monitor_mode="max", ckpt_earlystopping_patience=5, channels=[4, 1, 2],
    )  # fmt: skip
    run(tmp_path, recorder, values)
    request = asked[0]
    assert (request.preset, request.epochs, request.seed, request.start_from) == ("flair-inc", 1, 7, None)
    assert (request.flips, request.quarter_turns, request.monitor, request.patience) == (False, False, "miou", 5)
    assert request.bands == ["infrared", "red", "green"]
    assert request.class_weights[1] == 2.5
    assert 15 not in request.class_weights
    assert request.devices == 1
    assert any("gpus_per_node" in text for text in recorder.warnings)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"use_metadata": True}, ["line", "'use_metadata'"]),
        ({"supervision_starts_at_one": False}, ["classes begin at 0"]),
        ({"classes": {1: [1, "a"], 3: [1, "b"]}}, ["without a gap"]),
        ({"classes": {1: [0, "a"], 2: [0, "b"]}}, ["weight 0"]),
        ({"learning_rat": 0.1}, ["learning_rat", "Did you mean 'learning_rate'?"]),
        ({"batch_size": "x"}, ["'batch_size' must be a whole number"]),
        ({"channels": [1, 2, 6]}, ["no band 6"]),
        ({"ckpt_monitor": "val_loss", "ckpt_monitor_mode": "max"}, ["best at its min"]),
        ({"tasks": {}}, ["nothing is to be done"]),
        ({"tasks": {"predict": True}}, ["'ckpt_model_path' is empty"]),
    ],
)
def test_mistakes(data, tmp_path, recorder, asked, changes, told):
    with pytest.raises(EngineError) as caught:
        run(tmp_path, recorder, {**values_of(data, tmp_path, tasks={"train": True}), **changes})
    for part in told:
        assert part in str(caught.value)
    assert asked == []


@pytest.mark.parametrize(("task", "line"), [("predict", "IMG_1.tif,{mask}"), ("metrics", "{image},MSK_1.tif")])
def test_what_is_missing_of_the_test_patches_is_told_before_the_training(data, tmp_path, recorder, asked, task, line):
    image, mask = (data / "test.csv").read_text().split()[0].split(",")
    (tmp_path / "longer.csv").write_text((data / "test.csv").read_text() + line.format(image=image, mask=mask))
    values = values_of(data, tmp_path, {"test_csv": str(tmp_path / "longer.csv")}, {"train": True, task: True})
    with pytest.raises(EngineError, match=r"'longer\.csv' names files that do not exist: .*_1\.tif'\.") as caught:
        run(tmp_path, recorder, values)
    assert "relative ones" in caught.value.hint
    assert asked == []


def test_bands_that_only_the_test_patches_lack_are_told_before_the_training(data, tmp_path, recorder, asked):
    image = tiny.write(tmp_path / "IMG_9.tif", tiny.smooth(2, SIZE, SIZE, seed=9))
    (tmp_path / "two.csv").write_text(f"{image},{image}\n")
    values = values_of(data, tmp_path, {"test_csv": str(tmp_path / "two.csv")}, {"train": True, "predict": True})
    with pytest.raises(EngineError, match=r"the images of 'test_csv' have 2 bands, so there is no band 3"):
        run(tmp_path, recorder, values)
    assert asked == []


def test_without_a_connection_the_way_out_is_one_of_the_file(data, tmp_path, recorder, monkeypatch):
    def fail(*arguments, **options):
        raise OSError("no network")

    monkeypatch.setattr("segmentation_models_pytorch.encoders.hf_hub_download", fail)
    with pytest.raises(EngineError, match="ImageNet weights of 'mobilenet_v2' cannot be downloaded") as caught:
        run(tmp_path, recorder, values_of(data, tmp_path, tasks={"train": True}))
    assert "init_weights_only_from_ckpt" in caught.value.hint
    assert "--encoder-weights" not in caught.value.hint


def test_a_cancelled_prediction(data, tmp_path, recorder):
    write_weights(tmp_path / "ckpt.pth")
    values = values_of(data, tmp_path, {"ckpt_model_path": str(tmp_path / "ckpt.pth")}, {"predict": True})
    cancelled = threading.Event()
    cancelled.set()
    request = parse_request("flair", {"conf": str(write_conf(tmp_path, values)), "threads": 1})
    with pytest.raises(EngineError, match="Cancelled"):
        flair.run(request, recorder, cancelled)

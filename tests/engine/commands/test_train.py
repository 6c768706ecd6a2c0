"""Training as a command: from a data set to a model file and a report, through breaks and mistakes."""

from __future__ import annotations

import csv
import json
import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from engine.cancellation import Cancellation
from engine.commands import train
from engine.errors import Cancelled, EngineError
from engine.models.model_file import read_manifest
from engine.requests import parse_request
from tests.engine import tiny
from tests.engine.conftest import Recorder

SIZE = 64
# A small network, no choice of which depends on the machine.
FAST = {
    "preset": "quick", "encoder": "mobilenet_v2", "crop": 32, "batch_size": 4, "repeats": 2, "epochs": 2,
    "precision": "exact", "threads": 1, "device": "cpu", "workers": 0,
}  # fmt: skip
COLOURS = {1: (200, 40, 40), 5: (30, 60, 150), 10: (60, 160, 60)}


def write_pair(folder, number, rng, bands=3, codes=(1, 5, 10), dtype="uint8"):
    """Write a patch of three stripes whose colours tell their classes."""
    mask = np.repeat(np.asarray(codes, dtype=np.uint8), -(-SIZE // len(codes)))[:SIZE]
    mask = np.roll(np.tile(mask, (SIZE, 1)), int(rng.integers(SIZE)), axis=1)
    mask[:4, :4] = 0
    colours = np.zeros((256, bands))
    for code, colour in COLOURS.items():
        colours[code] = (*colour, 90, 30)[:bands]
    image = colours[mask].transpose(2, 0, 1) + rng.normal(0, 12, (bands, SIZE, SIZE))
    names = (f"img/IMG_{number:06d}.tif", f"msk/MSK_{number:06d}.tif")
    common = {
        "driver": "GTiff", "width": SIZE, "height": SIZE, "crs": "EPSG:2154",
        "transform": from_origin(700000 + number * SIZE * 0.2, 6600000, 0.2, 0.2),
    }  # fmt: skip
    for name, array in zip(names, (image.clip(0, 255).astype(dtype), mask[np.newaxis]), strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with rasterio.open(folder / name, "w", count=len(array), dtype=array.dtype, **common) as file:
            file.write(array)
    return ",".join(names) + "\n"


def write_dataset(folder, bands=3, counts=(6, 2, 2), **options):
    rng = np.random.default_rng(0)
    number = 0
    for split, count in zip(("train", "val", "test"), counts, strict=True):
        lines = []
        for _ in range(count):
            lines.append(write_pair(folder, number, rng, bands, **options))
            number += 1
        if count:
            (folder / f"{split}.csv").write_text("".join(lines))
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data"))


def request(data, output, **options):
    return parse_request("train", {"data": str(data), "output": str(output), **FAST, **options})


def run(data, output, reporter, **options):
    return train.run(request(data, output, **options), reporter, Cancellation())


def history(output):
    with (output.with_name(f"{output.stem}_training") / "logs" / "history.csv").open() as stream:
        return [{key: row[key] for key in row if key != "seconds"} for row in csv.DictReader(stream)]


def command(data, output, **options):
    words = [sys.executable, "-m", "engine", "train"]
    for key, value in {"data": data, "output": output, **FAST, **options}.items():
        words += [f"--{key.replace('_', '-')}", str(value)]
    return words


def start(data, output, **options):
    log = output.with_suffix(".log").open("w")
    return subprocess.Popen(
        command(data, output, **options), stderr=log, stdout=log, env=tiny.engine_environment(OMP_NUM_THREADS=1)
    )


def wait_for(text, process, output, seconds=90):
    log = output.with_suffix(".log")
    end = time.monotonic() + seconds
    while text not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)


@pytest.fixture(scope="module")
def stripes(data, tmp_path_factory):
    """A training that learns something: the model file, the result, and what the reporter heard."""
    output, recorder = tmp_path_factory.mktemp("stripes") / "model.safetensors", Recorder()
    return output, run(data, output, recorder, epochs=6, repeats=12, name="Stripes", licence="CC0"), recorder


def test_model_and_report_say_what_was_learnt(data, stripes):
    output, result, recorder = stripes
    manifest = read_manifest(output)
    assert (manifest.name, manifest.licence, manifest.architecture) == ("Stripes", "CC0", "unet")
    assert manifest.band_names == ("red", "green", "blue")
    assert [item.code for item in manifest.nomenclature.enabled] == [1, 5, 10]
    assert len(manifest.nomenclature.classes) == 19
    assert manifest.ground_sampling_distance == pytest.approx(0.2, rel=0.01)
    with rasterio.open(data / "img" / "IMG_000000.tif") as file:
        assert abs(manifest.bands[0].mean - file.read(1).mean()) < 10
    assert manifest.provenance["epoch"] == result["epoch"]
    assert manifest.provenance["validation"]["miou"] == pytest.approx(result["miou"])
    assert manifest.provenance["data"]["patches"] == {"train": 6, "val": 2, "test": 2}
    assert manifest.provenance["preset"] == "quick"
    assert manifest.provenance["recipe"]["epochs"] == 6
    # Three colours are learnt in seconds.
    assert result["miou"] > 0.6
    assert result["test_miou"] > 0.6
    assert result["epochs"] == 6
    page = output.with_suffix(".html").read_text(encoding="utf-8")
    assert "Stripes" in page
    assert f"{100 * result['miou']:.1f}" in page
    assert page.count("data:image/png") >= 6
    assert [row["epoch"] for row in history(output)] == ["1", "2", "3", "4", "5", "6"]
    assert list((output.parent / "model_training" / "logs" / "tensorboard").glob("events.*"))
    assert recorder.fractions == sorted(recorder.fractions)
    assert recorder.fractions[-1] == 1.0
    assert any("Epoch 6 of 6" in text for text in recorder.logs)


def test_trained_model_classifies(data, stripes, tmp_path):
    output = stripes[0]
    image = data / "img" / "IMG_000009.tif"
    done = tiny.engine("classify", "--model", output, "--input", image, "--output", tmp_path / "map.tif")
    assert done.returncode == 0, done.stderr
    truth, found = tiny.read(data / "msk" / "MSK_000009.tif"), tiny.read(tmp_path / "map.tif")
    assert (truth == found)[truth > 0].mean() > 0.8


def test_a_seed_decides_everything(data, tmp_path, recorder):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        run(data, tmp_path / f"{name}.safetensors", recorder, seed=seed)
    same, other = (history(tmp_path / f"{name}.safetensors") for name in ("b", "c"))
    assert history(tmp_path / "a.safetensors") == same
    assert same != other


@pytest.mark.parametrize(
    "options",
    [{"ema": 0.9, "sampling": "balanced"}, {"schedule": "plateau", "optimizer": "sgd", "plateau_patience": 0}],
    ids=["one-cycle, running mean", "plateau"],
)
def test_a_killed_training_goes_on_exactly(data, tmp_path, recorder, options):
    options = {"epochs": 4, **options}
    whole, broken = tmp_path / "whole.safetensors", tmp_path / "broken.safetensors"
    run(data, whole, recorder, **options)
    process = start(data, broken, **options)
    wait_for("Epoch 2 of 4: loss", process, broken)
    process.kill()
    process.wait()
    assert not broken.exists()
    run(data, broken, recorder, **options)
    assert any("Going on" in text for text in recorder.logs)
    assert sum(text.startswith("Starting from") for text in recorder.logs) == 1
    assert history(broken) == history(whole)
    assert read_manifest(broken).provenance["validation"] == read_manifest(whole).provenance["validation"]


def test_other_options_start_anew_and_keep_what_was_there(data, tmp_path, recorder):
    output = tmp_path / "model.safetensors"
    with pytest.raises(Cancelled):
        train.run(request(data, output, epochs=50), CancelAfter(recorder, "Epoch 1 of 50:"), CancelAfter.wish)
    kept = (tmp_path / "model_training" / "best.safetensors").read_bytes()
    run(data, output, recorder, learning_rate=0.001)
    assert any("kept as 'model_training_previous'" in text for text in recorder.warnings)
    assert (tmp_path / "model_training_previous" / "best.safetensors").read_bytes() == kept
    assert len(history(output)) == 2


class CancelAfter:
    """A reporter that cancels once a text was said."""

    wish = Cancellation()

    def __init__(self, inner, text):
        CancelAfter.wish.clear()
        self._inner, self._text = inner, text

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def log(self, text):
        self._inner.log(text)
        if text.startswith(self._text):
            CancelAfter.wish.set()


def test_interrupt_keeps_the_best_and_says_so(data, tmp_path):
    output = tmp_path / "model.safetensors"
    process = start(data, output, epochs=200)
    wait_for("Epoch 2 of 200: loss", process, output)
    asked = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    assert time.monotonic() - asked < 3
    best = tmp_path / "model_training" / "best.safetensors"
    last = output.with_suffix(".log").read_text().strip().splitlines()[-1]
    assert last.startswith("Error: Cancelled. The best model so far (epoch ")
    assert str(best) in last
    assert read_manifest(best).provenance["epoch"] >= 1
    assert not output.exists()


def test_two_processes_learn_as_one(data, tmp_path, recorder):
    # One step an epoch: in 32 bits, what one process rounds otherwise than two grows from step to step.
    options = {"optimizer": "sgd", "learning_rate": 0.01, "batch_size": 6, "repeats": 1, "crop": 0}
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    run(data, one, recorder, **options)
    process = start(data, two, devices=2, **options)
    assert process.wait(120) == 0, two.with_suffix(".log").read_text()
    for alone, together in zip(history(one), history(two), strict=True):
        for key in ("loss", "val_loss"):
            assert float(together[key]) == pytest.approx(float(alone[key]), rel=1e-4), key
    assert two.with_suffix(".log").read_text().count("Epoch 1 of 2: loss") == 1


def test_a_request_on_stdin_starts_further_processes(data, tmp_path):
    output = tmp_path / "model.safetensors"
    options = {"data": str(data), "output": str(output), **FAST, "devices": 2}
    process = subprocess.Popen(
        [sys.executable, "-m", "engine", "--request"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=tiny.engine_environment(OMP_NUM_THREADS=1),
    )  # fmt: skip
    # Standard input stays open, as QGIS keeps it: its end would cancel.
    process.stdin.write(json.dumps({"command": "train", "options": options}) + "\n")
    process.stdin.flush()
    events = []
    for line in process.stdout:
        events.append(json.loads(line))
        if events[-1]["event"] in ("result", "error"):
            break
    process.stdin.close()
    assert process.wait(30) == 0, process.stderr.read()[-3000:]
    assert events[-1]["event"] == "result"
    assert output.is_file()


def test_a_full_disk_leaves_the_last_checkpoint(data, tmp_path, recorder):
    output = tmp_path / "model.safetensors"
    with pytest.raises(Cancelled):
        train.run(request(data, output, epochs=50), CancelAfter(recorder, "Epoch 2 of 50:"), CancelAfter.wish)
    checkpoint = tmp_path / "model_training" / "last.ckpt"
    before = checkpoint.read_bytes()

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, len(before) // 2))

    done = subprocess.run(
        command(data, output, epochs=50), capture_output=True, text=True, preexec_fn=limit,
        env=tiny.engine_environment(OMP_NUM_THREADS=1), timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 5, done.stderr
    assert "disk is full" in done.stderr
    assert checkpoint.read_bytes() == before
    assert not [name for name in os.listdir(tmp_path / "model_training") if name.endswith(".partial")]


def test_bands_and_classes_of_a_start_are_adapted(tmp_path, recorder):
    rgb = write_dataset(tmp_path / "rgb")
    run(rgb, tmp_path / "rgb.safetensors", recorder)
    five = write_dataset(tmp_path / "five", bands=5)
    start_from = str(tmp_path / "rgb.safetensors")
    run(five, tmp_path / "same.safetensors", recorder, start_from=start_from, encoder=None, epochs=1)
    assert read_manifest(tmp_path / "same.safetensors").band_names == ("red", "green", "blue")
    wide = "red,green,blue,infrared,elevation"
    run(five, tmp_path / "wide.safetensors", recorder, start_from=start_from, encoder=None, epochs=1, bands=wide)
    manifest = read_manifest(tmp_path / "wide.safetensors")
    assert manifest.band_names == tuple(wide.split(","))
    assert manifest.encoder == "mobilenet_v2"
    assert any("3 bands kept, 2 new (infrared from red" in text for text in recorder.logs)
    table = (tmp_path / "wide_training" / "logs" / "tensors.csv").read_text()
    assert "encoder.features.0.0.weight,widened" in table
    start = read_manifest(tmp_path / "rgb.safetensors")
    assert manifest.bands[:3] == start.bands
    assert manifest.provenance["start"]["model"] == "rgb"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "quik"}, "no preset 'quik'"),
        ({"bands": "red,infrared"}, "holds the bands red, green, blue, not infrared"),
        ({"architecture": "unett"}, "no network 'unett'"),
        ({"encoder": "resnet33"}, "resnet33"),
        ({"start_from": "missing.safetensors"}, "does not exist"),
        ({"ignore": "1,5"}, "one class only"),
        ({"ignore": "1,5,10"}, "No pixel"),
        ({"batch_size": 5, "accumulate": 2}, "cannot be dealt out evenly"),
        ({"encoder_weights": "nothing.pth"}, "nothing.pth"),
        ({"root": "nowhere"}, "not a folder"),
        ({"device": "cuda:7"}, "was found"),
    ],
)
def test_mistakes_are_named_before_anything_is_learnt(data, tmp_path, recorder, options, message):
    with pytest.raises(EngineError, match=message) as caught:
        run(data, tmp_path / "model.safetensors", recorder, **options)
    assert caught.value.kind != "internal"
    assert not any(text.startswith("Epoch") for text in recorder.logs)
    assert list(tmp_path.iterdir()) == []


def test_problems_of_the_data_are_listed_at_once(tmp_path, recorder):
    folder = write_dataset(tmp_path / "data")
    (folder / "img" / "IMG_000001.tif").unlink()
    (folder / "msk" / "MSK_000002.tif").write_bytes(b"no raster")
    with rasterio.open(folder / "msk" / "MSK_000003.tif", "r+") as file:
        file.write(np.full((1, SIZE, SIZE), 77, dtype=np.uint8))
    write_pair(folder, 4, np.random.default_rng(0), bands=4)
    cut = folder / "img" / "IMG_000005.tif"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    with pytest.raises(EngineError) as caught:
        run(folder, tmp_path / "model.safetensors", recorder)
    found = ("5 problems", "missing image", "MSK_000002.tif", "77", "IMG_000004.tif has 4 bands", "IMG_000005.tif")
    for part in found:
        assert part in caught.value.message


def test_an_output_is_replaced_only_when_allowed(data, tmp_path, recorder):
    output = tmp_path / "model.safetensors"
    output.write_bytes(b"precious")
    with pytest.raises(EngineError, match="exists already"):
        run(data, output, recorder)
    assert output.read_bytes() == b"precious"
    run(data, output, recorder, overwrite=True)
    assert read_manifest(output) is not None


def test_a_folder_that_is_not_writable_is_named(data, tmp_path, recorder):
    with pytest.raises(EngineError, match="does not exist"):
        run(data, tmp_path / "nowhere" / "model.safetensors", recorder)


def test_a_class_without_validation_patches_is_told(tmp_path, recorder):
    folder = write_dataset(tmp_path / "data", counts=(4, 0, 0))
    line = write_pair(folder, 50, np.random.default_rng(1), codes=(1, 5))
    (folder / "val.csv").write_text(line)
    run(folder, tmp_path / "model.safetensors", recorder, epochs=1)
    assert any("'herbaceous vegetation' occurs in no validation patch" in text for text in recorder.warnings)
    assert "herbaceous vegetation" in (tmp_path / "model.html").read_text(encoding="utf-8")


def test_other_types_than_bytes_are_learnt(tmp_path, recorder):
    folder = write_dataset(tmp_path / "data", dtype="uint16")
    run(folder, tmp_path / "model.safetensors", recorder, epochs=1)
    assert read_manifest(tmp_path / "model.safetensors").bands[0].maximum > 200

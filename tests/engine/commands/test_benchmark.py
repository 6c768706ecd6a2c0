"""A study: every model by every test, the tables, the report, and what is said of differences."""

from __future__ import annotations

import csv
import json
import re
import threading

import numpy as np
import pytest
import rasterio
import yaml

from engine.commands import benchmark as command
from engine.errors import Cancelled, EngineError, OutputError
from engine.inference.load import LoadedPredictor
from engine.inference.predictor import Prediction
from engine.nomenclature import load_nomenclature
from engine.requests import parse_request
from tests.engine import tiny
from tests.engine.labelled_patches import write_pair

FLAIR = load_nomenclature("flair").with_disabled([15, 16, 17, 19])
PUBLISHED = "FLAIR-INC_rgb_15cl_resnet34-unet"
TESTED = 4
# Grey value of each code in the images below.
STEP = 12


class Reads:
    """Takes grey values for classes, as far as a model of that name would: some classes it never finds."""

    device, precision, bytes_per_pixel = "cpu", "exact", 0.0
    asked = 0

    def __init__(self, blind=()):
        self.blind = blind

    def predict(self, images):
        type(self).asked += len(images)
        codes = np.rint(images[:, 0] / STEP).astype(np.uint8)
        codes[np.isin(codes, self.blind)] = 10
        return Prediction(codes=codes)


@pytest.fixture(autouse=True)
def networks(monkeypatch):
    # Intervals take most of the time, and say nothing here.
    monkeypatch.setattr("engine.evaluation.bootstrap.REPLICATES", 20)
    blind = {"good": (), "poor": (1, 2, 5), "published": (1,)}
    Reads.asked = 0
    monkeypatch.setattr(
        "engine.study.judge.load_predictor",
        lambda model, *_, **__: LoadedPredictor(Reads(blind[model.manifest.name])),
    )
    monkeypatch.setattr("engine.study.contest.parameters_of", lambda path: 1_234_000)


def write_patches(folder, domain="D012_2019", codes=(1, 2, 3, 5, 7, 10), number=TESTED, bands=3, **options):
    """Write patches and a list of them; each is made of stripes of classes."""
    lines = []
    for at in range(number):
        mask = np.repeat(np.roll(np.array(codes, np.uint8), at), 8)
        mask = np.tile(mask, (32, 1))
        line = write_pair(folder / domain, f"IMG_{at}", np.stack([mask * STEP] * bands), mask, **options)
        lines.append(",".join(f"{domain}/{part}" for part in line.split(",")))
    path = folder / f"{domain}.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def study(tmp_path):
    """Two models and two tests; returns how to write the study with changes."""
    for name in ("good", "poor", "published"):
        bands = ("red", "green", "blue")
        described = tiny.manifest(name, "unet", "resnet34", bands, nomenclature=FLAIR)
        tiny.header_only(tmp_path / f"{name}.safetensors", described)
    write_patches(tmp_path)
    write_patches(tmp_path, "D001_2020", codes=(1, 3, 18), number=3, pixel=0.5)
    values = {
        "name": "ours",
        "title": "Ours & theirs",
        "models": [
            {"name": "good", "model": "good.safetensors"},
            {"name": "poor", "model": "poor.safetensors", "compare_with": PUBLISHED},
        ],
        "tests": [{"name": "held out", "data": "D012_2019.csv"}, {"name": "learnt", "data": "D001_2020.csv"}],
    }

    def write(**changes):
        (tmp_path / "study.yaml").write_text(yaml.safe_dump({**values, **changes}))
        return str(tmp_path / "study.yaml")

    return write


@pytest.fixture
def run(study, recorder):
    def start(*, cancelled=None, device="cpu", changes=None, **options):
        request = parse_request("benchmark", {"study": study(**(changes or {})), "device": device, **options})
        return command.run(request, recorder, cancelled or threading.Event())

    return start


def text_of(path):
    """The text of a report, tag by tag."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "|", path.read_text()))


def test_every_model_by_every_test(run, tmp_path, recorder):
    result = run()
    folder = tmp_path / "ours"
    assert result["output"] == str(folder)
    assert [(row["name"], row["test"]) for row in result["models"]] == [
        ("good", "held out"), ("good", "learnt"), ("poor", "held out"), ("poor", "learnt"),
    ]  # fmt: skip
    assert result["failed"] == []
    good, _, poor, _ = result["models"]
    # Six of 15 classes are there; by the rule 'ign' the others count as 0.
    assert good["miou"] == pytest.approx(6 / 15)
    assert good["overall_accuracy"] == 1.0
    # 10 is true in a sixth of the pixels and predicted in four sixths.
    assert poor["miou"] == pytest.approx((1 + 1 + 1 / 4) / 15)
    assert poor["overall_accuracy"] == pytest.approx(0.5)
    assert recorder.fractions == sorted(recorder.fractions)
    assert recorder.fractions[-1] == 1.0
    saved = json.loads((folder / "benchmark.json").read_text())
    assert [row["scores"]["miou"] for row in saved["results"]] == [row["miou"] for row in result["models"]]
    for model in ("good", "poor"):
        for test in ("held_out", "learnt"):
            pair = folder / "pairs" / model / test
            assert sorted(item.name for item in pair.iterdir()) == ["confusion.csv", "metrics.json", "tally.npz"]
    assert (
        json.loads((folder / "pairs/poor/learnt/metrics.json").read_text())["scores"] == saved["results"][3]["scores"]
    )
    speed = saved["results"][0]["speed"]
    assert (speed["device"], speed["patches"], speed["pixels"]) == ("cpu", TESTED, TESTED * 32 * 48)
    assert speed["patches_per_second"] == pytest.approx(TESTED / speed["seconds"])
    assert speed["peak_memory_bytes"] > 1e7
    assert speed["parameters"] == 1_234_000


def test_differences_are_explained(run, tmp_path):
    run()
    results = json.loads((tmp_path / "ours" / "benchmark.json").read_text())["results"]
    good, _, poor, learnt = results
    assert good["published"] == []
    assert not good["worth_a_word"]
    assert {item["verdict"] for item in good["checks"] if item["about"] == "model"} == {"cannot be told"}
    assert poor["worth_a_word"]
    card = next(item for item in poor["published"] if item["rule"] == "ign-present")
    assert card["difference"]["miou"] == pytest.approx(100 * poor["scores"]["miou"] - 59.013)
    assert card["ours_by_their_rule"]["miou"] == pytest.approx((1 + 1 + 1 / 4) / 6)
    found = {(item["name"], item["about"]): item["verdict"] for item in poor["checks"]}
    assert found["Bands", "model"] == "same"
    assert found["Order of classes", "model"] == "same"
    assert found["Held out", "patches"] == "same"
    assert found["Ground sampling distance", "patches"] == "same"
    assert found["Classes in the truth", "patches"] == "differs"
    assert found["Definition of the figures", "card, ign"] == "same"
    assert found["Test set", "study, table 2, reproduction, ign"] == "differs"
    found = {item["name"]: item["verdict"] for item in learnt["checks"] if item["about"] == "patches"}
    assert found["Held out"] == "differs"
    assert found["Ground sampling distance"] == "differs"


def test_numbers_of_report_and_tables_are_those_of_the_results(run, tmp_path):
    run()
    folder = tmp_path / "ours"
    results = json.loads((folder / "benchmark.json").read_text())["results"]
    html = (folder / "report.html").read_text()
    shown = text_of(folder / "report.html")
    assert "<script" not in html
    assert not re.search(r"display:\s*(grid|flex)|(src|href)=\"(?!data:)", html)
    assert "Ours &amp; theirs" in html
    for item in results:
        assert f"|{100 * item['scores']['miou']:.2f}|" in shown
        assert f"|{100 * item['scores']['recall']:.2f}|" in shown
        for row in item["published"]:
            assert f"|{row['figures']['miou']:.2f}|" in shown
            assert f"|{row['difference']['miou']:+.2f}|" in shown
        for row in item["classes"]:
            if row["difference"]["iou"] is not None:
                assert f"|{row['difference']['iou']:+.2f}|" in shown
        for check in item["checks"] if item["worth_a_word"] else ():
            assert check["name"] in shown
            assert check["text"].split("'")[0] in shown
    # Image, truth and two models, four patches of the one test and three of the other.
    assert html.count("<img") == 4 * 4 + 4 * 3
    with (folder / "table2.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    ours = [row for row in rows if row["source"] == "this run"]
    assert [float(row["miou"]) for row in ours] == [round(100 * item["scores"]["miou"], 4) for item in results]
    assert len(rows) == 4 + 2 * len(results[2]["published"])
    with (folder / "table3.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 4 * 15
    building = next(
        row for row in rows if (row["model"], row["test"], row["class"]) == ("poor", "held out", "building")
    )
    assert (float(building["iou_published"]), float(building["iou_ours"])) == (78.579, 0.0)
    assert building["iou_difference"] == "-78.5790"


def test_what_is_done_is_kept(run, tmp_path, recorder):
    first = run()
    asked = Reads.asked
    assert asked == 2 * (TESTED + 3)
    again = run()
    assert Reads.asked == asked
    assert [row["miou"] for row in again["models"]] == [row["miou"] for row in first["models"]]
    # The same counts by another definition.
    strict = run(definition="strict")
    assert Reads.asked == asked
    assert strict["models"][0]["miou"] == 1.0
    # A test that changed, and a model more.
    write_patches(tmp_path, codes=(1, 2, 3, 5, 7, 11))
    more = [{"name": name, "model": f"{name}.safetensors"} for name in ("good", "poor", "published")]
    run(changes={"models": more})
    assert Reads.asked == asked + 3 * TESTED + 3
    run(overwrite=True)
    assert Reads.asked == asked + 3 * TESTED + 3 + 2 * (TESTED + 3)


def test_a_damaged_tally_is_counted_again(run, tmp_path):
    first = run()
    path = tmp_path / "ours" / "pairs" / "good" / "learnt" / "tally.npz"
    path.write_bytes(path.read_bytes()[:100])
    asked = Reads.asked
    assert run()["models"] == first["models"]
    assert Reads.asked == asked + 3


def test_cancelling_keeps_what_is_done(run, monkeypatch, tmp_path):
    stop = threading.Event()
    whole = run(output=str(tmp_path / "whole"))
    asked = Reads.asked
    original = Reads.predict

    def predict(self, images):
        if Reads.asked - asked == 5:
            stop.set()
        return original(self, images)

    monkeypatch.setattr(Reads, "predict", predict)
    with pytest.raises(Cancelled, match="Cancelled") as caught:
        run(cancelled=stop)
    assert "goes on from there" in caught.value.hint
    assert not (tmp_path / "ours" / "report.html").exists()
    done = Reads.asked - asked
    assert run()["models"] == whole["models"]
    assert Reads.asked - asked == asked
    assert 0 < done < asked


def test_one_that_fails_does_not_stop_the_others(run, tmp_path, recorder):
    models = [
        {"name": "good", "model": "good.safetensors"},
        {"name": "gone", "model": "gone.safetensors"},
        {"name": "named wrong", "model": "FLAIR-INC_rgb_15cl_resnet34-unt"},
        {"name": "without weights", "model": PUBLISHED, "weights": "w.pth"},
        {"name": "infrared", "model": "infrared.safetensors"},
        {"name": "cut off", "model": "cut.safetensors"},
    ]
    described = tiny.manifest("infrared", bands=("red", "green", "infrared"), nomenclature=FLAIR)
    tiny.header_only(tmp_path / "infrared.safetensors", described)
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "good.safetensors").read_bytes()[:99])
    (tmp_path / "D001_2020" / "img" / "IMG_0.tif").unlink()
    (tmp_path / "D001_2020" / "msk" / "IMG_2.tif").unlink()
    result = run(changes={"models": models})
    assert [row["name"] for row in result["models"] if row["error"] is None] == ["good"]
    errors = {(row["name"], row["test"]): row["error"] for row in result["failed"]}
    assert len(errors) == 11
    assert "does not exist" in errors["gone", "held out"]
    assert f"Did you mean {PUBLISHED}" in errors["named wrong", "held out"]
    assert "w.pth' does not exist" in errors["without weights", "held out"]
    assert "lacks infrared" in errors["infrared", "held out"]
    assert "cut off" in errors["cut off", "held out"]
    assert "2 problems" in errors["good", "learnt"]
    assert "IMG_0.tif" in errors["good", "learnt"]
    assert "IMG_2.tif" in errors["good", "learnt"]
    assert any("'gone' on 'held out' is left out" in text for text in recorder.warnings)
    shown = text_of(tmp_path / "ours" / "report.html")
    assert "gone on held out is left out: The model file" in shown
    assert json.loads((tmp_path / "ours" / "benchmark.json").read_text())["failed"]


def test_when_all_fail_so_does_the_command(run, tmp_path):
    with pytest.raises(EngineError, match="None of the 2 evaluations") as caught:
        run(changes={"models": [{"name": "gone", "model": "gone.safetensors"}]})
    assert caught.value.exit_code == 4
    assert "No model could be judged" in (tmp_path / "ours" / "report.html").read_text()


def test_an_unexpected_failure_is_one_of_a_model(run, monkeypatch):
    original = Reads.predict

    def predict(self, images):
        if self.blind:
            raise RuntimeError("the library's own words")
        return original(self, images)

    monkeypatch.setattr(Reads, "predict", predict)
    result = run()
    assert [row["error"] is None for row in result["models"]] == [True, True, False, False]
    assert "RuntimeError: the library's own words" in result["failed"][0]["error"]


def test_predictions_are_kept_when_asked(run, tmp_path):
    run()
    asked = Reads.asked
    run(predictions=True)
    # Without the rasters, what was done is not enough.
    assert Reads.asked == 2 * asked
    path = tmp_path / "ours" / "predictions" / "poor" / "held_out" / "IMG_1.tif"
    with rasterio.open(path) as file, rasterio.open(tmp_path / "D012_2019" / "img" / "IMG_1.tif") as image:
        truth = image.read(1) // STEP
        assert (file.read(1) == np.where(np.isin(truth, (1, 2, 5)), 10, truth)).all()
        assert (file.crs, file.transform, file.nodata) == (image.crs, image.transform, 0)
        assert file.colormap(1)[10] == (0x55, 0xFF, 0x00, 255)
    run(predictions=True)
    assert Reads.asked == 2 * asked


def test_codes_that_are_not_counted(run):
    result = run(changes={"ignore": [0, 1, 3]})
    assert result["models"][0]["miou"] == pytest.approx(4 / 15)


def test_folders_of_others_are_left_alone(run, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").write_text("me")
    with pytest.raises(OutputError, match=r"holds 'me\.jpg' and no study"):
        run(output=str(tmp_path / "photos"), overwrite=True)
    assert [item.name for item in (tmp_path / "photos").iterdir()] == ["me.jpg"]
    with pytest.raises(OutputError, match="is a file"):
        run(output=str(tmp_path / "good.safetensors"))


def test_two_runs_at_once(run, tmp_path):
    from engine.rasters.folder_lock import hold

    run()
    lock = hold(tmp_path / "ours" / "pairs", tmp_path / "ours")
    try:
        with pytest.raises(OutputError, match="Another run"):
            run()
    finally:
        lock.release()


def test_a_full_disk_ends_the_study(run, monkeypatch):
    def full(self, path):
        raise OutputError("The disk is full.")

    monkeypatch.setattr("engine.study.standing.Standing.save", full)
    with pytest.raises(OutputError, match="The disk is full"):
        run()


def test_a_cache_that_cannot_be_written_concerns_one_model(run, monkeypatch):
    from engine.study import judge

    original = judge.load_predictor

    def load(model, *rest, **options):
        if model.manifest.name == "poor":
            raise OutputError("The cache cannot be written.")
        return original(model, *rest, **options)

    monkeypatch.setattr(judge, "load_predictor", load)
    result = run()
    assert [row["error"] for row in result["models"]] == [None, None, *["The cache cannot be written."] * 2]

"""Training and judging with a season, as commands: what the season adds, through breaks and mistakes."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import rasterio
import torch

from engine.cancellation import Cancellation
from engine.commands import benchmark, evaluate, train
from engine.data.time_series.days import days_to_mid_may
from engine.errors import Cancelled, EngineError
from engine.models.checkpoint import load_network
from engine.models.model_file import read_manifest
from engine.requests import parse_request
from tests.engine import tiny
from tests.engine.commands.test_train import CancelAfter
from tests.engine.conftest import Recorder
from tests.engine.season_patches import (
    AROUND,
    DATES,
    FAST,
    RATIO,
    SIZE,
    TINY,
    write,
    write_areas,
    write_dataset,
    write_metadata,
)  # fmt: skip

LEARNING = {"epochs": 4, "batch_size": 4, "learning_rate": 0.006}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A data set with its season: (folder, season)."""
    return write_dataset(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """The same with few patches, for what need not be learnt well."""
    return write_dataset(tmp_path_factory.mktemp("few"), (8, 3, 3))


@pytest.fixture(scope="module")
def trained(made, tmp_path_factory):
    """Models learnt from the same patches, with the season and without: (folder, result by name, recorder)."""
    folder, recorder = tmp_path_factory.mktemp("models"), Recorder()
    data, season = made
    found = {"utt": run(data, folder / "utt.safetensors", recorder, season=str(season), **LEARNING)}
    plain = {"satellite_side": None, "satellite_widths": None, "satellite_heads": None}
    found["unet"] = run(data, folder / "unet.safetensors", recorder, crop=0, **LEARNING, **plain)
    return folder, found, recorder


def run(data, output, reporter, **options):
    values = {"data": str(data), "output": str(output), **FAST, **options}
    request = parse_request("train", {name: value for name, value in values.items() if value is not None})
    return train.run(request, reporter, Cancellation())


def judge(model, data, output, **options):
    values = {"model": str(model), "data": str(data), "output": str(output), "device": "cpu", "threads": 1, **options}
    return evaluate.run(parse_request("evaluate", values), Recorder(), Cancellation())


def history(output):
    with (output.with_name(f"{output.stem}_training") / "logs" / "history.csv").open() as stream:
        return [{key: row[key] for key in row if key != "seconds"} for row in csv.DictReader(stream)]


def test_the_season_tells_apart_what_the_image_does_not(trained):
    folder, found, recorder = trained
    assert found["utt"]["test_miou"] > 0.8
    assert found["unet"]["test_miou"] < 0.65
    season = read_manifest(folder / "utt.safetensors").season
    assert [band.name for band in season.bands] == ["band 1", "band 2", "band 3", "band 4"]
    assert (season.side, season.monthly, season.metadata) == (AROUND, True, False)
    assert season.ground_sampling_distance == pytest.approx(0.2 * RATIO, rel=0.01)
    assert season.design.encoder_widths == (16, 16, 32)
    # The greener, the less of the first band and the more of the last.
    means = [band.mean for band in season.bands]
    assert means == sorted(means)
    assert means[0] < 950 < 1050 < means[-1]
    assert read_manifest(folder / "unet.safetensors").season is None
    page = (folder / "utt.html").read_text(encoding="utf-8")
    assert f"{AROUND} x {AROUND} pixels" in page
    assert "7 months a patch" in page
    assert any("8 x 8 of them under it" in text for text in recorder.logs)


def by_hand(model, data, season):
    """Return what a model says of the test patches, read and put together here: (truth, codes), each (N, H, W)."""
    manifest = read_manifest(model)
    network = load_network(model, manifest)
    statistics = [
        torch.tensor([[band.mean, band.std] for band in bands]).T for bands in (manifest.bands, manifest.season.bands)
    ]
    (mean, std), (season_mean, season_std) = statistics
    days = torch.tensor([[float(days_to_mid_may(int(date[:2]), 15)) for date in DATES]])
    truths, answers = [], []
    for line in (data / "test.csv").read_text().split():
        image, mask = (data / part for part in line.split(","))
        with rasterio.open(image) as file:
            values = (torch.from_numpy(file.read()).float() - mean[:, None, None]) / std[:, None, None]
            left = file.transform.c
        series = []
        for date in DATES:
            with rasterio.open(season / f"S2_2021{date}.tif") as file:
                # The patch begins `AROUND` pixels into the image, its surroundings four before it.
                column = round((left - file.transform.c) / file.transform.a) - (AROUND - SIZE // RATIO) // 2
                row = AROUND - (AROUND - SIZE // RATIO) // 2
                series.append(file.read()[:, row : row + AROUND, column : column + AROUND].astype(np.float32))
        pixels = (torch.from_numpy(np.stack(series))[None] - season_mean[:, None, None]) / season_std[:, None, None]
        with torch.inference_mode():
            logits = network(values[None], pixels, days, torch.ones_like(days, dtype=torch.bool)).logits[0]
        enabled = list(manifest.nomenclature.enabled_channels)
        codes = np.array(manifest.nomenclature.codes)[enabled]
        truths.append(tiny.read(mask))
        answers.append(codes[logits[enabled].argmax(0).numpy()])
    return np.stack(truths), np.stack(answers)


def test_judging_gives_the_figures_of_judging_by_hand(made, trained, tmp_path):
    data, season = made
    model = trained[0] / "utt.safetensors"
    result = judge(model, data, tmp_path / "e", season=str(season), predictions=str(tmp_path / "p"))
    truth, found = by_hand(model, data, season)
    written = np.stack([tiny.read(path) for path in sorted((tmp_path / "p").rglob("*.tif"))])
    # The edges of two satellite pixels may round otherwise; nothing else may differ.
    assert (written != found).mean() < 0.001
    assert result["overall_accuracy"] == pytest.approx((truth == found).mean(), abs=0.001)
    assert result["overall_accuracy"] == pytest.approx(trained[1]["utt"]["test_overall_accuracy"], abs=1e-4)
    assert result["miou"] == pytest.approx(trained[1]["utt"]["test_miou"], abs=1e-4)
    assert "season" in (tmp_path / "e" / "report.html").read_text(encoding="utf-8")


def test_a_study_holds_both_beside_each_other(made, trained, tmp_path):
    data, season = made
    study = tmp_path / "study.yaml"
    models = "".join(f"  - {{name: {name}, model: {trained[0] / name}.safetensors}}\n" for name in ("utt", "unet"))
    study.write_text(
        f"name: s\ndefinition: strict\nmodels:\n{models}tests:\n  - {{name: with, data: {data}, season: {season}}}\n"
        f"  - {{name: without, data: {data}}}\n"
    )
    request = parse_request("benchmark", {"study": str(study), "device": "cpu", "threads": 1})
    result = benchmark.run(request, Recorder(), Cancellation())
    rows = {(row["name"], row["test"]): row for row in result["models"]}
    for name in ("utt", "unet"):
        assert rows[name, "with"]["miou"] == pytest.approx(trained[1][name]["test_miou"], abs=2e-3)
    assert rows["unet", "without"]["miou"] == rows["unet", "with"]["miou"]
    assert "none are named" in rows["utt", "without"]["error"]
    table = (tmp_path / "s" / "table2.csv").read_text()
    assert all(name in table for name in ("utt", "unet"))


def test_an_interrupted_training_goes_on_exactly(few, tmp_path, recorder):
    data, season = few
    options = {"season": str(season), "epochs": 3, "satellite_dropout": 0.3, "ema": 0.9}
    whole, broken = tmp_path / "whole.safetensors", tmp_path / "broken.safetensors"
    run(data, whole, recorder, **options)
    values = {"data": str(data), "output": str(broken), **FAST, **options}
    with pytest.raises(Cancelled):
        train.run(parse_request("train", values), CancelAfter(recorder, "Epoch 1 of 3:"), CancelAfter.wish)
    run(data, broken, recorder, **options)
    assert any("Going on" in text for text in recorder.logs)
    assert history(broken) == history(whole)
    # Another season is another run.
    with rasterio.open(season / "S2_20210115.tif") as file:
        pixels, transform = file.read(), file.transform
    shutil.copytree(season, tmp_path / "other")
    write(tmp_path / "other" / "S2_20211224.tif", pixels, transform)
    run(data, broken, recorder, overwrite=True, **{**options, "season": str(tmp_path / "other"), "epochs": 1})
    assert len(history(broken)) == 1


def test_two_processes_learn_together_also_where_one_has_no_season(few, tmp_path):
    data, season = few
    # Half of the dates show the first patches alone: batches of one process may hold no date at all.
    part = tmp_path / "part"
    part.mkdir()
    for date in DATES[2:5]:
        with rasterio.open(season / f"S2_2021{date}.tif") as file:
            pixels, transform = file.read(), file.transform
        write(part / f"S2_2021{date}.tif", pixels[:, :, : AROUND * 2 + 3 * SIZE // RATIO], transform)
    output = tmp_path / "two.safetensors"
    options = {"data": data, "output": output, **FAST, "season": part, "devices": 2, "batch_size": 4}
    words = [word for key, value in options.items() for word in (f"--{key.replace('_', '-')}", str(value))]
    done = subprocess.run(
        [sys.executable, "-m", "engine", "train", *words], capture_output=True, text=True, timeout=150, check=False,
        env=tiny.engine_environment(OMP_NUM_THREADS=1),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "train patches have no satellite image" in done.stderr
    assert read_manifest(output).season is not None


def test_a_model_of_aerial_images_starts_the_aerial_branch(few, trained, tmp_path, recorder):
    data, season = few
    output = tmp_path / "m.safetensors"
    options = {"season": str(season), "epochs": 1, "encoder": None, "encoder_weights": None, "freeze": "encoder"}
    run(data, output, recorder, start_from=str(trained[0] / "unet.safetensors"), **options)
    table = (tmp_path / "m_training" / "logs" / "tensors.csv").read_text().splitlines()
    starts = {line.split(",")[0]: line.split(",")[1] for line in table[1:]}
    aerial = {starts[name] for name in starts if name.startswith("aerial.")}
    assert aerial == {"kept"}
    assert {starts[name] for name in starts if not name.startswith("aerial.")} == {"new"}
    before = load_network(trained[0] / "unet.safetensors", read_manifest(trained[0] / "unet.safetensors")).state_dict()
    after = load_network(output, read_manifest(output)).state_dict()
    # Frozen, so what it started from still stands there.
    assert all(torch.equal(before[name], after[f"aerial.{name}"]) for name in before if name.startswith("encoder."))


def test_a_model_with_a_season_starts_another_with_all_its_sizes(few, trained, tmp_path, recorder):
    data, season = few
    start = trained[0] / "utt.safetensors"
    sizes = dict.fromkeys(TINY)
    run(data, tmp_path / "m.safetensors", recorder, season=str(season), start_from=str(start), epochs=1, **sizes)
    manifest, before = read_manifest(tmp_path / "m.safetensors"), read_manifest(start)
    assert manifest.season.design == before.season.design
    assert [(band.name, band.mean) for band in manifest.season.bands] == [
        (band.name, band.mean) for band in before.season.bands
    ]
    starts = (tmp_path / "m_training" / "logs" / "tensors.csv").read_text()
    assert ",new," not in starts
    with pytest.raises(EngineError, match="start_from and satellite_widths exclude each other"):
        run(data, tmp_path / "n.safetensors", recorder, season=str(season), start_from=str(start),
            **{**sizes, "satellite_widths": "16,16"})  # fmt: skip
    with pytest.raises(EngineError, match="'utt' also looks at satellite images of a season, and none is named"):
        run(data, tmp_path / "n.safetensors", recorder, start_from=str(start), **sizes)


def test_files_of_flair_2_are_learnt_from_with_metadata(tmp_path, recorder):
    data, season = write_areas(tmp_path / "data")
    metadata = write_metadata(tmp_path / "metadata.json", 12)
    options = {"season": str(season), "season_bands": "B03,B8A", "epochs": 1, "faults": "constant_month"}
    output = tmp_path / "m.safetensors"
    run(data, output, recorder, metadata=str(metadata), **options)
    found = read_manifest(output).season
    assert [band.name for band in found.bands] == ["B03", "B8A"]
    assert found.metadata
    assert found.faults.constant_month
    assert not found.faults.swapped_loss_weights
    result = judge(output, data, tmp_path / "e", season=str(season), metadata=str(metadata), split="val")
    assert result["miou"] == pytest.approx(read_manifest(output).provenance["validation"]["miou"], abs=1e-4)
    with pytest.raises(EngineError, match="where, when and with which camera") as caught:
        judge(output, data, tmp_path / "f", season=str(season))
    assert "--metadata" in caught.value.hint
    write_metadata(metadata, 9)
    with pytest.raises(EngineError, match="no metadata of 2 of 2 patches: IMG_000010, IMG_000011"):
        judge(output, data, tmp_path / "f", season=str(season), metadata=str(metadata))
    shutil.rmtree(season / "D001_2020" / "Z2_AA")
    with pytest.raises(EngineError, match=r"6 patches have no usable season:\n.*no satellite files"):
        run(data, tmp_path / "n.safetensors", recorder, **options)
    with pytest.raises(EngineError, match="no satellite files"):
        judge(output, data, tmp_path / "f", season=str(season), metadata=str(write_metadata(metadata, 12)))
    centroids = next(season.glob("*.json"))
    values = json.loads(centroids.read_text())
    centroids.unlink()
    with pytest.raises(EngineError, match="Nothing says where the patches lie"):
        run(data, tmp_path / "n.safetensors", recorder, **options)
    values.pop("IMG_000000.tif")
    (tmp_path / "c.json").write_text(json.dumps(values))
    with pytest.raises(EngineError, match=r"does not name 'IMG_000000\.tif'"):
        run(data, tmp_path / "n.safetensors", recorder, centroids=str(tmp_path / "c.json"), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"season": "nowhere"}, "no folder 'nowhere' of satellite images"),
        ({"season": "DATA/img"}, "'IMG_000000.tif' carries no date"),
        ({"season": "DATA/empty"}, "holds no satellite images"),
        ({"season_bands": "B02"}, "hold the bands band 1, band 2, band 3, band 4, not B02"),
        ({"architecture": "fpn"}, "'fpn' looks at the aerial image alone"),
        ({"season": None, "architecture": "utt"}, "learns from a season .*--architecture unet"),
        ({"metadata": "nowhere.json"}, "nowhere.json"),
        ({"centroids": "nowhere.json"}, "centres of patches have no effect"),
        ({"faults": "constant_moth"}, "no fault 'constant_moth'. Did you mean 'constant_month'"),
        ({"satellite_heads": 5}, "cannot be dealt out to 5 attention heads"),
        ({"satellite_side": 6}, "a patch is 8 satellite pixels wide, more than the 6|A patch is 8"),
        ({"satellite_side": 18}, "18 satellite pixels are not twice or more times 4"),
        ({"satellite_side": 64}, "No satellite image shows all the ground"),
    ],
)
def test_mistakes_are_named_before_anything_is_learnt(few, tmp_path, recorder, options, message):
    data, season = few
    (data / "empty").mkdir(exist_ok=True)
    values = {"season": str(season), **options}
    values = {
        name: value.replace("DATA", str(data)) if isinstance(value, str) else value for name, value in values.items()
    }
    with pytest.raises(EngineError, match=message) as caught:
        run(data, tmp_path / "m.safetensors", recorder, **values)
    assert caught.value.kind != "internal"
    assert not any(text.startswith("Epoch") for text in recorder.logs)
    assert list(tmp_path.iterdir()) == []


def test_patches_that_no_season_goes_with_are_named(few, tmp_path, recorder):
    data, season = few
    other = tmp_path / "data"
    shutil.copytree(data, other)
    write(
        other / "img" / "IMG_000001.tif", np.zeros((3, 64, 32), np.uint8), rasterio.Affine(0.2, 0, 7e5, 0, -0.2, 66e5)
    )
    write(
        other / "msk" / "MSK_000001.tif", np.full((1, 64, 32), 9, np.uint8), rasterio.Affine(0.2, 0, 7e5, 0, -0.2, 66e5)
    )
    with pytest.raises(EngineError, match="32 x 32 to 32 x 64 pixels large"):
        run(other, tmp_path / "m.safetensors", recorder, season=str(season))


def test_judging_without_what_a_model_needs_names_the_option(few, trained, tmp_path):
    data, season = few
    with pytest.raises(EngineError, match="none are named") as caught:
        judge(trained[0] / "utt.safetensors", data, tmp_path / "e")
    assert "--season" in caught.value.hint
    with pytest.raises(EngineError, match="looks at aerial images alone"):
        judge(trained[0] / "unet.safetensors", data, tmp_path / "e", season=str(season))
    with pytest.raises(EngineError, match="has an effect with a season only"):
        judge(trained[0] / "unet.safetensors", data, tmp_path / "e", metadata="m.json")
    assert list(tmp_path.iterdir()) == []

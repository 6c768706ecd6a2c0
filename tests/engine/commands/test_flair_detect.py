"""IGN's file for classifying a raster, run by our engine."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import rasterio
import torch

from engine.commands import classify, flair_detect
from engine.errors import EngineError
from engine.ign.published_tiling import published_cores
from engine.requests import parse_request
from tests.engine import tiny
from tests.engine.ign.flair_files import MEANS, STDS, detect_values, flair_manifest, write_conf, write_weights


@pytest.fixture(scope="module")
def files(tmp_path_factory, shared_cache):
    folder = tmp_path_factory.mktemp("ign")
    pixels = tiny.smooth(3, 150, 170)
    pixels[:, :40, :50] = 0
    tiny.write(folder / "image.tif", pixels, nodata=0)
    network = write_weights(folder / "weights.pth")
    return folder, pixels, network


def run(files, folder, recorder, published=False, overwrite=False, **changes):
    values = detect_values(folder, files[0] / "image.tif", files[0] / "weights.pth", **changes)
    options = {"conf": str(write_conf(folder, values)), "published_behaviour": published, "overwrite": overwrite}
    return flair_detect.run(parse_request("flair-detect", {**options, "threads": 1}), recorder, threading.Event())


def contents(path):
    with rasterio.open(path) as file:
        return file.read(), file.nodata


def test_indices_from_0_of_our_own_classification(files, tmp_path, recorder):
    result = run(files, tmp_path, recorder)
    _, pixels, network = files
    found, nodata = contents(tmp_path / "out" / "map.tif")
    assert result["output"] == str(tmp_path / "out" / "map.tif")
    assert nodata == 255
    assert (found[0, :40, :50] == 255).all()
    expected = tiny.codes_of(tiny.truth(network, flair_manifest(), pixels), flair_manifest().nomenclature) - 1
    # Away from the hole, which is filled before it reaches the network.
    assert (found[0, 100:, 110:] == expected[100:, 110:]).mean() > 0.95
    assert not set(np.unique(found)) & {14, 15, 16, 18}
    assert sum(result["classes"].values()) == (found != 255).sum()
    assert [item.name for item in (tmp_path / "out").iterdir()] == ["map.tif"]
    for part in ("Understood: unet with mobilenet_v2", "are not needed", "clear cut", "indices from 0"):
        assert any(part in text for text in recorder.logs), part


def test_probabilities_in_the_published_layout(files, tmp_path, recorder):
    run(files, tmp_path, recorder, output_type="class_prob")
    found, nodata = contents(tmp_path / "out" / "map.tif")
    assert found.shape == (19, 150, 170)
    assert nodata is None
    assert not found[[14, 15, 16, 18]].any()
    assert not found[:, :40, :50].any()
    assert np.abs(found[:, 60:].astype(int).sum(0) - 255).max() <= 25


def test_as_published(files, tmp_path, recorder):
    run(files, tmp_path, recorder, published=True)
    _, pixels, network = files
    found, nodata = contents(tmp_path / "out" / "map.tif")
    assert nodata is None
    values = np.zeros((3, 150 + 64, 170 + 64))
    values[:, 32:-32, 32:-32] = pixels
    values = (values - np.array(MEANS)[:, None, None]) / np.array(STDS)[:, None, None]
    expected = np.zeros((150, 170), np.uint8)
    images = []
    cores = published_cores(150, 170, 64, 16)
    for core in cores:
        images.append(values[:, core.row + 16 : core.row + 80, core.column + 16 : core.column + 80])
    for start in range(0, len(cores), 4):
        with torch.no_grad():
            logits = network(torch.from_numpy(np.stack(images[start : start + 4])).float())
        for core, share in zip(cores[start : start + 4], logits.softmax(1).numpy(), strict=True):
            expected[core.row : core.row + 32, core.column : core.column + 32] = share.argmax(0)[16:48, 16:48]
    assert (found[0] == expected).all()
    assert any("no class masked" in text for text in recorder.logs)


def test_an_existing_output_is_kept_unless_told_otherwise(files, tmp_path, recorder):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "map.tif").write_text("mine")
    with pytest.raises(EngineError, match="exists already"):
        run(files, tmp_path, recorder, published=True)
    assert (tmp_path / "out" / "map.tif").read_text() == "mine"
    run(files, tmp_path, recorder, published=True, overwrite=True)
    assert contents(tmp_path / "out" / "map.tif")[0].shape == (1, 150, 170)


def test_weights_that_do_not_fit_leave_nothing_behind(files, tmp_path, recorder):
    for published in (False, True):
        with pytest.raises(EngineError, match="do not fit the network"):
            run(files, tmp_path, recorder, published=published, n_classes=13)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_broken_run_goes_on_from_its_tiles(files, tmp_path, recorder, monkeypatch):
    def stopped(request, reporter, cancelled):
        (tmp_path / "out" / ".map.tif.detect" / "tiles").mkdir()
        raise EngineError("cancelled", "Cancelled.")

    monkeypatch.setattr(classify, "run", stopped)
    with pytest.raises(EngineError, match="Cancelled"):
        run(files, tmp_path, recorder)
    assert (tmp_path / "out" / ".map.tif.detect" / "tiles").is_dir()
    monkeypatch.undo()
    run(files, tmp_path, recorder)
    assert [item.name for item in (tmp_path / "out").iterdir()] == ["map.tif"]


def test_from_the_command_line(files, tmp_path):
    values = detect_values(tmp_path, files[0] / "image.tif", files[0] / "weights.pth", batch_sice=4)
    ended = tiny.engine("flair-detect", "--conf", write_conf(tmp_path, values))
    assert ended.returncode == 2
    assert "line 22: unknown key 'batch_sice'. Did you mean 'batch_size'?" in ended.stderr

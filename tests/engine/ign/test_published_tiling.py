"""The published tiling, held against its description and against an independent copy of it."""

from __future__ import annotations

import importlib.util
import threading

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine

from engine.band import Band
from engine.errors import InputError, RequestError
from engine.ign.bands import Channels
from engine.ign.detection import Detection
from engine.ign.published_tiling import check_defined, detect_as_published, published_cores, published_values
from engine.models.model_file import save_model
from tests.engine import tiny
from tests.engine.ign.flair_files import MEANS, STDS, flair_manifest

RGB = Channels((1, 2, 3), tuple(Band(name, *tiny.STATISTICS[name]) for name in ("red", "green", "blue")), "custom")


def in_map_units(length, side, margin, pixel=0.2):
    """Return where cores start along an axis, in pixels from its origin, by the published arithmetic in map units."""
    size, border = side * pixel, margin * pixel
    starts = []
    for start in np.arange(0 - border, length * pixel + border, size - 2 * border):
        if start + size > length * pixel + border + 1e-9:
            start = length * pixel + border - size
        found = round((start + border) / pixel, 6)
        if found not in starts:
            starts.append(found)
    return starts


@pytest.mark.parametrize(("side", "margin"), [(64, 16), (96, 8), (64, 0)])
@pytest.mark.parametrize("length", [96, 100, 128, 131, 290])
def test_cores_are_those_of_the_published_arithmetic(length, side, margin):
    width = 160
    step = side - 2 * margin
    cores = published_cores(length, width, side, margin)
    expected = [
        (length - step - up, right)
        for right in in_map_units(width, side, margin)
        for up in in_map_units(length, side, margin)
    ]
    assert [(core.row, core.column) for core in cores] == expected
    covered = np.zeros((length, width), dtype=bool)
    for core in cores:
        assert core.row >= 0
        assert core.column >= 0
        covered[core.row : core.row + step, core.column : core.column + step] = True
    assert covered.all()


def wanted(image, output, **changes):
    values = {
        "image": image, "output": output, "weights": image, "architecture": "unet", "encoder": "mobilenet_v2",
        "channels": RGB, "nomenclature": flair_manifest().nomenclature, "output_type": "argmax", "side": 64,
        "margin": 16, "batch_size": 4, "gpu": False, **changes,
    }  # fmt: skip
    return Detection(**values)


def detect(asked, network, recorder):
    detect_as_published(asked, network, "cpu", overwrite=False, reporter=recorder, cancelled=threading.Event())
    with rasterio.open(asked.output) as file:
        return file.read(), file.profile


def test_same_as_the_independent_copy(root, tmp_path, recorder, monkeypatch):
    described = flair_manifest()
    network = tiny.network(described)
    model, image = tmp_path / "m.safetensors", tmp_path / "image.tif"
    save_model(model, network, described)
    # Whole cores: the copy does not move the last one, and begins at the upper left.
    tiny.write(image, tiny.smooth(3, 256, 512))
    spec = importlib.util.spec_from_file_location("published_way", root / "benchmarks" / "published_way.py")
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    monkeypatch.setattr(copy, "WORKERS", 0)
    copy.classify(str(model), str(image), str(tmp_path / "copy.tif"), "cpu")
    ours, profile = detect(wanted(image, tmp_path / "ours.tif", side=512, margin=128), network, recorder)
    assert (ours[0] == tiny.read(tmp_path / "copy.tif")).all()
    assert len(np.unique(ours)) > 1
    assert (profile["dtype"], profile["compress"], profile["blockxsize"]) == ("uint8", "lzw", 512)


class Shares(torch.nn.Module):
    """Logits that depend on one pixel only, and remember what came in."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, images):
        self.seen += list(images)
        return torch.cat([images, images.mean(1, keepdim=True).expand(-1, 16, -1, -1) - 3], 1)


def test_zeros_beyond_the_edge_are_normalised_and_probabilities_are_cut_off(tmp_path, recorder):
    pixels = tiny.smooth(3, 80, 70)
    tiny.write(tmp_path / "image.tif", pixels, nodata=0)
    network = Shares()
    asked = wanted(tmp_path / "image.tif", tmp_path / "out.tif", output_type="class_prob")
    found, profile = detect(asked, network, recorder)
    values = published_values(pixels, RGB)
    logits = network(torch.from_numpy(values)[None])
    expected = (torch.softmax(logits, 1)[0].numpy() * np.float32(255)).astype(np.uint8)
    assert found.shape == (19, 80, 70)
    assert (found == expected).all()
    assert profile["nodata"] is None
    # The first window hangs over the lower left corner.
    first = network.seen[0].numpy()
    black = (0 - np.array(MEANS)) / np.array(STDS)
    assert first[:, -1, 0] == pytest.approx(black, abs=1e-6)
    assert (first[:, :48, 16:] == values[:, 32:, :48]).all()


def test_disabled_classes_may_win(tmp_path, recorder):
    tiny.write(tmp_path / "image.tif", tiny.smooth(3, 64, 64))

    class ClearCut(torch.nn.Module):
        def forward(self, images):
            logits = torch.zeros(len(images), 19, *images.shape[2:])
            logits[:, 14] = 1
            return logits

    found, _ = detect(wanted(tmp_path / "image.tif", tmp_path / "out.tif"), ClearCut(), recorder)
    assert set(np.unique(found)) == {14}


def test_normalisations():
    pixels = np.array([[[0, 51]], [[255, 100]], [[7, 9]]], dtype=np.uint8)
    scaled = published_values(pixels, Channels((1, 2, 3), RGB.bands, "scaling"))
    assert scaled[0, 0].tolist() == [0.0, np.float32(0.2)]
    assert published_values(pixels, Channels((1, 2, 3), RGB.bands, "without"))[1, 0].tolist() == [255.0, 100.0]
    signed = published_values(np.array([[[-32768, 32767]]], np.int16), Channels((1,), RGB.bands[:1], "scaling"))
    assert signed[0, 0].tolist() == [-1.0, 1.0]
    exact = ((pixels[0, 0].astype(np.float64) - 105.08) / 52.17).astype(np.float32)
    assert (published_values(pixels, RGB)[0, 0] == exact).all()


def test_where_it_is_not_defined(tmp_path, recorder):
    image = tmp_path / "image.tif"
    tiny.write(image, tiny.smooth(3, 30, 200))
    with pytest.raises(InputError, match="smaller than a core of 32"):
        check_defined(wanted(image, tmp_path / "o.tif"), recorder)
    tiny.write(image, tiny.smooth(3, 64, 64))
    with pytest.raises(RequestError, match="multiples of 32"):
        check_defined(wanted(image, tmp_path / "o.tif", side=72), recorder)
    check_defined(wanted(image, tmp_path / "o.tif"), recorder)
    assert recorder.warnings == []
    tiny.write(image, tiny.smooth(3, 64, 64), transform=Affine(0.2000001, 0, 0, 0, -0.2, 0))
    check_defined(wanted(image, tmp_path / "o.tif"), recorder)
    assert "5 decimals" in recorder.warnings[0]
    tiny.write(image, tiny.smooth(3, 64, 64), transform=Affine(0.2, 0.01, 0, 0.01, -0.2, 0))
    with pytest.raises(InputError, match="rotated"):
        check_defined(wanted(image, tmp_path / "o.tif"), recorder)

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin
from safetensors.torch import load_file

from engine.errors import InputError
from engine.models.architecture import network_of
from engine.models.model_file import read_manifest
from engine.nomenclature import load_nomenclature
from engine.rasters.windows import PixelWindow
from engine.training.simple import train_simple


@pytest.fixture
def data(tmp_path):
    """Water in the west, meadow in the east, pixels without label below."""
    rng = np.random.default_rng(0)
    labels = np.full((96, 128), 10, dtype=np.uint8)
    labels[:, :64] = 5
    labels[90:] = 0
    image = np.where(labels == 5, 40, 150)[None].repeat(3, axis=0) + rng.integers(0, 20, (3, 96, 128))
    place = {"crs": "EPSG:2154", "transform": from_origin(700000, 6600000, 0.2, 0.2), "height": 96, "width": 128}
    with rasterio.open(tmp_path / "image.tif", "w", driver="GTiff", count=3, dtype="uint8", **place) as file:
        file.write(image.astype(np.uint8))
        file.descriptions = ("red", "green", "infrared")
    with rasterio.open(tmp_path / "labels.tif", "w", driver="GTiff", count=1, dtype="uint8", **place) as file:
        file.write(labels, 1)
    return tmp_path


def train(data, **options):
    values = {"encoder": "mobilenet_v2", "steps": 8, "batch_size": 2, "crop": 64, "threads": 1} | options
    return train_simple(data / "image.tif", data / "labels.tif", data / "model.safetensors", **values)


def test_learns_and_writes_a_model_that_describes_itself(data, recorder):
    manifest = train(data, reporter=recorder)
    assert read_manifest(data / "model.safetensors") == manifest
    assert manifest.band_names == ("red", "green", "infrared")
    assert manifest.elevation is None
    assert manifest.nomenclature == load_nomenclature("flair")
    with rasterio.open(data / "image.tif") as file:
        image = file.read().astype(np.float32)
    assert manifest.bands[0].mean == pytest.approx(image[0].mean(), rel=1e-4)
    assert manifest.bands[2].std == pytest.approx(image[2].std(), rel=1e-4)
    assert manifest.provenance["steps"] == 8
    assert recorder.fractions[-1] == 1.0
    network = network_of(manifest)
    network.load_state_dict(load_file(data / "model.safetensors"), strict=True)
    network.train()  # so few steps leave the running statistics behind
    mean = np.array([band.mean for band in manifest.bands], dtype=np.float32)[:, None, None]
    deviation = np.array([band.std for band in manifest.bands], dtype=np.float32)[:, None, None]
    with torch.no_grad():
        scores = network(torch.from_numpy((image - mean) / deviation)[None])[0].numpy()
    water, meadow = (int(manifest.nomenclature.code_to_index[code]) for code in (5, 10))
    assert np.mean(scores[water, :90, :60] > scores[meadow, :90, :60]) > 0.9
    assert np.mean(scores[meadow, :90, 68:] > scores[water, :90, 68:]) > 0.9


def test_learns_from_the_window_only(data):
    manifest = train(data, steps=1, window=PixelWindow(0, 0, 96, 64))
    assert manifest.bands[0].mean < 60


def test_stops_when_time_is_up(data):
    assert train(data, steps=10_000, seconds=0.01).provenance["steps"] < 5


def test_labels_on_another_grid_are_refused(data):
    with rasterio.open(data / "labels.tif", "r+") as file:
        file.transform = from_origin(700001, 6600000, 0.2, 0.2)
    with pytest.raises(InputError, match="do not lie on the same grid"):
        train(data)


def test_bands_without_names_are_refused(data):
    with rasterio.open(data / "image.tif", "r+") as file:
        file.descriptions = ("red", None, None)
    with pytest.raises(InputError, match="have no names"):
        train(data)


def test_a_part_without_labels_is_refused(data):
    with rasterio.open(data / "labels.tif", "r+") as file:
        file.write(np.full((96, 128), 15, dtype=np.uint8), 1)  # a disabled class
    with pytest.raises(InputError, match="holds no class"):
        train(data)
    assert not (data / "model.safetensors").exists()


def test_a_part_smaller_than_a_crop_is_refused(data):
    with pytest.raises(InputError, match="64 x 96 pixels, less than 96"):
        train(data, crop=96, window=PixelWindow(0, 0, 96, 64))

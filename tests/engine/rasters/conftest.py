from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

ORIGIN = (650000.0, 6860000.0)


class RecordingReporter:
    def __init__(self):
        self.logs = []
        self.warnings = []

    def progress(self, fraction, text="", eta=None):
        pass

    def log(self, text):
        self.logs.append(text)

    def warning(self, text):
        self.warnings.append(text)

    def result(self, values):
        pass

    def error(self, kind, message, hint=""):
        pass


@pytest.fixture
def reporter():
    return RecordingReporter()


@pytest.fixture
def write_raster(tmp_path):
    """Write an array (bands, height, width) as GeoTIFF and return its path; `transform` defaults to 0.2 m north-up."""

    def write(name, array, *, crs="EPSG:2154", transform=None, pixel=0.2, origin=ORIGIN, **options):
        array = np.asarray(array)
        descriptions = options.pop("descriptions", None)
        interpretation = options.pop("interpretation", None)
        mask = options.pop("mask", None)
        if transform is None:
            transform = Affine(pixel, 0, origin[0], 0, -pixel, origin[1])
        path = tmp_path / name
        profile = {"driver": "GTiff", "photometric": "MINISBLACK", **options}
        with rasterio.open(
            path,
            "w",
            count=array.shape[0],
            height=array.shape[1],
            width=array.shape[2],
            dtype=array.dtype,
            crs=crs,
            transform=transform,
            **profile,
        ) as dataset:
            dataset.write(array)
            for number, text in enumerate(descriptions or (), 1):
                dataset.set_band_description(number, text)
            if interpretation:
                dataset.colorinterp = [rasterio.enums.ColorInterp[kind] for kind in interpretation]
            if mask is not None:
                dataset.write_mask(mask)
        return str(path)

    return write


@pytest.fixture
def noise():
    """Return seeded random bytes of a shape."""

    def make(shape, dtype="uint8", low=1, high=255, seed=0):
        return np.random.default_rng(seed).integers(low, high, size=shape).astype(dtype)

    return make


@pytest.fixture(scope="session")
def real_data():
    """Folder of the real imagery; skips where it is absent."""
    beside = Path(__file__).resolve().parents[3].parent / "shared" / "data"
    folder = Path(os.environ.get("FLAIR_TEST_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"the real imagery is not at {folder}; set FLAIR_TEST_DATA")
    return folder

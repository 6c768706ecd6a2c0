"""Headers of many files: the same as one by one, kept between runs, read anew when anything about a file changes."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from engine.errors import Cancelled, InputError
from engine.rasters import headers
from engine.rasters.headers import FEW, describe_all
from engine.rasters.raster_file import describe
from engine.rasters.source import RasterSource

COUNT = FEW + 4


@pytest.fixture
def files(tmp_path, write_raster, noise, monkeypatch):
    monkeypatch.setenv("FLAIR_CACHE_DIR", str(tmp_path / "cache"))
    return [
        write_raster(f"t{number:02d}.tif", noise((3, 8, 8), seed=number), origin=(650000 + 1.6 * number, 6860000.0))
        for number in range(COUNT)
    ]


@pytest.fixture
def opened(monkeypatch):
    """Paths of files that are opened to be described."""
    paths = []
    original = headers.open_dataset
    monkeypatch.setattr(headers, "open_dataset", lambda path: paths.append(path) or original(path))
    return paths


def alike(found, path):
    alone = describe(path)
    for name in ("path", "driver", "width", "height", "dtypes", "crs", "transform", "block_shape", "descriptions",
                 "interpretations", "nodata", "mask_band", "ground_control_points"):  # fmt: skip
        assert getattr(found, name) == getattr(alone, name), name
    assert {Path(part).resolve() for part in found.parts} == {Path(part).resolve() for part in alone.parts}


def test_headers_are_read_once_and_stay_the_same(files, reporter, opened):
    for _ in range(2):
        found = describe_all(files, reporter)
        for file, path in zip(found, files, strict=True):
            alike(file, path)
        assert all(file.complete for file in found)
    assert sorted(opened) == sorted(files)


@pytest.mark.parametrize("change", ["pixels", "mask", "sidecar", "world file", "time"])
def test_a_file_that_changed_is_read_anew(files, reporter, opened, change, noise):
    describe_all(files, reporter)
    opened.clear()
    path = Path(files[3])
    if change == "pixels":
        with rasterio.open(path, "r+") as dataset:
            dataset.nodata = 7
        os.utime(path, ns=(1, 1))
    elif change == "mask":
        with rasterio.open(path, "r+") as dataset:
            dataset.write_mask(np.zeros((8, 8), dtype=bool))
    elif change == "sidecar":
        path.with_name(path.name + ".aux.xml").write_text("<PAMDataset><Metadata/></PAMDataset>")
    elif change == "world file":
        path.with_suffix(".tfw").write_text("0.2\n0\n0\n-0.2\n0\n0\n")
    else:
        os.utime(path, ns=(5, 5))
    found = describe_all(files, reporter)
    assert opened == [files[3]]
    alike(found[3], files[3])


def test_a_sparse_file_among_many_is_known_to_be_one(files, tmp_path, reporter):
    path = str(tmp_path / "sparse.tif")
    profile = {"driver": "GTiff", "width": 64, "height": 64, "count": 3, "dtype": "uint8", "crs": "EPSG:2154"}
    profile |= {"tiled": True, "blockxsize": 16, "blockysize": 16, "sparse_ok": True}
    with rasterio.open(path, "w", transform=Affine(0.2, 0, 650000, 0, -0.2, 6861000), **profile) as dataset:
        dataset.write(np.ones((3, 16, 16), dtype=np.uint8), window=((0, 16), (0, 16)))
    for _ in range(2):
        assert not describe_all([*files, path], reporter)[-1].complete


def test_a_resumed_run_sees_the_same_input(files, reporter):
    def fingerprint():
        source = RasterSource.open(
            files, ("red", "green", "blue"), bands={"red": 1, "green": 2, "blue": 3}, reporter=reporter
        )
        return source.fingerprint()

    first = fingerprint()
    assert fingerprint() == first
    os.utime(files[-1], ns=(5, 5))
    assert fingerprint() != first


def test_many_missing_and_damaged_files_are_named(files, tmp_path, reporter):
    with pytest.raises(InputError, match=r"no file '.*gone\.tif'"):
        describe_all([*files, str(tmp_path / "gone.tif")], reporter)
    Path(files[5]).write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"t05\.tif"):
        describe_all(files, reporter)


def test_a_cache_that_cannot_be_used_is_done_without(files, tmp_path, reporter):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "headers.sqlite").write_bytes(b"not a database" * 100)
    assert len(describe_all(files, reporter)) == COUNT


def test_reading_headers_can_be_cancelled(files, reporter):
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        describe_all(files, reporter, cancelled)

from __future__ import annotations

import errno

import pytest
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioIOError

from engine.rasters import disk
from engine.rasters.disk import free_space, output_error


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EFBIG, "File too large"),
        RasterioIOError("TIFFAppendToStrip:Write error: No space left on device"),
    ],
)
def test_a_full_disk(tmp_path, error):
    result = output_error(tmp_path / "map.tif", error)
    assert result.kind == "output"
    assert "disk is full" in result.message
    assert f"'{tmp_path}'" in result.message
    assert free_space(tmp_path)[:2] in result.message


def test_what_gdal_cannot_name_still_gives_the_free_space(tmp_path):
    error = CPLE_BaseError(3, 1, "TIFFRewriteDirectory: error")  # its errno, 1, is GDAL's and means nothing here
    result = output_error(tmp_path / "map.tif", error)
    assert "could not be written whole" in result.message
    assert "free" in result.message


@pytest.mark.parametrize(
    ("free", "text"), [(12, "12 bytes"), (2500, "2.5 kB"), (3_210_000_000, "3.2 GB"), (4e12, "4.0 TB")]
)
def test_free_space(tmp_path, monkeypatch, free, text):
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: type("Usage", (), {"free": free})())
    assert free_space(tmp_path) == text


def test_free_space_of_a_folder_that_is_gone_is_that_of_the_one_above(tmp_path):
    assert free_space(tmp_path / "result" / "staged") != "unknown"

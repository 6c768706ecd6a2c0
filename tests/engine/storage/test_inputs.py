"""Imagery and polygons that lie in storage: the same pixels, and no more bytes than are needed."""

from __future__ import annotations

import json
import socket
import threading
import time

import numpy as np
import pytest
import rasterio
from affine import Affine

from engine.commands import area_statistics, classify
from engine.errors import InputError
from engine.preparation.inputs import find_files
from engine.rasters.input_files import listed_files
from engine.rasters.polygons import choose_layer
from engine.rasters.source import RasterSource
from engine.rasters.windows import PixelWindow
from engine.remote_path import gdal_path
from engine.requests import AreaStatisticsRequest, ClassifyRequest
from engine.storage.client import ATTEMPTS
from engine.storage.inputs import files_in, forget
from tests.engine import tiny
from tests.engine.storage_server import ACCESS, SECRET, TOKEN

BANDS = ("red", "green", "blue")


@pytest.fixture
def noise(tmp_path):
    """An image of 2048 x 2048 pixels in blocks of 256, about 12 MB."""
    pixels = np.random.default_rng(0).integers(1, 255, (3, 2048, 2048), dtype=np.uint8)
    path = tmp_path / "noise.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=2048, height=2048, count=3, dtype="uint8", tiled=True, blockxsize=256,
        blockysize=256, interleave="pixel", crs="EPSG:2154", transform=Affine(0.2, 0, 650000, 0, -0.2, 6860000),
    ) as file:  # fmt: skip
        file.write(pixels)
    return path, pixels


def opened(address, recorder):
    return RasterSource.open([gdal_path(address)], BANDS, reporter=recorder)


def test_a_window_is_read_by_ranges(storage, noise, recorder):
    path, pixels = noise
    source = opened(storage.put("folder/noise.tif", path), recorder)
    storage.line.rule()
    with source.reader() as reader:
        values, valid = reader.read(PixelWindow(500, 500, 300, 300))
    np.testing.assert_array_equal(values, pixels[:, 500:800, 500:800])
    assert valid.all()
    fetched = [item for item in storage.line.requests if item.method == "GET" and item.path.endswith("noise.tif")]
    assert all(item.range for item in fetched)
    assert all(item.status == 206 for item in fetched)
    # Nine blocks of 196,608 bytes hold the window; header and list of blocks come to little.
    assert sum(item.sent for item in fetched) < 1.2 * 9 * 196_608
    assert len(fetched) <= 8


def test_blocks_come_through_although_the_storage_refuses_every_third_request(storage, noise, recorder, monkeypatch):
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.05")
    path, pixels = noise
    address = storage.put("noise.tif", path)
    storage.line.rule(every=3, status=503)
    source = opened(address, recorder)
    with source.reader() as reader:
        for row in range(0, 2048, 512):
            values, _ = reader.read(PixelWindow(row, 256, 512, 512))
            np.testing.assert_array_equal(values, pixels[:, row : row + 512, 256:768])
    assert sum(item.status == 503 for item in storage.line.requests) >= 2


def test_blocks_come_through_although_the_line_breaks(storage, noise, recorder, monkeypatch):
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.05")
    path, pixels = noise
    address = storage.put("noise.tif", path)
    source = opened(address, recorder)
    storage.line.rule(every=4, cut=True)
    with source.reader() as reader:
        for row in range(0, 2048, 512):
            values, _ = reader.read(PixelWindow(row, 256, 512, 512))
            np.testing.assert_array_equal(values, pixels[:, row : row + 512, 256:768])
    assert any(item.status == 0 for item in storage.line.requests)


def test_the_map_is_that_of_the_file_on_disk(storage, tiny_model, tiny_graph, tmp_path, recorder):
    image = tiny.write(tmp_path / "i.tif", tiny.smooth(3, 300, 260))
    address = storage.put("i.tif", image)
    for name, place in (("local", image), ("remote", address), ("gdal", f"/vsis3/{storage.name}/i.tif")):
        request = ClassifyRequest.model_validate(
            {"model": str(tiny_model[0].path), "input": [place], "output": str(tmp_path / f"{name}.tif")}
        )
        classify.run(request, recorder, threading.Event())
    local = tiny.read(tmp_path / "local.tif")
    np.testing.assert_array_equal(tiny.read(tmp_path / "remote.tif"), local)
    np.testing.assert_array_equal(tiny.read(tmp_path / "gdal.tif"), local)
    said = json.dumps([recorder.logs, recorder.warnings])
    with rasterio.open(tmp_path / "remote.tif") as file:
        said += json.dumps(file.tags())
    for secret in (ACCESS, SECRET, TOKEN):
        assert secret not in said


def test_several_files_make_a_mosaic(storage, noise, tmp_path, recorder):
    path, pixels = noise
    addresses = []
    for column in (0, 1024):
        with rasterio.open(path) as whole, rasterio.open(
            tmp_path / f"{column}.tif", "w", driver="GTiff", width=1024, height=2048, count=3, dtype="uint8",
            crs="EPSG:2154", transform=whole.transform @ Affine.translation(column, 0),
        ) as part:  # fmt: skip
            part.write(pixels[:, :, column : column + 1024])
        addresses.append(gdal_path(storage.put(f"tiles/{column}.tif", tmp_path / f"{column}.tif")))
    assert files_in(gdal_path(storage.address("tiles"))) == sorted(addresses)
    assert listed_files([gdal_path(storage.address("tiles/"))]) == sorted(addresses)
    assert find_files([gdal_path(storage.address("tiles/"))], "rgb", None, recorder, strict=True) == sorted(addresses)
    source = RasterSource.open(addresses, BANDS, reporter=recorder)
    with source.reader() as reader:
        values, _ = reader.read(PixelWindow(100, 1000, 64, 64))
    np.testing.assert_array_equal(values, pixels[:, 100:164, 1000:1064])


def test_another_version_of_a_file_is_another_input(storage, noise, recorder):
    path, _ = noise
    address = storage.put("noise.tif", path)
    first = opened(address, recorder).fingerprint()
    forget()
    assert opened(address, recorder).fingerprint() == first
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    storage.client.put_object(Bucket=storage.name, Key="noise.tif", Body=bytes(content))
    forget()
    assert opened(address, recorder).fingerprint() != first
    assert SECRET not in json.dumps(first)


def test_classes_and_polygons_are_read_with_their_names(storage, tmp_path, recorder):
    codes = np.full((1, 40, 50), 7, dtype=np.uint8)
    address = storage.put("classes.tif", tiny.write(tmp_path / "classes.tif", codes, nodata=0))
    storage.put_text(
        "classes.tif.aux.xml",
        '<PAMDataset><PAMRasterBand band="1"><CategoryNames>'
        + "".join(f"<Category>{name}</Category>" for name in ("", "", "", "", "", "", "", "heath"))
        + "</CategoryNames></PAMRasterBand></PAMDataset>",
    )
    square = {"type": "Polygon", "coordinates": [[[650001, 6859995], [650005, 6859995], [650005, 6859999],
                                                  [650001, 6859999], [650001, 6859995]]]}  # fmt: skip
    zones = {
        "type": "FeatureCollection",
        "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::2154"}},
        "features": [{"type": "Feature", "properties": {"name": "field"}, "geometry": square}],
    }
    area = storage.put_text("zones.geojson", json.dumps(zones))
    request = AreaStatisticsRequest.model_validate({"input": address, "output": str(tmp_path / "areas"), "area": area})
    result = area_statistics.run(request, recorder, threading.Event())
    assert [item["name"] for item in result["classes"]] == ["heath"]
    assert result["areas"][0]["name"] == "field"
    assert result["areas"][0]["hectares"] == pytest.approx(0.0016, rel=0.01)


def fails(address, recorder):
    """Return what is said of an address, and check that it is said soon."""
    forget()
    began = time.monotonic()
    with pytest.raises(InputError) as caught:
        opened(address, recorder)
    assert time.monotonic() - began < 8
    for secret in (ACCESS, SECRET, TOKEN):
        assert secret not in str(caught.value)
    return str(caught.value)


def test_what_is_not_there_is_told(storage, recorder):
    storage.put_text("empty.tif", "")
    storage.put_text("text.tif", "no raster")
    storage.put_text("tiles/a.tif", "x")
    assert f"There is no file '{storage.address('no.tif')}'." in fails(storage.address("no.tif"), recorder)
    assert "There is no bucket 'no-such-bucket'" in fails("s3://no-such-bucket/i.tif", recorder)
    assert "is a folder" in fails(storage.address("tiles"), recorder)
    assert "There are no files in 's3" in fails(storage.address("none/"), recorder)
    assert "is empty" in fails(storage.address("empty.tif"), recorder)
    assert "is not a raster" in fails(storage.address("text.tif"), recorder)
    with pytest.raises(InputError, match="There is no file 's3"):
        choose_layer(gdal_path(storage.address("no.gpkg")), None, "the area")


def test_without_credentials_it_says_which(storage, recorder, monkeypatch):
    address = storage.put_text("i.tif", "x")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    said = fails(address, recorder)
    assert f"There are no credentials for '{address}'" in said
    assert "AWS_PROFILE" in said


def test_keys_of_a_profile_serve(storage, noise, recorder, monkeypatch, tmp_path):
    address = storage.put("i.tif", noise[0])
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    (tmp_path / "keys").write_text(f"[survey]\naws_access_key_id = {ACCESS}\naws_secret_access_key = {SECRET}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "keys"))
    monkeypatch.setenv("AWS_PROFILE", "survey")
    forget()
    source = opened(address, recorder)
    with source.reader() as reader:
        assert reader.read(PixelWindow(0, 0, 32, 32))[1].all()


@pytest.mark.parametrize("port", ["1", "closed"])
def test_a_wrong_endpoint_is_told_in_seconds(storage, recorder, monkeypatch, port):
    address = storage.put_text("i.tif", "x")
    url = "http://127.0.0.1:1" if port == "1" else "http://no-such-host.invalid:9000"
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    assert url.removeprefix("http://") in fails(address, recorder)


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        ("AccessDenied", 403, "is denied"),
        ("RequestTimeTooSkewed", 403, "clock of this computer"),
        ("InvalidAccessKeyId", 403, "does not know the access key"),
        ("SignatureDoesNotMatch", 403, "the secret key is wrong"),
        ("ExpiredToken", 400, "session token is invalid or has expired"),
    ],
)
def test_refusals_have_their_cause(storage, recorder, code, status, words):
    address = storage.put_text("i.tif", "x")
    storage.line.rule(status=status, body=f"<Error><Code>{code}</Code><Key>{SECRET}</Key></Error>")
    assert words in fails(address, recorder)


def test_a_server_that_is_no_storage_is_told(storage, recorder):
    address = storage.put_text("i.tif", "x")
    storage.line.rule(status=404, body="<html>Not found</html>")
    assert "does not answer as S3-compatible storage does" in fails(address, recorder)


@pytest.mark.parametrize("url", ["http://[bad", "https://me:secret@host:port", "host:99999"])
def test_an_address_that_is_none_is_told_and_concerns_no_file_on_disk(storage, noise, recorder, monkeypatch, url):
    address = storage.put_text("i.tif", "x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    said = fails(address, recorder)
    assert "Correct AWS_ENDPOINT_URL" in said
    assert "secret" not in said
    assert RasterSource.open([str(noise[0])], BANDS, reporter=recorder).width == 2048


@pytest.mark.parametrize(
    ("status", "words"),
    [("407 Proxy Authentication Required", "asks for a name and a password"), ("403 Forbidden", "does not let")],
)
def test_a_proxy_that_refuses_is_named(storage, recorder, monkeypatch, status, words):
    def serve(listener):
        with listener.accept()[0] as line:
            line.recv(65536)
            line.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())

    address = storage.put_text("i.tif", "x")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", "https://storage.invalid")
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{listener.getsockname()[1]}")
        assert words in fails(address, recorder)
        thread.join()


def test_a_server_that_is_ill_is_asked_so_often_and_no_more(storage, recorder, monkeypatch):
    monkeypatch.setattr("engine.storage.client._LONGEST_PAUSE", 0.01)
    address = storage.put_text("i.tif", "x")
    storage.line.rule(status=503)
    assert "cannot serve" in fails(address, recorder)
    assert [item.method for item in storage.line.requests] == ["HEAD"] * ATTEMPTS

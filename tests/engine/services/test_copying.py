"""A service as a raster: exact, whole, asked once."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio

from engine.acquisition import server as line
from engine.cancellation import Cancellation
from engine.errors import Cancelled, InputError
from engine.services import copy_folder
from tests.engine.services.service_server import (
    EXCEPTION,
    NORTH,
    STEP,
    WEST,
    colours,
    encode,
    heights,
    writing,
)

COLUMNS, ROWS = np.arange(10, 160), np.arange(20, 120)


def test_pixels_and_place_are_exact(service, copy):
    path, made = copy()
    with rasterio.open(path) as dataset:
        assert dataset.crs.to_epsg() == 2154
        assert dataset.transform.to_gdal() == (WEST + 2, STEP, 0, NORTH - 4, 0, -STEP)
        assert [kind.name for kind in dataset.colorinterp] == ["red", "green", "blue", "alpha"]
        pixels = dataset.read()
        assert dataset.tags()["FLAIR_SERVICE"].endswith("layers=ortho")
    assert np.array_equal(pixels[:3], colours(COLUMNS, ROWS))
    assert (pixels[3] == 255).all()
    assert len(service.pieces) == 6
    assert max(int(item["WIDTH"]) for item in service.pieces) == 64
    assert {item["FORMAT"] for item in service.pieces} == {"image/geotiff"}
    assert made.asked == 7


def test_pieces_are_as_large_as_a_service_without_a_limit_draws_them(service, copy):
    service.limit = 0
    copy()
    assert [(item["WIDTH"], item["HEIGHT"]) for item in service.pieces] == [("150", "100")]


def test_no_more_than_three_at_once(service, copy):
    service.seconds = 0.05
    copy()
    assert 2 <= service.most_at_once <= 3


@pytest.mark.parametrize("media", ["image/x-bil;bits=32", "image/geotiff"])
def test_heights_are_numbers(service, copy, media):
    if media != "image/geotiff":
        path, _ = copy(service.address("dsm", format=media), holds="heights")
    else:
        path, _ = copy(service.address("dsm", kind="wcs"), holds="heights")
    with rasterio.open(path) as dataset:
        assert dataset.dtypes == ("float32",)
        assert np.array_equal(dataset.read(1), heights(COLUMNS, ROWS))


def test_absurd_heights_are_no_data(service, copy):
    values = heights(np.arange(64), np.arange(64))
    values[:10] = -99999
    service.answers = [(200, {"Content-Type": "image/x-bil"}, values.tobytes())]
    path, _ = copy(service.address("dsm"), holds="heights", size=(64, 64))
    with rasterio.open(path) as dataset:
        read = dataset.read(1)
        assert np.isnan(read[:10]).all()
        assert np.isfinite(read[10:]).all()


def test_a_second_run_asks_nothing(service, copy, telling):
    first, _ = copy()
    asked, stamp = len(service.asked), os.stat(first).st_mtime_ns
    again, made = copy()
    assert again == first
    assert len(service.asked) == asked
    assert (made.asked, made.received) == (0, 0)
    # The same time, since by it an interrupted run knows its input again.
    assert os.stat(again).st_mtime_ns == stamp
    assert any("from the cache" in text for text in telling.logs)


def test_the_password_makes_no_other_copy_and_is_written_nowhere(service, copy, telling, tmp_path):
    plain = service.address()
    first, _ = copy(plain.replace("http://", "http://ann:secret@") + "&apikey=hidden")
    assert service.pieces[0]["AUTHORIZATION"].startswith("Basic ")
    assert service.pieces[0]["APIKEY"] == "hidden"
    assert copy(plain)[0] == first
    written = b"".join(item.read_bytes() for item in (tmp_path / "cache").rglob("*") if item.is_file())
    told = " ".join(telling.logs + telling.warnings).encode()
    for secret in (b"secret", b"hidden", b"ann:"):
        assert secret not in written + told


def test_an_outdated_copy_is_asked_for_again(service, copy):
    path, _ = copy()
    old = time.time() - 31 * 86400
    os.utime(Path(path).with_name("plan.json"), (old, old))
    copy()
    assert len(service.pieces) == 12


def test_the_cache_is_bounded(service, copy, monkeypatch):
    path, _ = copy()
    monkeypatch.setattr(copy_folder, "LARGEST_BYTES", 10)
    copy(service.address(styles="other"))
    assert Path(path).is_file(), "used today"
    old = time.time() - 2 * 86400
    os.utime(Path(path).with_name("used"), (old, old))
    copy(service.address(styles="third"))
    assert not Path(path).exists()


def test_an_interrupted_copy_goes_on(service, copy, telling):
    stop = Cancellation()
    service.seconds = 0.1
    telling.progress = lambda share, text="", eta=None: stop.set() if share > 0.3 else None
    with pytest.raises(Cancelled):
        copy(cancelled=stop)
    before = len(service.pieces)
    assert 2 <= before < 6
    assert any("are kept" in text for text in telling.logs)
    service.seconds = 0
    telling.progress = lambda *_: None
    path, made = copy()
    assert 1 <= made.asked <= 4
    assert len(service.pieces) <= 6 + 3, "only what was on its way is asked for twice"
    assert any("from an earlier run" in text for text in telling.logs)
    with rasterio.open(path) as dataset:
        assert np.array_equal(dataset.read()[:3], colours(COLUMNS, ROWS))


@pytest.mark.parametrize("status", [404, 410, 204])
def test_a_missing_piece_is_no_data(service, copy, telling, status):
    service.answers = [(status, {}, b"" if status == 204 else b"not here")]
    path, _ = copy()
    with rasterio.open(path) as dataset:
        assert (dataset.read(4) == 0).sum() == 64 * 64
        assert (dataset.read([1, 2, 3])[:, dataset.read(4) == 0] == 0).all()
    assert any("1 of 6 pieces" in text and "no image on the server" in text for text in telling.warnings)


@pytest.mark.parametrize("ground", ["white", "black", "transparent"])
def test_a_blank_piece_is_no_data(service, copy, telling, ground):
    pixels = np.full((4, 64, 64), 255 if ground == "white" else 0, dtype=np.uint8)
    pixels[3] = 0 if ground == "transparent" else 255
    service.answers = [(200, {}, encode(pixels, "PNG"))]
    path, _ = copy()
    with rasterio.open(path) as dataset:
        assert (dataset.read(4) == 0).sum() == 64 * 64
    assert any("blank" in text for text in telling.warnings)


@pytest.mark.parametrize("transparent", [False, True])
def test_a_picture_that_says_error_is_no_imagery(service, copy, telling, transparent):
    service.answers = [(200, {}, writing(transparent=transparent))]
    path, _ = copy()
    with rasterio.open(path) as dataset:
        assert (dataset.read(4) == 0).sum() == 64 * 64
    assert any("writing on it" in text for text in telling.warnings)
    service.always = (200, {}, writing())
    with pytest.raises(InputError, match="pictures that are no imagery"):
        copy(service.address(styles="other"), size=(64, 64))


def test_transparent_pixels_are_no_data(service, copy):
    pixels = np.concatenate([colours(np.arange(64), np.arange(64)), np.full((1, 64, 64), 255, np.uint8)])
    pixels[3, :5] = 0
    service.answers = [(200, {}, encode(pixels, "PNG"))]
    path, _ = copy(size=(64, 64))
    with rasterio.open(path) as dataset:
        assert (dataset.read(4)[:5] == 0).all()
        assert (dataset.read(4)[5:] == 255).all()


def test_what_passes_is_tried_again(service, copy):
    service.answers = [
        "drop",
        (503, {}, b""),
        (429, {"Retry-After": "0"}, b"slowly"),
        (500, {"Content-Type": "text/xml"}, EXCEPTION),
    ]
    path, _ = copy()
    with rasterio.open(path) as dataset:
        assert np.array_equal(dataset.read()[:3], colours(COLUMNS, ROWS))
    assert len(service.pieces) == 10


def test_the_pause_that_a_server_prescribes_is_kept(service, copy):
    service.answers = [(429, {"Retry-After": "1"}, b"")]
    began = time.monotonic()
    copy(size=(10, 10))
    assert time.monotonic() - began >= 1.0


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((200, {"Content-Type": "image/png"}, EXCEPTION), 'answers: "The disk of the tiles is on fire"'),
        ((400, {"Content-Type": "text/xml"}, EXCEPTION), "The disk of the tiles is on fire"),
        ((404, {"Content-Type": "text/xml"}, EXCEPTION), "The disk of the tiles is on fire"),
        ((500, {"Content-Type": "text/xml"}, EXCEPTION), "The disk of the tiles is on fire"),
        ((200, {"Content-Type": "text/html"}, b"<!DOCTYPE html><html>Sign in</html>"), "a web page in place"),
        ((200, {"Content-Type": "text/xml"}, b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'), "a web page in place"),
        ((403, {}, b"no"), r"refuses to answer \(403\)"),
        ((200, {}, encode(colours(np.arange(9), np.arange(9)), "PNG")), "9 x 9 pixels, where 64 x 64"),
        ((200, {}, encode(colours(np.arange(64), np.arange(64)), "PNG")[:100]), "a damaged PNG"),
        ((200, {"Content-Type": "text/plain"}, b"busy"), r"4 bytes \(text/plain\) that are no PNG"),
        ((200, {}, b"<VRTDataset rasterXSize='64' rasterYSize='64'/>"), "a web page in place"),
        ((407, {}, b""), "The proxy wants a name and a password"),
        ((503, {}, b""), "answers 503"),
        ("drop", "cannot be reached: the server ended the connection too early|the connection broke off"),
    ],
)
def test_an_error_in_place_of_a_piece(service, copy, answer, message, monkeypatch):
    monkeypatch.setattr(line, "_QUESTION_ATTEMPTS", 2)
    service.always = answer
    with pytest.raises(InputError, match=message) as caught:
        copy(size=(64, 64))
    assert service.host.partition(":")[0] in str(caught.value) or "proxy" in str(caught.value)


def test_heights_drawn_as_a_picture_are_refused(service, copy):
    with pytest.raises(InputError, match="a picture of the heights"):
        copy(service.address("dsm", format="image/png"), holds="heights")
    service.formats = ("image/png", "image/jpeg")
    with pytest.raises(InputError, match="draws pictures alone"):
        copy(service.address("dsm", styles="other"), holds="heights")


def test_a_wrong_layer_crs_or_format(service, copy):
    with pytest.raises(InputError, match="has no layer 'orto'") as caught:
        copy(service.address("orto"))
    assert "ortho" in caught.value.hint
    with pytest.raises(InputError, match="does not draw 'ortho' in EPSG:3857"):
        copy(crs=3857)
    with pytest.raises(InputError, match="does not offer image/webp"):
        copy(service.address(format="image/webp"))


def test_nothing_inside_the_extent(service, copy):
    service.always = (404, {}, b"")
    with pytest.raises(InputError, match="shows nothing inside the extent"):
        copy()


def test_no_network(service, copy, monkeypatch):
    monkeypatch.setattr(line, "_QUESTION_ATTEMPTS", 2)
    with pytest.raises(InputError, match=r"127\.0\.0\.1 cannot be reached"):
        copy("wms:http://127.0.0.1:9/ows?layers=a")


def test_a_proxy_that_wants_a_password(service, copy, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://{service.host}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    service._capabilities = lambda query: b"unused"
    monkeypatch.setattr(
        service, "_send", lambda handler, *_: (handler.send_response(407), handler.send_header("Content-Length", "0"),
                                               handler.end_headers())
    )  # fmt: skip
    with pytest.raises(InputError, match="The proxy wants a name and a password"):
        copy("wms:http://maps.example/ows?layers=a")

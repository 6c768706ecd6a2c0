"""What names a service, and what is never shown of it."""

from __future__ import annotations

import pytest
from rasterio.crs import CRS

from engine.errors import InputError, RequestError
from engine.services.address import is_service, named, read_address
from engine.services.frame import Frame, Part, frame_of, round_distance
from engine.services.questions import piece

WHOLE = (
    "wms:https://ann:secret@maps.example:8443/ows?map=/a.qgs&LAYERS=ortho,roads&apikey=hidden&SRS=EPSG:3035&request=x"
)


def test_files_are_no_services():
    for text in ("image.tif", "C:\\image.tif", "/vsizip/a.zip/b.tif", "GPKG:a.gpkg:b", "s3://bucket/image.tif"):
        assert not is_service(text)
    for text in ("wms:https://a/b?layers=c", "WCS:http://a?coverage=b", "ign:ortho", "ign:nonsense"):
        assert is_service(text)


def test_an_address_keeps_what_it_passes_on_and_hides_secrets():
    address = read_address(WHOLE)
    assert (address.layers, address.crs, address.host) == ("ortho,roads", "EPSG:3035", "maps.example")
    assert "ann:secret@" in address.url
    assert "apikey=hidden" in address.url
    assert "map=/a.qgs" in address.url
    assert "request" not in address.url
    assert address.shown == "wms:https://maps.example:8443/ows?map=/a.qgs&layers=ortho,roads"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wms:https://a.example/b", "names no layers"),
        ("wcs:https://a.example/b?layers=", "names no coverage"),
        ("wms:file:///etc/passwd?layers=a", "http or https"),
        ("wms:https://a.example/?layers=b&version=1.0.0", "Version 1.0.0 of WMS"),
        ("wms:https://a.example/?layers=b&resolution=fine", "is no number"),
        ("wms:https://a.example/?layers=b&resolution=-1", "above 0"),
        ("ign:ortophoto", "There is no service"),
        ("ign:dsm.2020", "names no year"),
        ("ign:ortho.20", "names no year"),
    ],
)
def test_what_is_wrong_with_an_address(text, message):
    with pytest.raises(RequestError, match=message):
        read_address(text)


def test_services_known_by_name():
    assert {"ign:ortho", "ign:irc", "ign:dsm", "ign:dtm"} <= set(named())
    for name in named():
        address = read_address(name)
        assert address.url.startswith("https://")
        assert address.native
        assert address.default_crs == "EPSG:2154"
    assert read_address("ign:ortho.2021").layers == "ORTHOIMAGERY.ORTHOPHOTOS.2021"
    assert read_address("ign:dsm").heights
    assert not read_address("ign:irc").heights


def asked(address, frame, media="image/png"):
    url = piece(read_address(address), frame, next(frame.pieces(64)), media)
    return dict(item.split("=", 1) for item in url.partition("?")[2].split("&"))


def test_order_of_axes():
    degrees = Frame(CRS.from_epsg(4326), 2.0, 48.0, 0.5, 0.25, 4, 4)
    new = asked("wms:http://a.example/?layers=b", degrees)
    assert (new["BBOX"], new["CRS"]) == ("47.0,2.0,48.0,4.0", "EPSG:4326")
    old = asked("wms:http://a.example/?layers=b&version=1.1.1", degrees)
    assert (old["BBOX"], old["SRS"]) == ("2.0,47.0,4.0,48.0", "EPSG:4326")
    assert asked("wcs:http://a.example/?coverage=b", degrees)["BBOX"] == "2.0,47.0,4.0,48.0"
    east_first = Frame(CRS.from_user_input("OGC:CRS84"), 2.0, 48.0, 0.5, 0.25, 4, 4)
    other = asked("wms:http://a.example/?layers=b", east_first)
    assert (other["BBOX"], other["CRS"]) == ("2.0,47.0,4.0,48.0", "CRS:84")
    lambert = Frame(CRS.from_epsg(2154), 700000.0, 6600000.0, 0.2, 0.2, 10, 5)
    assert asked("wms:http://a.example/?layers=b", lambert)["BBOX"] == "700000.0,6599999.0,700002.0,6600000.0"
    northing_first = Frame(CRS.from_epsg(3035), 4000000.0, 3000000.0, 1.0, 1.0, 2, 2)
    assert asked("wms:http://a.example/?layers=b", northing_first)["BBOX"].startswith("2999998.0,4000000.0,")


def test_the_grid_begins_at_the_corner_of_the_part():
    part = Part.of("700000.1,700010.1,6599990,6600000 [EPSG:2154]", None, None)
    frame = frame_of(read_address("wms:http://a.example/?layers=b"), part, 0.2)
    assert (frame.left, frame.top, frame.width, frame.height) == (700000.1, 6600000.0, 50, 50)
    assert (frame.step_x, frame.step_y) == (0.2, 0.2)
    wide = frame.widened(10)
    assert (wide.width, wide.left, wide.top) == (70, pytest.approx(699998.1), pytest.approx(6600002.0))


def test_the_crs_that_is_asked_for():
    degrees = Part.of("2.0,2.001,48.0,48.001 [EPSG:4326]", None, None)
    assert frame_of(read_address("ign:ortho"), degrees, 0.2).crs_name == "EPSG:2154"
    assert frame_of(read_address("wms:http://a.example/?layers=b"), degrees, 0.2).crs_name == "EPSG:4326"
    overseas = Part.of("640000,640100,1780000,1780100 [EPSG:32620]", None, None)
    assert frame_of(read_address("ign:ortho"), overseas, 0.2).crs_name == "EPSG:32620"
    without = Part.of("700000,700010,6599990,6600000", None, None)
    assert frame_of(read_address("ign:ortho"), without, 0.2).crs_name == "EPSG:2154"
    with pytest.raises(RequestError, match="in which CRS"):
        frame_of(read_address("wms:http://a.example/?layers=b"), without, 0.2)
    with pytest.raises(RequestError, match="no known CRS"):
        frame_of(read_address("wms:http://a.example/?layers=b&crs=nonsense"), without, 0.2)
    with pytest.raises(InputError, match="too large"):
        frame_of(read_address("ign:ortho"), Part.of("0,1000000,6000000,7000000", None, None), 0.2)


def test_distances_are_asked_for_as_people_name_them():
    assert [round_distance(value) for value in (0.20018, 0.25, 0.1524, 1.6, 0.203)] == [0.2, 0.25, 0.15, 1.6, 0.2]
    assert round_distance(0.1047) == 0.1047

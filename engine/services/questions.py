"""The addresses under which a service answers."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit, urlunsplit

from engine.rasters.windows import PixelWindow
from engine.services.address import ServiceAddress
from engine.services.frame import Frame


def capabilities(address: ServiceAddress) -> str:
    """Return the address of what a service says of itself.

    WMS is asked in its newest version, the only one that states the largest picture; a server that does not speak it
    answers in its own (OGC 06-042, 6.2.4).
    """
    version = "1.3.0" if address.kind == "wms" else address.version
    return _asked(address, {"SERVICE": address.kind.upper(), "REQUEST": "GetCapabilities", "VERSION": version})


def piece(address: ServiceAddress, frame: Frame, window: PixelWindow, media: str) -> str:
    """Return the address of a piece of a frame.

    In WMS 1.3.0 corners come in the CRS's own order of axes (OGC 06-042, 6.7.4): latitude first in EPSG:4326; in
    earlier versions and in WCS 1.0.0 east comes first.

    Args:
        address: The service.
        frame: Where its pixels lie.
        window: The piece.
        media: Media type of the answer.
    """
    left, bottom, right, top = frame.box(window)
    new = address.kind == "wms" and address.version == "1.3.0"
    corners = (bottom, left, top, right) if new and frame.north_first else (left, bottom, right, top)
    common = {
        "VERSION": address.version,
        "BBOX": ",".join(repr(float(value)) for value in corners),
        "WIDTH": str(window.width),
        "HEIGHT": str(window.height),
        "FORMAT": media,
    }
    if address.kind == "wcs":
        asked = {"SERVICE": "WCS", "REQUEST": "GetCoverage", "COVERAGE": address.layers, "CRS": frame.crs_name}
        return _asked(address, {**asked, **common})
    asked = {
        "SERVICE": "WMS",
        "REQUEST": "GetMap",
        "LAYERS": address.layers,
        "STYLES": address.styles,
        "CRS" if new else "SRS": frame.crs_name,
        "EXCEPTIONS": "XML" if new else "application/vnd.ogc.se_xml",
    }
    if "bil" not in media and "jp" not in media:
        asked["TRANSPARENT"] = "TRUE"
    return _asked(address, {**asked, **common})


def _asked(address: ServiceAddress, values: dict[str, str]) -> str:
    parts = urlsplit(address.url)
    query = "&".join(item for item in (parts.query, urlencode(values, safe=",:/")) if item)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))

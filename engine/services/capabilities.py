"""What a service says of itself: its largest picture, its layers and its formats."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element  # only the type; `documents` parses  # nosec B405

from engine.acquisition.server import Server
from engine.errors import InputError
from engine.services.address import ServiceAddress
from engine.services.documents import is_markup, local, parsed, refused, service_error
from engine.services.frame import Frame
from engine.services.questions import capabilities

# Nearly all services draw as many pixels, and a piece of that size is a few MB.
SIDE = 2048
_LARGEST_DOCUMENT = 64 * 1024 * 1024
_COLOURS = ("image/geotiff", "image/tiff", "image/png", "image/jpeg")
_VALUES = ("image/x-bil;bits=32", "image/geotiff", "image/tiff")
_COVERAGES = ("GeoTIFF", "GTiff", "image/tiff", "image/geotiff", "GeoTIFFFloat32")


@dataclass(frozen=True)
class Plan:
    """How a service is asked.

    Args:
        side: Largest side of a piece in pixels.
        format: Media type, as the service writes it.
        constraints: What the service says of the use of its data; may be empty.
    """

    side: int
    format: str
    constraints: str = ""


def ask(server: Server, address: ServiceAddress, frame: Frame, values: bool) -> Plan:
    """Ask a service how it may be asked.

    Where it does not tell of itself, it is asked for common things.

    Args:
        server: Whom to put the question by.
        address: The service.
        frame: What will be asked for.
        values: Whether numbers are wanted, not colours.

    Raises:
        InputError: It cannot be reached, or has no such layer, CRS or format.
        Cancelled: The person asked to stop.
    """
    answer = server.question(capabilities(address), _LARGEST_DOCUMENT)
    if answer.status in (401, 403) or answer.status >= 500:
        raise refused(address.host, answer.status, answer.content)
    if answer.status in (404, 410):
        raise InputError(f"{address.host} has no service at this address ({answer.status}).", "Check the address.")
    root = parsed(answer.content) if is_markup(answer.content) else None
    if root is not None and local(root).lower() == "html":
        raise refused(address.host, answer.status, answer.content)
    if root is None or service_error(answer.content):
        offered: list[str] = []
        return Plan(SIDE, address.format or _best(address, offered, values))
    if address.kind == "wcs":
        names = [text for item in root.iter() if local(item) == "CoverageOfferingBrief" for text in _names(item)]
        _check_name(address, [address.layers], names)
        offered = []
    else:
        layers = dict(_layers(root, frozenset()))
        _check_name(address, address.layers.split(","), [name for name in layers if name])
        _check_crs(address, frame, layers)
        offered = [text for item in root.iter() if local(item) == "GetMap" for text in _texts(item, "Format")]
    sides = [int(text) for name in ("MaxWidth", "MaxHeight") for text in _texts(root, name) if text.isdigit()]
    constraints = next((text for text in _texts(root, "AccessConstraints") if text.lower() != "none"), "")
    return Plan(
        min([SIDE, *(side for side in sides if side > 0)]),
        _checked_format(address, offered) if address.format else _best(address, offered, values),
        " ".join(constraints.split())[:200],
    )


def _texts(root: Element, name: str) -> list[str]:
    return [text for item in root.iter() if local(item) == name and (text := (item.text or "").strip())]


def _names(item: Element) -> list[str]:
    return [text for child in item if local(child) == "name" and (text := (child.text or "").strip())]


def _layers(item: Element, inherited: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield layers and the CRSs in which each can be asked for: its own and those of the layers that hold it."""
    for child in item:
        if local(child) == "Layer":
            own = {
                code.upper() for part in child if local(part) in ("CRS", "SRS") for code in (part.text or "").split()
            }
            name = next((part.text or "" for part in child if local(part) == "Name"), "").strip()
            yield name, inherited | own
            yield from _layers(child, inherited | own)
        elif local(child) == "Capability":
            yield from _layers(child, inherited)


def _check_name(address: ServiceAddress, wanted: list[str], known: list[str]) -> None:
    for name in wanted:
        if known and name not in known:
            close = difflib.get_close_matches(name, known, n=2, cutoff=0.5) or known[:5]
            what = "layer" if address.kind == "wms" else "coverage"
            raise InputError(
                f"{address.host} has no {what} '{name}'.", f"Did you mean {' or '.join(close)}?" if close else ""
            )


def _check_crs(address: ServiceAddress, frame: Frame, layers: dict[str, frozenset[str]]) -> None:
    for name in address.layers.split(","):
        known = layers.get(name, frozenset())
        if known and frame.crs_name.upper() not in known:
            some = ", ".join(sorted(known)[:6])
            raise InputError(
                f"{address.host} does not draw '{name}' in {frame.crs_name}.",
                f"Name a CRS that it knows in the address, &crs=...: {some}.",
            )


def _plain(media: str) -> str:
    return media.lower().replace(" ", "")


def _checked_format(address: ServiceAddress, offered: list[str]) -> str:
    found = next((item for item in offered if _plain(item) == _plain(address.format)), None)
    if offered and found is None:
        raise InputError(
            f"{address.host} does not offer {address.format}.", f"It offers {', '.join(dict.fromkeys(offered))}."
        )
    return found or address.format


def _best(address: ServiceAddress, offered: list[str], values: bool) -> str:
    if address.kind == "wcs":
        return _COVERAGES[0]
    ranked = _VALUES if values else _COLOURS
    for media in ranked:
        found = next((item for item in offered if _plain(item) == media), None)
        if found:
            return found
    if values and offered:
        raise InputError(
            f"{address.host} draws pictures alone, and heights are numbers.",
            "Take them from a service of coverages, wcs:https://...?coverage=NAME, or as files.",
        )
    if offered:
        raise InputError(
            f"{address.host} offers no format that can be read here.", f"It offers {', '.join(dict.fromkeys(offered))}."
        )
    return "image/x-bil;bits=32" if values else "image/png"

"""What names a service: `wms:https://...?layers=...`, `wcs:https://...?coverage=...`, or a short name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import yaml

from engine.errors import RequestError
from engine.resources import RESOURCES

EXAMPLE = "An example: wms:https://host/path?layers=NAME&crs=EPSG:2154"
_KINDS = ("wms", "wcs")
_VERSIONS = {"wms": ("1.3.0", "1.1.1"), "wcs": ("1.0.0",)}
# What the questions themselves say, whatever an address has copied from another one.
_OURS = {"service", "request", "bbox", "width", "height", "transparent", "exceptions"}
_SECRET = re.compile(r"key|token|pass|pwd|secret|sig|auth|user|login|credential", re.IGNORECASE)


@dataclass(frozen=True)
class ServiceAddress:
    """A layer of a service.

    Args:
        kind: `wms` or `wcs`.
        url: Its address with all that is to be passed on, such as `map`; may hold a password or a key.
        layers: Names of the layers, separated by commas, or the coverage.
        version: Version of the protocol.
        styles: Styles of the layers; empty for the default.
        crs: CRS to ask for; empty where the extent tells.
        default_crs: The same where not even the extent tells.
        format: Media type to ask for; empty for the best one offered.
        resolution: Ground sampling distance in metres to ask for; None where the use tells.
        native: The same that the data has, as far as it is known by name.
        nodata: Value that means no data; None where the answers tell.
        heights: Whether it holds heights by its name.
        licence: Licence of the data, as far as it is known by name.
    """

    kind: str
    url: str
    layers: str
    version: str
    styles: str = ""
    crs: str = ""
    default_crs: str = ""
    format: str = ""
    resolution: float | None = None
    native: float | None = None
    nodata: float | None = None
    heights: bool = False
    licence: str = ""

    @property
    def host(self) -> str:
        """Name of the server."""
        return urlsplit(self.url).hostname or ""

    @property
    def shown(self) -> str:
        """The address for people and files: without passwords and keys."""
        parts = urlsplit(self.url)
        place = parts.hostname or ""
        if parts.port:
            place += f":{parts.port}"
        named = [("layers" if self.kind == "wms" else "coverage", self.layers)]
        query = urlencode([*_open(parse_qsl(parts.query, keep_blank_values=True)), *named], safe=",:/")
        return f"{self.kind}:{urlunsplit((parts.scheme, place, parts.path, query, ''))}"


def is_service(text: str) -> bool:
    """Return whether an input names a service, not a file."""
    head = text.partition(":")[0].lower()
    return ":" in text and head in {*_KINDS, *(name.partition(":")[0] for name in named())}


@lru_cache
def named() -> dict[str, dict[str, Any]]:
    """Return the services that are known by name, as `resources/services.yaml` has them."""
    values: dict[str, dict[str, Any]] = yaml.safe_load((RESOURCES / "services.yaml").read_text(encoding="utf-8"))[
        "services"
    ]
    return values


def read_address(text: str) -> ServiceAddress:
    """Return the service that an input names.

    Raises:
        RequestError: There is none of that name, or the address lacks something.
    """
    kind, _, rest = text.partition(":")
    kind = kind.lower()
    if kind not in _KINDS:
        return _of_name(text)
    parts = urlsplit(rest)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise RequestError(f"'{kind}:' is to be followed by an address of http or https.", EXAMPLE)
    given: dict[str, str] = {}
    passed: list[tuple[str, str]] = []
    for key, value in parse_qsl(parts.query, keep_blank_values=True):
        if key.lower() in _WORDS:
            given[_WORDS[key.lower()]] = value
        elif key.lower() not in _OURS:
            passed.append((key, value))
    if not given.get("layers"):
        word = "layers" if kind == "wms" else "coverage"
        raise RequestError(f"The address of {parts.hostname} names no {word}.", EXAMPLE)
    version = given.pop("version", "") or _VERSIONS[kind][0]
    if version not in _VERSIONS[kind]:
        known = " or ".join(_VERSIONS[kind])
        raise RequestError(f"Version {version} of {kind.upper()} is not spoken here.", f"Give version={known}.")
    numbers = {name: _number(name, given.pop(name)) for name in ("resolution", "nodata") if name in given}
    if numbers.get("resolution", 1.0) <= 0:
        raise RequestError("The resolution in the address must be above 0, in metres.", EXAMPLE)
    url = urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(passed, safe=",:/"), ""))
    return ServiceAddress(kind, url, version=version, **given, **numbers)  # type: ignore[arg-type]


_WORDS = {
    "layers": "layers", "layer": "layers", "coverage": "layers", "styles": "styles", "style": "styles",
    "version": "version", "crs": "crs", "srs": "crs", "format": "format", "resolution": "resolution",
    "nodata": "nodata",
}  # fmt: skip


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise RequestError(f"{name}={text} in the address is no number.", EXAMPLE) from error
    if value != value or value in (float("inf"), float("-inf")):
        raise RequestError(f"{name}={text} in the address is no number.", EXAMPLE)
    return value


def _of_name(text: str) -> ServiceAddress:
    name, _, year = text.partition(".")
    entry = named().get(name.lower())
    if entry is None:
        close = difflib.get_close_matches(name.lower(), named(), n=2, cutoff=0.4)
        raise RequestError(
            f"There is no service '{text}'.",
            f"Did you mean {' or '.join(close)}?" if close else f"Known ones: {', '.join(named())}.",
        )
    if year and not (entry.get("years") and re.fullmatch(r"(19|20)\d\d", year)):
        raise RequestError(f"'{text}' is no service: '.{year}' names no year of {name}.", f"Leave it out: {name}.")
    return ServiceAddress(
        "wms",
        str(entry["url"]),
        f"{entry['layers']}.{year}" if year else str(entry["layers"]),
        _VERSIONS["wms"][0],
        default_crs=str(entry["crs"]),
        format=str(entry["format"]),
        native=float(entry["resolution"]),
        heights=entry["holds"] == "heights",
        licence=str(entry.get("licence", "")),
    )


def _open(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(key, value) for key, value in pairs if not _SECRET.search(key)]

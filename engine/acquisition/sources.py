"""Published data sets, and where their files lie."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import yaml

from engine.errors import InputError, RequestError
from engine.resources import RESOURCES

BY_PATH = "by path"
LISTS = "lists"
_MIXED = {
    "flair-1": ("aerial", "labels", "metadata", "sentinel2"),
    "flair-hub": (
        "aerial", "labels", "metadata", "elevation", "crops", "spot", "sentinel2", "sentinel1", "historical",
    ),
}  # fmt: skip
_UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SET_KEYS = {"title", "licence", "source", "layout", "splits", "base", "default", "domains", "files"}
_FILE_KEYS = {"url", "modality", "split", "kind", "size", "sha256"}
_HINT = "Compare it with resources/datasets.yaml."


@dataclass(frozen=True)
class SourceFile:
    """One file of a data set on a server.

    Args:
        url: Its address.
        modality: What it holds: `aerial`, `labels`, ...; `by path` where that depends on the folders in it.
        split: `train` (validation included), `test`, or empty for both.
        kind: `zip`, which is unpacked, or `plain`.
        size: Published size in bytes, rounded; 0 where none is published.
        sha256: Published SHA-256 in hexadecimal digits; empty where none is published.
        domain: Its one domain, such as `D012_2019`; empty where it holds several.
    """

    url: str
    modality: str
    split: str = ""
    kind: str = "zip"
    size: int = 0
    sha256: str = ""
    domain: str = ""

    @property
    def name(self) -> str:
        """Name of the file."""
        return urlsplit(self.url).path.rpartition("/")[2]


@dataclass(frozen=True)
class Source:
    """A published data set.

    Args:
        name: Its name on the command line.
        title: What it is.
        licence: Short name of its licence.
        layout: `flair-1` or `flair-hub`.
        splits: Name of its official split by domain; empty for none.
        default: Modalities that are fetched when none is asked for.
        files: Its files, in the order in which they are fetched.
    """

    name: str
    title: str
    licence: str
    layout: str
    splits: str
    default: tuple[str, ...]
    files: tuple[SourceFile, ...]

    @property
    def modalities(self) -> tuple[str, ...]:
        """Every modality that can be asked for."""
        named = dict.fromkeys(file.modality for file in self.files if file.modality != BY_PATH)
        if any(file.modality == BY_PATH for file in self.files):
            named.update(dict.fromkeys(_MIXED[self.layout]))
        if self.splits:
            named[LISTS] = None
        return tuple(named)


def find_source(name: str, sources: str | None = None) -> Source:
    """Return a data set by its name.

    Args:
        name: Its name.
        sources: YAML file in place of the project's own.

    Raises:
        RequestError: There is no data set of that name; the nearest is named.
        InputError: The file cannot be read, or says something that has no meaning.
    """
    path = Path(sources).expanduser() if sources else RESOURCES / "datasets.yaml"
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"The sources '{path}' cannot be read: {error.strerror}.", "Check the path.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"'{path}' is not valid YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(values, dict) or not values:
        raise InputError(f"'{path}' names no data sets.", _HINT)
    if name not in values:
        close = difflib.get_close_matches(name.lower(), [str(key) for key in values], n=1)
        hint = f"Did you mean '{close[0]}'? " if close else ""
        raise RequestError(f"There is no data set '{name}'.", f"{hint}Known ones: {', '.join(map(str, values))}.")
    try:
        return _source(name, values[name])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(f"The data set '{name}' in '{path}' is not usable: {what}.", _HINT) from error


def _source(name: str, values: dict[str, Any]) -> Source:
    _known(values, _SET_KEYS, "the data set")
    base = str(values.get("base", ""))
    files: list[SourceFile] = []
    for item in values["files"]:
        _known(item, _FILE_KEYS, f"the file '{item.get('url', '')}'")
        pattern = str(item["url"])
        domains = [str(domain) for domain in values["domains"]] if "{domain}" in pattern else [""]
        files += [_file(item, urljoin(base, pattern.replace("{domain}", domain)), domain) for domain in domains]
    if len({file.name for file in files}) < len(files):
        raise ValueError("two files have the same name")
    layout = str(values.get("layout", "flair-1"))
    if layout not in ("flair-1", "flair-hub"):
        raise ValueError(f"'{layout}' is no layout; there are flair-1 and flair-hub")
    source = Source(
        name=name,
        title=str(values.get("title", name)),
        licence=str(values.get("licence", "")),
        layout=layout,
        splits=str(values.get("splits", "")),
        default=(),
        files=tuple(files),
    )
    default = tuple(str(item) for item in values.get("default") or source.modalities)
    return Source(**{**vars(source), "default": default})


def _file(item: dict[str, Any], url: str, domain: str) -> SourceFile:
    if urlsplit(url).scheme not in ("https", "http"):
        raise ValueError(f"'{url}' is no address that begins with https:// or http://")
    kind = str(item.get("kind", "zip" if url.lower().endswith(".zip") else "plain"))
    if kind not in ("zip", "plain"):
        raise ValueError(f"'{kind}' is no kind; there are zip and plain")
    digest = str(item.get("sha256", "")).lower()
    if digest and not re.fullmatch("[0-9a-f]{64}", digest):
        raise ValueError(f"the sha256 of '{url}' has no 64 hexadecimal digits")
    return SourceFile(
        url=url,
        modality=str(item["modality"]),
        split=str(item.get("split", "")),
        kind=kind,
        size=_bytes(str(item.get("size", ""))),
        sha256=digest,
        domain=domain.replace("-", "_"),
    )


def _bytes(text: str) -> int:
    if not text:
        return 0
    number, _, unit = text.partition(" ")
    if unit not in _UNITS:
        raise ValueError(f"the size '{text}' is no number with one of {', '.join(_UNITS)}")
    return round(float(number) * _UNITS[unit])


def _known(values: dict[str, Any], known: set[str], what: str) -> None:
    unknown = sorted(str(key) for key in set(values) - known)
    if unknown:
        close = difflib.get_close_matches(unknown[0], sorted(known), n=1)
        meant = f" (did you mean '{close[0]}'?)" if close else ""
        raise ValueError(f"{what} has the unknown key '{unknown[0]}'{meant}")

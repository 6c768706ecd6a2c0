"""Published data sets, and where their files lie."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urljoin, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from engine.errors import RequestError
from engine.resources import RESOURCES
from engine.yaml_file import YamlFile, read_yaml

BY_PATH = "by path"
LISTS = "lists"
_MIXED = {
    "flair-1": ("aerial", "labels", "metadata", "sentinel2"),
    "flair-hub": (
        "aerial", "labels", "metadata", "elevation", "crops", "spot", "sentinel2", "sentinel1", "historical",
    ),
}  # fmt: skip
_UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


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


def _bytes(text: str) -> int:
    number, _, unit = text.partition(" ")
    if unit not in _UNITS:
        raise ValueError(f"'{text}' is no number with one of {', '.join(_UNITS)}")
    return round(float(number) * _UNITS[unit])


def _published(text: str) -> str:
    _bytes(text)
    return text


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _FileKeys(_Group):
    url: str
    modality: str
    split: Literal["", "train", "test"] = ""
    kind: Literal["zip", "plain"] = "zip"
    size: Annotated[str, AfterValidator(_published)] = "0 MB"
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None


class _SetKeys(_Group):
    title: str
    licence: str = ""
    source: str = ""
    layout: Literal["flair-1", "flair-hub"] = "flair-1"
    splits: str = ""
    base: str = ""
    default: list[str] = []
    domains: list[str] = []
    files: Annotated[list[_FileKeys], Field(min_length=1)]


def find_source(name: str, sources: str | None = None) -> Source:
    """Return a data set by its name.

    Args:
        name: Its name.
        sources: YAML file in place of the project's own.

    Raises:
        RequestError: There is no data set of that name, and the nearest is named; or the file cannot be read, or says
            something that has no meaning, and the line is named.
    """
    path = Path(sources).expanduser() if sources else RESOURCES / "datasets.yaml"
    file = read_yaml(path, hint="Check --sources.", wanted="a file like resources/datasets.yaml")
    if name not in file.values:
        names = [str(key) for key in file.values]
        close = difflib.get_close_matches(name.lower(), names, n=1)
        hint = f"Did you mean '{close[0]}'? " if close else ""
        raise RequestError(f"There is no data set '{name}'.", f"{hint}Known ones: {', '.join(names)}.")
    values = file.values[name]
    if not isinstance(values, dict):
        raise file.error((name,), f"'{name}' must be a group of keys below it.")
    own = {place[1:]: line for place, line in file.lines.items() if place[0] == name and len(place) > 1}
    return _source(name, YamlFile(path, values, own))


def _source(name: str, described: YamlFile) -> Source:
    keys = described.checked(_SetKeys)
    files: list[SourceFile] = []
    for number, item in enumerate(keys.files):
        for domain in keys.domains if "{domain}" in item.url else [""]:
            url = urljoin(keys.base, item.url.replace("{domain}", domain))
            if urlsplit(url).scheme not in ("https", "http") or not urlsplit(url).hostname:
                problem = f"'{url}' is no address that begins with https:// or http://."
                raise described.error(("files", number, "url"), problem)
            if any(file.url.rpartition("/")[2] == url.rpartition("/")[2] for file in files):
                raise described.error(
                    ("files", number, "url"), f"another file is called '{url.rpartition('/')[2]}', too."
                )
            files.append(_file(item, url, domain))
    source = Source(name, keys.title, keys.licence, keys.layout, keys.splits, tuple(keys.default), tuple(files))
    if not source.default:
        return Source(**{**vars(source), "default": source.modalities})
    return source


def _file(item: _FileKeys, url: str, domain: str) -> SourceFile:
    return SourceFile(
        url=url,
        modality=item.modality,
        split=item.split,
        kind=item.kind,
        size=_bytes(item.size),
        sha256=item.sha256 or "",
        domain=domain.replace("-", "_"),
    )

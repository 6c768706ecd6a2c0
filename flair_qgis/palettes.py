"""Classes with their colours, from the nomenclatures that ship with the plugin or a file of a person's own.

QGIS's Python has no YAML reader everywhere. A list of classes needs little of YAML: one class a line in braces, or one
key a line. A test compares what is read here with what a full reader finds.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, List

from .errors import failure
from .i18n import tr
from .paths import resources

PALETTES = ["flair", "cosia", "hub", "flair-12"]
# Those of the engine, for classes without a colour.
SPARE_COLORS = (
    "#cc6677", "#332288", "#ddcc77", "#117733", "#88ccee", "#882255", "#44aa99", "#999933", "#aa4499",
    "#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb",
)  # fmt: skip

_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_PAIR = re.compile(r"""\s*(\w+)\s*:\s*("[^"]*"|'[^']*'|[^,]*?)\s*(?:,|$)""")
_FLOW = re.compile(r"^\s*-\s*\{(.*)\}\s*(?:#.*)?$")
_BEGIN = re.compile(r"^\s*-\s+(\w+\s*:.*)$")
_KEY = re.compile(r"^\s+(\w+\s*:.*)$")


def palette(name: str) -> List[Dict[str, Any]]:
    """Return the classes of a nomenclature that ships with the plugin; see `read_palette`."""
    return read_palette(resources() / "nomenclatures" / f"{name}.yaml")


def read_palette(path: Path) -> List[Dict[str, Any]]:
    """Return the classes of a file, each with `code`, `name`, `color` (`#rrggbb`) and `disabled`.

    Args:
        path: YAML file with a list `classes`.

    Raises:
        QgsProcessingException: It cannot be read, or a line of the list is not understood.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise failure(
            tr("{path} cannot be read: {reason}.").format(path=path, reason=getattr(error, "strerror", None) or error),
            tr("Check the path."),
        ) from error
    found: List[Dict[str, str]] = []
    inside = False
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if re.match(r"^\w+\s*:", line):
            inside = line.split(":")[0].strip() == "classes"
        elif inside:
            _add(found, line, path, number)
    classes = [_checked(values, place, path) for place, values in enumerate(found)]
    codes = [item["code"] for item in classes]
    if not classes or len(set(codes)) != len(codes):
        raise failure(
            tr("{path} lists no classes.").format(path=path)
            if not classes
            else tr("{path} lists a code twice.").format(path=path),
            tr("Write 'classes:' and below it lines such as '- {code: 1, name: roof, color: \"#cc0000\"}'."),
        )
    return classes


def _add(found: List[Dict[str, str]], line: str, path: Path, number: int) -> None:
    flow, begin, key = _FLOW.match(line), _BEGIN.match(line), _KEY.match(line)
    if flow:
        found.append(_pairs(flow.group(1)))
    elif begin:
        found.append(_pairs(_bare(begin.group(1))))
    elif key and found:
        found[-1].update(_pairs(_bare(key.group(1))))
    else:
        raise failure(
            tr("Line {number} of {path} is no class.").format(number=number, path=path),
            tr("Write 'classes:' and below it lines such as '- {code: 1, name: roof, color: \"#cc0000\"}'."),
        )


def _bare(text: str) -> str:
    """Return one pair without a comment, in quotes where its value holds a comma."""
    key, _, value = text.partition(":")
    value = value.strip()
    if value[:1] not in ("'", '"'):
        value = '"' + value.split(" #")[0].strip() + '"'
    return f"{key}: {value}"


def _pairs(text: str) -> Dict[str, str]:
    return {key: value.strip("\"' ") for key, value in _PAIR.findall(text)}


def _checked(values: Dict[str, str], place: int, path: Path) -> Dict[str, Any]:
    code, color = values.get("code", ""), values.get("color", SPARE_COLORS[place % len(SPARE_COLORS)])
    if not code.isdigit() or not values.get("name") or not _COLOR.fullmatch(color):
        raise failure(
            tr("A class of {path} has no code, no name, or a colour that is not like #cc0000: {values}.").format(
                path=path, values=", ".join(f"{key}: {value}" for key, value in values.items())
            ),
            tr("Write 'classes:' and below it lines such as '- {code: 1, name: roof, color: \"#cc0000\"}'."),
        )
    return {
        "code": int(code),
        "name": values["name"],
        "color": color.lower(),
        "disabled": values.get("disabled", "").lower() in ("true", "yes"),
    }

"""Tables that give each class of one nomenclature a class of another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from engine.errors import RequestError
from engine.nomenclature import NODATA, SPARE_COLORS, LandCoverClass, Nomenclature, load_nomenclature
from engine.resources import RESOURCES

FOLDER = RESOURCES / "class_tables"
_EXAMPLE = "Write pairs such as 2=1,3=1,default=0, or name a YAML file with 'map:' and below it lines such as '3: 1'."
_KEYS = {"name", "from", "nomenclature", "classes", "map", "default"}


@dataclass(frozen=True)
class ClassTable:
    """New codes by old ones.

    Args:
        name: Name of the table.
        target: The new classes.
        codes: New code by old value, 0 for no data.
        default: New code of all values that are not in the table, but for 0; None where they are an error.
        source: Name of the nomenclature that it is for; empty for any.
    """

    name: str
    target: Nomenclature
    codes: Mapping[int, int]
    default: int | None = None
    source: str = ""

    def recode(
        self, values: npt.NDArray[Any], valid: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.uint8], dict[int, int]]:
        """Return new codes.

        Args:
            values: Old values, whole numbers of any type, shape (height, width).
            valid: Likewise; False where there is no data.

        Returns:
            New codes, uint8 of the same shape, 0 where there is no data; and pixels by value of what the table lacks.
        """
        recoded = np.zeros(values.shape, np.uint8)
        if values.dtype == np.uint8:
            counts = np.bincount(values[valid], minlength=256)
            found, places = np.arange(256), values[valid].astype(np.int64)
        else:
            found, places, counts = np.unique(values[valid], return_inverse=True, return_counts=True)
        numbers = [int(value) for value in found.tolist()]
        missing = {
            number: int(count)
            for number, count in zip(numbers, counts, strict=True)
            if count and number not in self.codes and number != NODATA and self.default is None
        }
        rest = NODATA if self.default is None else self.default
        table = [self.codes.get(number, NODATA if number == NODATA else rest) for number in numbers]
        recoded[valid] = np.array(table, np.uint8)[places] if numbers else 0
        return recoded, missing


def table_names() -> list[str]:
    """Return the names of the tables that ship with the project."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def read_class_table(text: str, nomenclature: Nomenclature) -> ClassTable:
    """Return a table by its name, from pairs, or from a YAML file.

    Such a file holds a code for each old one, and the classes of the new codes, which may be left out: a new code is
    then named after the class that kept its code, or else after the first that becomes it.

        classes:
          - {code: 1, name: built, color: "#cc0000"}
          - {code: 2, name: green}
        map: {1: 1, 3: 1, 10: 2}
        default: 0

    Args:
        text: Name of one that ships with the project, pairs such as `2=1,3=1,default=0`, or a `.yaml` or `.yml` file.
        nomenclature: The old classes.

    Raises:
        RequestError: It is none of these, or has a code that is none.
        ModelError: The nomenclature that it names does not exist, or its classes are not readable.
    """
    text = text.strip()
    if text in table_names():
        return _table(text, _read(FOLDER / f"{text}.yaml"), nomenclature)
    if text.lower().endswith((".yaml", ".yml")):
        path = Path(text).expanduser()
        return _table(path.stem, _read(path), nomenclature)
    if "=" not in text:
        raise RequestError(
            f"There is no table of classes '{text}'.", f"There are: {', '.join(table_names())}. {_EXAMPLE}"
        )
    pairs: dict[object, object] = {}
    for part in text.split(","):
        old, separator, new = (item.strip() for item in part.partition("="))
        if not separator:
            raise RequestError(f"'{part.strip()}' in the table of classes is no pair.", _EXAMPLE)
        if pairs.setdefault(old, new) != new:
            raise RequestError(f"The table of classes gives '{old}' two codes: {pairs[old]} and {new}.", _EXAMPLE)
    return _table("pairs", {"map": pairs}, nomenclature)


def _read(path: Path) -> dict[str, Any]:
    try:
        values: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RequestError(f"The table '{path}' cannot be read: {error.strerror}.", "Check the path.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RequestError(f"'{path}' is not valid YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(values, dict) or not values:
        raise RequestError(f"'{path}' holds no table of classes.", _EXAMPLE)
    if "map" not in values and not set(values) & (_KEYS - {"default"}):
        # Pairs alone.
        values = {"map": values}
    unknown = sorted(str(key) for key in set(values) - _KEYS)
    if unknown:
        raise RequestError(f"'{path}' has an unknown key '{unknown[0]}'.", f"Valid ones: {', '.join(sorted(_KEYS))}.")
    return dict(values)


def _table(name: str, values: dict[str, Any], nomenclature: Nomenclature) -> ClassTable:
    pairs = values.get("map")
    if not isinstance(pairs, dict) or not pairs:
        raise RequestError(f"The table of classes '{name}' maps no codes.", _EXAMPLE)
    pairs = dict(pairs)
    default = values.get("default", pairs.pop("default", None))
    codes = {_code(old, name, 0, 2**31 - 1): _code(new, name) for old, new in pairs.items()}
    rest = None if default is None else _code(default, name)
    used = {code for code in (*codes.values(), rest) if code}
    if not used:
        raise RequestError(f"The table of classes '{name}' turns every code to no data.", _EXAMPLE)
    target = _target(name, values, codes, rest, nomenclature)
    lost = sorted(used - set(target.codes))
    if lost:
        raise RequestError(
            f"The table of classes '{name}' gives code {lost[0]}, which is no class of '{target.name}'.",
            f"There are: {', '.join(f'{item.code} {item.name}' for item in target.classes)}; 0 is no data.",
        )
    return ClassTable(str(values.get("name", name)), target, codes, rest, str(values.get("from", "")))


def _target(
    name: str, values: dict[str, Any], codes: dict[int, int], rest: int | None, nomenclature: Nomenclature
) -> Nomenclature:
    if values.get("nomenclature"):
        return load_nomenclature(str(values["nomenclature"]))
    if values.get("classes"):
        rows = values["classes"]
        classes = [
            {"color": SPARE_COLORS[place % len(SPARE_COLORS)], **row} if isinstance(row, dict) else row
            for place, row in enumerate(rows if isinstance(rows, list) else [rows])
        ]
        return Nomenclature.from_dict({"name": values.get("name", name), "classes": classes})
    old = {item.code: item for item in nomenclature.classes}
    made: dict[int, LandCoverClass] = {}
    for value, code in sorted(codes.items(), key=lambda pair: (pair[0] != pair[1], pair[0])):
        if code and code not in made:
            known = old.get(value)
            spare = SPARE_COLORS[code % len(SPARE_COLORS)]
            made[code] = LandCoverClass(code, known.name if known else f"class {code}", known.color if known else spare)
    if rest and rest not in made:
        made[rest] = LandCoverClass(rest, "other", "#000000")
    return Nomenclature(name, tuple(made[code] for code in sorted(made)))


def _code(value: object, name: str, least: int = 0, most: int = 254) -> int:
    text = str(value).strip()
    if isinstance(value, bool) or not text.isdigit() or not least <= int(text) <= most:
        raise RequestError(
            f"The table of classes '{name}' holds '{text}', which is no code from {least} to {most}.", _EXAMPLE
        )
    return int(text)

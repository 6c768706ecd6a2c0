"""Land-cover classes: codes, names, colours, and which of them can win."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from engine.errors import ModelError
from engine.resources import RESOURCES

NODATA = 0
IGNORE_INDEX = 255
# For classes without a colour: Paul Tol's "muted" and "bright" qualitative schemes, told apart by the colour-blind.
SPARE_COLORS = (
    "#cc6677", "#332288", "#ddcc77", "#117733", "#88ccee", "#882255", "#44aa99", "#999933", "#aa4499",
    "#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb",
)  # fmt: skip


@dataclass(frozen=True)
class LandCoverClass:
    """One class.

    Args:
        code: Value in class rasters, 1 to 254.
        name: English name.
        color: `#rrggbb`.
        disabled: Whether the class was left out of training and must never win.
        french: French name; empty where there is none.
    """

    code: int
    name: str
    color: str
    disabled: bool = False
    french: str = ""

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green and blue, each 0 to 255."""
        return int(self.color[1:3], 16), int(self.color[3:5], 16), int(self.color[5:7], 16)

    @property
    def title(self) -> str:
        """The name as a legend shows it."""
        return self.name[:1].upper() + self.name[1:]


@dataclass(frozen=True)
class Nomenclature:
    """Classes in the order of a model's output channels.

    Raises:
        ModelError: Codes are not unique or not in 1 to 254, or no class is enabled.
    """

    name: str
    classes: tuple[LandCoverClass, ...]

    def __post_init__(self) -> None:
        codes = self.codes
        if len(set(codes)) != len(codes) or not all(1 <= code <= 254 for code in codes):
            raise ModelError(f"Nomenclature '{self.name}': class codes must be unique and in 1 to 254, not {codes}.")
        if not self.enabled:
            raise ModelError(f"Nomenclature '{self.name}': every class is disabled.")

    @cached_property
    def codes(self) -> tuple[int, ...]:
        """Codes in channel order."""
        return tuple(item.code for item in self.classes)

    @cached_property
    def enabled(self) -> tuple[LandCoverClass, ...]:
        """Classes that can win, in channel order."""
        return tuple(item for item in self.classes if not item.disabled)

    @cached_property
    def enabled_channels(self) -> tuple[int, ...]:
        """Output channels of the classes that can win."""
        return tuple(index for index, item in enumerate(self.classes) if not item.disabled)

    @cached_property
    def code_to_index(self) -> npt.NDArray[np.uint8]:
        """Lookup table of shape (256,): code to training index, 255 (ignored) for all others."""
        table = np.full(256, IGNORE_INDEX, dtype=np.uint8)
        for index, item in enumerate(self.classes):
            if not item.disabled:
                table[item.code] = index
        return table

    def to_dict(self) -> dict[str, Any]:
        """Return the nomenclature as plain values, for a model file."""
        return {
            "name": self.name,
            "classes": [
                {
                    "code": item.code,
                    "name": item.name,
                    "color": item.color,
                    "disabled": item.disabled,
                    "french": item.french,
                }
                for item in self.classes
            ],
        }

    @staticmethod
    def from_dict(values: dict[str, Any]) -> Nomenclature:
        """Build a nomenclature from plain values.

        Raises:
            ModelError: A value is missing or of the wrong type.
        """
        try:
            return Nomenclature(
                name=str(values["name"]),
                classes=tuple(
                    LandCoverClass(
                        code=int(item["code"]),
                        name=str(item["name"]),
                        color=_checked_color(item["color"]),
                        disabled=bool(item.get("disabled", False)),
                        french=str(item.get("french", "")),
                    )
                    for item in values["classes"]
                ),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ModelError(f"The class list is not readable: {error}.") from error

    def ordered(self, codes: Sequence[int]) -> Nomenclature:
        """Return the same classes in the order of a model's output channels that is told by their codes.

        Raises:
            ModelError: The codes are not exactly those of the classes.
        """
        known = {item.code: item for item in self.classes}
        if sorted(codes) != sorted(known):
            raise ModelError(f"Nomenclature '{self.name}': {list(codes)} are not its codes in another order.")
        return Nomenclature(self.name, tuple(known[code] for code in codes))

    def with_disabled(self, codes: Iterable[int]) -> Nomenclature:
        """Return the same classes with exactly the given codes disabled."""
        disabled = set(codes)
        return Nomenclature(
            self.name,
            tuple(
                LandCoverClass(item.code, item.name, item.color, item.code in disabled, item.french)
                for item in self.classes
            ),
        )


def _checked_color(value: object) -> str:
    text = str(value).lower()
    if len(text) != 7 or text[0] != "#":
        raise ValueError(f"'{value}' is not a colour like #rrggbb")
    int(text[1:], 16)
    return text


@lru_cache
def load_nomenclature(name: str = "flair") -> Nomenclature:
    """Return a nomenclature that ships with the project, by name.

    Raises:
        ModelError: There is none of that name.
    """
    path = RESOURCES / "nomenclatures" / f"{name}.yaml"
    if not path.is_file():
        known = sorted(item.stem for item in path.parent.glob("*.yaml"))
        raise ModelError(f"There is no nomenclature '{name}'.", f"Known ones: {', '.join(known)}.")
    return Nomenclature.from_dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def resolve_nomenclature(text: str) -> Nomenclature:
    """Return a nomenclature by its name or from a YAML file of a user's own.

    Such a file lists classes, each with a code and a name; colours may be left out:

        name: my town
        classes:
          - {code: 1, name: roof, color: "#cc0000"}
          - {code: 2, name: garden}

    Args:
        text: Name of one that ships with the project, or path of a `.yaml` or `.yml` file.

    Raises:
        ModelError: There is none of that name, or the file is not readable.
    """
    path = Path(text).expanduser()
    if path.suffix.lower() not in (".yaml", ".yml"):
        return load_nomenclature(text)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"The nomenclature '{path}' cannot be read: {error.strerror}.", "Check the path.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelError(f"'{path}' is not valid YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(values, dict) or not isinstance(values.get("classes"), list):
        raise ModelError(
            f"'{path}' lists no classes.", "Write 'classes:' and below it lines such as '- {code: 1, name: roof}'."
        )
    classes = [
        {"color": SPARE_COLORS[index % len(SPARE_COLORS)], **item} if isinstance(item, dict) else item
        for index, item in enumerate(values["classes"])
    ]
    return Nomenclature.from_dict({"name": values.get("name", path.stem), "classes": classes})

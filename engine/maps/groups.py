"""Groups of classes, such as sealed and unsealed ground."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from engine.errors import RequestError
from engine.nomenclature import LandCoverClass
from engine.resources import RESOURCES

SEALED = RESOURCES / "groups" / "sealed.yaml"
REST = "rest"
# Told apart by the colour-blind, the first one dark.
COLORS = ("#8c2d04", "#74a065", "#3f78b5", "#d9a441", "#7b5ea7", "#5c6b73", "#c46b8c", "#a3a3a3")
_EXAMPLE = "Write lines such as 'sealed: [1, 3]', and 'others: rest' for what is left."


@dataclass(frozen=True)
class Groups:
    """Groups of classes; each class belongs to one.

    Args:
        names: One a group, the first being the one that matters most.
        members: Number of the group of each class, in the order of the classes.
    """

    names: tuple[str, ...]
    members: tuple[int, ...]

    @property
    def colors(self) -> tuple[str, ...]:
        """A colour `#rrggbb` for each group."""
        return tuple(COLORS[number % len(COLORS)] for number in range(len(self.names)))

    def matrix(self, classes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return a matrix of groups from one of classes, shape (K, K): rows before, columns after."""
        into = np.eye(len(self.names))[list(self.members)]
        return np.asarray(into.T @ classes @ into)


def read_groups(path: str | None, classes: Sequence[LandCoverClass]) -> Groups | None:
    """Return the groups of a YAML file.

    Args:
        path: The file; None takes sealed and unsealed ground.
        classes: The classes of the rasters.

    Returns:
        The groups; None where no file was given and the classes are not those that it would have named.

    Raises:
        RequestError: The file cannot be read, or names a class that does not exist, or one twice.
    """
    file = SEALED if path is None else Path(path).expanduser()
    values = _read(file)
    places: dict[str, int] = {}
    for place, item in enumerate(classes):
        places[str(item.code)] = place
        for name in (item.name, item.french):
            if name:
                places.setdefault(name.casefold(), place)
    members: dict[int, int] = {}
    rest = -1
    for number, (group, wanted) in enumerate(values.items()):
        if wanted == REST:
            if rest >= 0:
                raise RequestError(f"'{file}' gives the rest to two groups.", _EXAMPLE)
            rest = number
            continue
        if not isinstance(wanted, list) or not wanted:
            raise RequestError(f"The group '{group}' of '{file}' lists no classes.", _EXAMPLE)
        for item in wanted:
            found = places.get(str(item).strip().casefold())
            if found is None and path is not None:
                known = ", ".join(f"{one.code} {one.name}" for one in classes)
                raise RequestError(
                    f"The group '{group}' of '{file}' names '{item}', which is no class.", f"There are: {known}."
                )
            if found is not None and members.setdefault(found, number) != number:
                raise RequestError(f"'{file}' puts '{item}' into two groups.", _EXAMPLE)
    if not members:
        return None
    names = [str(group) for group in values]
    if rest < 0 and len(members) < len(classes):
        names.append("others")
        rest = len(names) - 1
    return Groups(tuple(names), tuple(members.get(place, rest) for place in range(len(classes))))


def _read(path: Path) -> Mapping[Any, Any]:
    try:
        values: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RequestError(f"The groups '{path}' cannot be read: {error.strerror}.", "Check the path.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RequestError(f"'{path}' is not valid YAML: {' '.join(str(error).split())}.", _EXAMPLE) from error
    if not isinstance(values, dict) or not values:
        raise RequestError(f"'{path}' holds no groups of classes.", _EXAMPLE)
    return values

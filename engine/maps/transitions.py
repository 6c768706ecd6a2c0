"""From two classes to one code, a name and a colour."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from engine.errors import InputError
from engine.maps.class_map import ClassMap
from engine.nomenclature import LandCoverClass, Nomenclature

NOT_COMPARED, UNCHANGED, LEFT_OUT = 0, 1, 2
# Share of the colour of what is there now; the rest tells what it was.
_NOW = 0.75


@dataclass(frozen=True)
class Transitions:
    """Codes of changes: 100 x the class before + the class after, or 256 x where classes have codes of 100 and more.

    0 is what cannot be compared, 1 what is unchanged, and 2 a change that was left out.

    Args:
        classes: Classes of both rasters, by code.
    """

    classes: tuple[LandCoverClass, ...]

    @cached_property
    def factor(self) -> int:
        """What the code before is multiplied by."""
        return 100 if max(item.code for item in self.classes) < 100 else 256

    def code(self, before: int, after: int) -> int:
        """Return the code of a change."""
        return self.factor * before + after

    def codes(self, before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
        """Return the codes of changes, pixel by pixel."""
        return np.asarray(before.astype(np.uint16) * np.uint16(self.factor) + after, dtype=np.uint16)

    def legend(self, pairs: list[tuple[int, int]], left_out: bool) -> TransitionLegend:
        """Return names and colours of the changes that occur.

        Args:
            pairs: Places of the class before and after in `classes`.
            left_out: Whether changes were left out.
        """
        found = [LandCoverClass(UNCHANGED, "unchanged", "#e8e8e4")]
        if left_out:
            found.append(LandCoverClass(LEFT_OUT, "change left out", "#bdb9b0"))
        for before, after in pairs:
            old, new = self.classes[before], self.classes[after]
            mixed = (round(_NOW * b + (1 - _NOW) * a) for a, b in zip(old.rgb, new.rgb, strict=True))
            color = "#{:02x}{:02x}{:02x}".format(*mixed)
            found.append(LandCoverClass(self.code(old.code, new.code), f"{old.name} -> {new.name}", color))
        return TransitionLegend(tuple(sorted(found, key=lambda item: item.code)))


@dataclass(frozen=True)
class TransitionLegend:
    """What a raster of changes shows; see `engine.rasters.style.Legend`."""

    classes: tuple[LandCoverClass, ...]

    @property
    def enabled(self) -> tuple[LandCoverClass, ...]:
        """All of them."""
        return self.classes

    @property
    def codes(self) -> tuple[int, ...]:
        """Their codes."""
        return tuple(item.code for item in self.classes)


def common_classes(before: ClassMap, after: ClassMap) -> tuple[LandCoverClass, ...]:
    """Return the classes of two rasters, by code.

    Raises:
        InputError: A code means different things in them.
    """
    found = {item.code: item for item in _sorted(before.nomenclature)}
    for item in _sorted(after.nomenclature):
        other = found.setdefault(item.code, item)
        if other.name.casefold() != item.name.casefold():
            raise InputError(
                f"The rasters differ in their classes: {item.code} is '{other.name}' before and '{item.name}' after.",
                "Bring one into the nomenclature of the other first (remap-classes), or name one for both "
                "(--nomenclature).",
            )
    return tuple(found[code] for code in sorted(found))


def _sorted(nomenclature: Nomenclature) -> list[LandCoverClass]:
    return sorted(nomenclature.classes, key=lambda item: item.code)

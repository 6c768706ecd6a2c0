"""From the classes that labels name to the codes of a nomenclature."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from engine.errors import InputError, RequestError
from engine.events import Reporter
from engine.nomenclature import NODATA, Nomenclature

_SHOWN = 12
LabelValue = int | str
"""What a label says: a whole number, or text in lower case with single spaces."""


def label_value(value: object) -> LabelValue | None:
    """Return what an attribute or a pixel says, or None where it says nothing.

    Numbers without a fraction and text made of digits are whole numbers.
    """
    if value is None or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    text = " ".join(str(value).split())
    if re.fullmatch(r"[+-]?\d{1,18}", text):
        return int(text)
    return text.casefold() or None


@dataclass(frozen=True)
class ClassMapping:
    """Codes by label value.

    A value that was not given one is taken as the code, or the English or French name, of a class.

    Args:
        nomenclature: The classes.
        given: Codes by label value, 0 to leave a class out.
        titles: The same label values as a person wrote them.
    """

    nomenclature: Nomenclature
    given: Mapping[LabelValue, int]
    titles: Mapping[LabelValue, str]

    @classmethod
    def parse(cls, text: str | None, nomenclature: Nomenclature) -> ClassMapping:
        """Read pairs such as `Wald=7,Haus=building,unknown=0`, or a YAML file of lines such as `Wald: 7`.

        Raises:
            RequestError: The text or file holds no such pairs, or names a class that does not exist.
        """
        known = cls(nomenclature, {}, {})
        given: dict[LabelValue, int] = {}
        titles: dict[LabelValue, str] = {}
        for source, target in _pairs(text) if text else ():
            value = label_value(source)
            if value is None:
                raise RequestError(f"The mapping of classes has a pair without a class: '={target}'.")
            code = known._target(str(source), target)
            if given.setdefault(value, code) != code:
                raise RequestError(f"The mapping of classes gives '{source}' two codes: {given[value]} and {code}.")
            titles[value] = str(source).strip()
        return cls(nomenclature, given, titles)

    def code_of(self, value: LabelValue) -> int | None:
        """Return the code for a label value: 0 where the class is left out, None where the value is unknown."""
        if value in self.given:
            return self.given[value]
        if isinstance(value, int):
            return value if value == NODATA or value in self.nomenclature.codes else None
        return self._by_name.get(value)

    def check(self, counts: Mapping[LabelValue, int], unit: str, reporter: Reporter) -> None:
        """Say what the labels hold and what becomes of it.

        Args:
            counts: How often each label value occurs.
            unit: What is counted, such as "polygons".
            reporter: Is told, and warned of values given that do not occur and codes taken as they stand.

        Raises:
            InputError: A value is neither given nor in the nomenclature; all of them are listed with their counts.
        """
        unknown = {value: count for value, count in counts.items() if self.code_of(value) is None}
        if unknown:
            raise self._unknown(unknown, unit)
        said = sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
        parts = [f"{self._shown(value)} ({count} {unit}) as {self._class(value)}" for value, count in said[:_SHOWN]]
        more = f", and {len(said) - _SHOWN} more" if len(said) > _SHOWN else ""
        reporter.log(f"Labels: {', '.join(parts)}{more}.")
        unused = [value for value in self.given if value not in counts]
        for value in unused:
            near = difflib.get_close_matches(str(value), [str(item) for item in counts if item not in self.given], n=1)
            hint = f"; the nearest label is '{near[0]}'" if near and isinstance(value, str) else ""
            reporter.warning(f"No label is '{self.titles[value]}', which --classes maps{hint}.")
        if any(isinstance(value, int) for value in self.given):
            kept = sorted(v for v in counts if isinstance(v, int) and v not in self.given and v != NODATA)
            if kept:
                reporter.warning(
                    f"--classes does not map {', '.join(map(str, kept))}: taken as codes of "
                    f"'{self.nomenclature.name}', {', '.join(self._class(value) for value in kept)}."
                )

    @cached_property
    def _by_name(self) -> dict[str, int]:
        names: dict[str, int] = {}
        for item in self.nomenclature.classes:
            for name in (item.name, item.french):
                value = label_value(name)
                if isinstance(value, str):
                    names.setdefault(value, item.code)
        return names

    def _target(self, source: str, target: object) -> int:
        value = label_value(target)
        if isinstance(value, int) and (value == NODATA or value in self.nomenclature.codes):
            return value
        if isinstance(value, str) and value in self._by_name:
            return self._by_name[value]
        near = difflib.get_close_matches(str(value), list(self._by_name), n=1)
        raise RequestError(
            f"'{source.strip()}' is mapped to '{target}', which is no class of '{self.nomenclature.name}'.",
            (f"Did you mean '{near[0]}'? " if near else "") + f"There are: {self._known()}; 0 leaves a class out.",
        )

    def _unknown(self, unknown: Mapping[LabelValue, int], unit: str) -> InputError:
        said = sorted(unknown.items(), key=lambda item: (-item[1], str(item[0])))
        shown = ", ".join(f"{self._shown(value)} ({count} {unit})" for value, count in said[:_SHOWN])
        more = f" and {len(said) - _SHOWN} more" if len(said) > _SHOWN else ""
        example = ",".join(f"{value}={self._guess(value)}" for value, _ in said[:3])
        return InputError(
            f"The labels hold what is no class of '{self.nomenclature.name}': {shown}{more}.",
            f'Map each to a code or name with --classes, such as "{example}"; 0 leaves a class out. '
            f"There are: {self._known()}.",
        )

    def _guess(self, value: LabelValue) -> str:
        near = difflib.get_close_matches(str(value), list(self._by_name), n=1)
        return near[0] if near else "0"

    def _known(self) -> str:
        return ", ".join(f"{item.code} {item.name}" for item in self.nomenclature.classes)

    def _class(self, value: LabelValue) -> str:
        code = self.code_of(value)
        names = {item.code: item.name for item in self.nomenclature.classes}
        return f"{code} {names[code]}" if code else "nothing"

    def _shown(self, value: LabelValue) -> str:
        return str(value) if isinstance(value, int) else f"'{self.titles.get(value, value)}'"


def _pairs(text: str) -> list[tuple[object, object]]:
    if text.strip().lower().endswith((".yaml", ".yml")):
        return _pairs_of_file(Path(text.strip()).expanduser())
    pairs: list[tuple[object, object]] = []
    for part in text.split(","):
        source, separator, target = part.rpartition("=")
        if not separator:
            raise RequestError(
                f"'{part.strip()}' in the mapping of classes is no pair.",
                "Write pairs such as Wald=7,Haus=1, or name a YAML file of lines such as 'Wald: 7'.",
            )
        pairs.append((source, target))
    return pairs


def _pairs_of_file(path: Path) -> list[tuple[object, object]]:
    try:
        values: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RequestError(f"The mapping '{path}' cannot be read: {error.strerror}.", "Check the path.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RequestError(f"'{path}' is not valid YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(values, dict) or not values:
        raise RequestError(f"'{path}' maps no classes.", "Write one line for each, such as 'Wald: 7'.")
    for pair in values.items():
        if any(isinstance(item, bool | dict | list) or item is None for item in pair):
            raise RequestError(
                f"'{path}' holds a pair that is no class and code: {pair[0]}: {pair[1]}.",
                "Write lines such as 'Wald: 7'; put names that YAML takes for something else, such as No, in quotes.",
            )
    return list(values.items())

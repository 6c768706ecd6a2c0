"""Which band of a file holds red, green, blue, infrared and elevation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from engine.band_names import FLAIR_ORDER, band_name
from engine.errors import InputError
from engine.events import Reporter
from engine.rasters.raster_file import RasterFile

_INTERPRETATIONS = {"red": "red", "green": "green", "blue": "blue", "nir": "infrared"}
# Interpretations that say nothing of what a band holds: GDAL calls the first of several plain bands gray.
_MUTE = frozenset({"undefined", "gray"})
# Descriptions that say no more than the number does.
_NUMBERED = re.compile(r"[a-z]*[ _-]*\d+")
_FALSE_COLOUR = re.compile(r"(^|[^a-z])(irc|cir|irrg|nrg|rvb-?ir)([^a-z]|$)")


def resolve_bands(
    names: Sequence[str], file: RasterFile, explicit: Mapping[str, int] | None, reporter: Reporter
) -> tuple[int, ...]:
    """Return the band number of each name.

    In this order: the numbers given; the bands' descriptions; their colour interpretation; their position, in the
    model's own order where the file has as many bands as the model, else as red, green, blue, infrared, elevation.
    The alpha band is never taken unless its number is given.

    Args:
        names: Band names that the model wants, in its order.
        file: The image.
        explicit: Band numbers by name, from 1; or None.
        reporter: Is told the rule used, and warned where it is a guess.

    Raises:
        InputError: A band is missing; the message says what the model wants and what the file has.
    """
    if explicit is not None:
        numbers = _given(names, file, explicit)
        if len(set(numbers)) < len(numbers):
            reporter.warning(f"One band of {file.name} is used under several names: {_listing(names, numbers)}.")
        reporter.log(f"Bands of {file.name} as given: {_listing(names, numbers)}.")
        return numbers
    if len(file.data_bands) < len(names):
        raise _missing(names, file, f"has only {_count(len(file.data_bands))}")
    described, coloured = _told(file)
    told = {**coloured, **described}
    if all(name in told for name in names):
        numbers = tuple(told[name] for name in names)
        rule = "descriptions" if all(name in described for name in names) else "colour interpretation"
        reporter.log(f"Bands of {file.name} by their {rule}: {_listing(names, numbers)}.")
        if rule != "descriptions" and _FALSE_COLOUR.search(file.name.casefold()):
            reporter.warning(
                f"The name of {file.name} suggests colour-infrared, yet its bands are taken as "
                f"{_listing(names, numbers)}. If that is wrong, name them: {_example(names)}."
            )
        return numbers
    return _by_position(names, file, told, reporter)


def named_bands(file: RasterFile) -> dict[str, int]:
    """Return the number of every band that has a name, in the order of the file.

    Names are those of `resolve_bands`, then other descriptions as they stand. Bands without one are taken to be what
    their place in red, green, blue, infrared, elevation says, where that band is not found elsewhere and the file has
    3 to 5 bands. The alpha band has no name.

    Args:
        file: The image.

    Returns:
        Band numbers, from 1, by name; empty when no band has one.
    """
    described, coloured = _told(file)
    named = {number: name for name, number in {**coloured, **described}.items()}
    by_place = 3 <= len(file.data_bands) <= len(FLAIR_ORDER)
    for place, number in enumerate(file.data_bands):
        if number in named:
            continue
        text = " ".join(file.descriptions[number - 1].casefold().split())
        if text and not _NUMBERED.fullmatch(text):
            name = text
        elif by_place and file.interpretations[number - 1] in _MUTE:
            name = FLAIR_ORDER[place]
        else:
            continue
        if name not in named.values():
            named[number] = name
    return {named[number]: number for number in sorted(named)}


def _given(names: Sequence[str], file: RasterFile, explicit: Mapping[str, int]) -> tuple[int, ...]:
    for name in names:
        if name not in explicit:
            raise InputError(
                f"The bands given ({', '.join(f'{key}={value}' for key, value in explicit.items())}) lack '{name}', "
                f"which the model wants.",
                f"Name them all, for example {_example(names)}.",
            )
        if not 1 <= explicit[name] <= len(file.dtypes):
            raise InputError(
                f"Band {explicit[name]} was given for '{name}', but {file.name} has {_count(len(file.dtypes))}.",
                f"{file.name} has: {_contents(file)}.",
            )
    return tuple(explicit[name] for name in names)


def _told(file: RasterFile) -> tuple[dict[str, int], dict[str, int]]:
    """Return band numbers by name as descriptions, and as colour interpretation of undescribed bands, tell them."""
    described: dict[str, int] = {}
    coloured: dict[str, int] = {}
    for number in file.data_bands:
        name = band_name(file.descriptions[number - 1])
        if name is not None:
            described.setdefault(name, number)
    taken = set(described.values())
    for number in file.data_bands:
        name = _INTERPRETATIONS.get(file.interpretations[number - 1])
        if name is not None and number not in taken:
            coloured.setdefault(name, number)
    return described, coloured


def _by_position(
    names: Sequence[str], file: RasterFile, told: Mapping[str, int], reporter: Reporter
) -> tuple[int, ...]:
    same_count = len(file.data_bands) == len(names)
    order = tuple(names) if same_count else FLAIR_ORDER
    known = set(told.values())
    numbers: list[int] = []
    for name in names:
        if name in told:
            numbers.append(told[name])
            continue
        place = order.index(name) if name in order else len(file.data_bands)
        number = file.data_bands[place] if place < len(file.data_bands) else 0
        if not number or number in known or file.interpretations[number - 1] not in _MUTE:
            raise _missing(names, file, f"has no band known as '{name}'")
        numbers.append(number)
    text = f"The bands of {file.name} are taken by position: {_listing(names, numbers)}"
    if same_count and tuple(names) == FLAIR_ORDER:
        reporter.log(f"{text}.")
    else:
        reporter.warning(f"{text}. If that is wrong, name them: {_example(names)}.")
    return tuple(numbers)


def _missing(names: Sequence[str], file: RasterFile, what: str) -> InputError:
    hints = [f"Name the bands by number, for example {_example(names)}, or choose an image or a model that fits."]
    if file.alpha is not None and "infrared" in names:
        hints.append(
            f"If band {file.alpha}, marked as alpha (transparency), holds infrared, give infrared={file.alpha}."
        )
    if "palette" in file.interpretations:
        hints.append("An image with a palette must first be expanded: gdal_translate -expand rgb.")
    return InputError(
        f"The model wants the bands {', '.join(names)}, but {file.name} {what}; it holds: {_contents(file)}.",
        " ".join(hints),
    )


def _contents(file: RasterFile) -> str:
    kinds = zip(file.descriptions, file.interpretations, strict=True)
    return ", ".join(f"{n} ({text or kind})" for n, (text, kind) in enumerate(kinds, 1))


def _count(number: int) -> str:
    return "1 band" if number == 1 else f"{number} bands"


def _listing(names: Sequence[str], numbers: Sequence[int]) -> str:
    return ", ".join(f"{name}={number}" for name, number in zip(names, numbers, strict=True))


def _example(names: Sequence[str]) -> str:
    return "--bands " + ",".join(f"{name}={number}" for number, name in enumerate(names, 1))

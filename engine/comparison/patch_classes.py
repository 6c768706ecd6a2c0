"""What the codes of a data set's masks mean to a model."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.errors import InputError
from engine.events import Reporter
from engine.extraction.class_mapping import ClassMapping
from engine.nomenclature import IGNORE_INDEX, NODATA, Nomenclature


@dataclass(frozen=True)
class PatchClasses:
    """How masks are read.

    Args:
        table: Code in the masks to channel of the model, shape (256,), 255 for what is ignored.
        ignored: Codes in the masks that are not counted.
        notes: What a reader of the figures has to know.
    """

    table: npt.NDArray[np.uint8]
    ignored: frozenset[int]
    notes: tuple[str, ...]


def match_classes(
    data: Nomenclature,
    model: Nomenclature,
    classes: str | None,
    ignored: AbstractSet[int],
    pixels: npt.NDArray[np.int64],
    reporter: Reporter,
) -> PatchClasses:
    """Match the classes of masks with those of a model: as asked for, else by name, wherever the codes differ.

    Args:
        data: Classes of the masks.
        model: Classes of the model.
        classes: Codes or names of the data set, each with a code or name of the model, see `ClassMapping.parse`.
        ignored: Codes in the masks that are not counted.
        pixels: Pixels of the masks by code, shape (256,).
        reporter: Is told of codes that differ.

    Raises:
        InputError: Masks hold classes that the model lacks; all are listed with their pixels.
        RequestError: `classes` cannot be read.
    """
    mapping = ClassMapping.parse(classes, model)
    names = {item.code: item for item in data.classes}
    channels = {item.code: index for index, item in enumerate(model.classes)}
    by_name = {item.name.casefold(): item.code for item in model.classes}
    table = np.full(256, IGNORE_INDEX, dtype=np.uint8)
    unknown, moved, disabled = [], [], []
    for code in np.flatnonzero(pixels).tolist():
        if code == NODATA or code in ignored:
            continue
        item = names.get(code)
        name = item.name.casefold() if item else ""
        target = mapping.given.get(code, mapping.given.get(name) if name else None)
        if target is None:
            target = by_name.get(name)
        title = f"{code} {item.name}" if item else str(code)
        if target is None:
            unknown.append(f"{title} ({pixels[code]} pixels)")
        elif target != NODATA:
            table[code] = channels[target]
            if target != code:
                moved.append(f"{title} as {target} {model.classes[channels[target]].name}")
            if model.classes[channels[target]].disabled:
                disabled.append(f"{title} ({pixels[code]} pixels)")
    if unknown:
        raise InputError(
            f"The patches hold what is no class of the model: {', '.join(unknown)}.",
            "Map each to a class of the model with --classes, or leave it out with --ignore. The model has: "
            f"{', '.join(f'{item.code} {item.name}' for item in model.classes)}.",
        )
    if moved:
        reporter.log(f"Classes with other codes in the model: {', '.join(moved)}.")
    notes = (f"The model never predicts {', '.join(disabled)}: left out by most definitions.",) if disabled else ()
    return PatchClasses(table, frozenset(ignored), notes)

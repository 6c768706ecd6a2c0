"""Pixels of a raster as class codes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import InputError
from engine.nomenclature import Nomenclature

# In place of values that no uint8 can hold: never a class.
_NO_CODE = 255


def check_whole(values: npt.NDArray[Any], valid: npt.NDArray[np.bool_], what: str) -> None:
    """Check that pixels are whole numbers.

    Args:
        values: Pixels, of any shape.
        valid: Likewise; False where there is no data.
        what: What errors call the raster, at the beginning of a sentence.

    Raises:
        InputError: They are not.
    """
    if values.dtype.kind == "f" and (values[valid] != np.rint(values[valid])).any():
        broken = float(values[valid & (values != np.rint(values))][0])
        raise InputError(
            f"{what} holds fractions such as {broken:g}, which are no class codes.",
            "Choose a class raster, not a confidence or an elevation.",
        )


def class_codes(
    values: npt.NDArray[Any], valid: npt.NDArray[np.bool_], nomenclature: Nomenclature, what: str
) -> tuple[npt.NDArray[np.uint8], dict[int, int]]:
    """Return pixels as codes.

    Args:
        values: Pixels of one band, shape (height, width).
        valid: Likewise; False where there is no data.
        nomenclature: The classes.
        what: What errors call the raster, at the beginning of a sentence.

    Returns:
        Codes, uint8 of shape (height, width), 0 where there is no data; and the pixels by value of what is no class of
        the nomenclature. Values that no uint8 can hold have become 255.

    Raises:
        InputError: The raster holds fractions.
    """
    check_whole(values, valid, what)
    known = np.zeros(256, dtype=np.bool_)
    known[[0, *nomenclature.codes]] = True
    if values.dtype == np.uint8:
        codes = np.where(valid, values, 0).astype(np.uint8, copy=False)
        counts = np.bincount(codes.ravel(), minlength=256)
        return codes, {int(code): int(counts[code]) for code in np.flatnonzero(~known & (counts > 0))}
    fits = valid & (values >= 0) & (values <= 255)
    codes = np.where(fits, values, _NO_CODE).astype(np.uint8)
    codes[~valid] = 0
    odd = valid & ~(fits & known[codes])
    if not odd.any():
        return codes, {}
    found, counts = np.unique(values[odd], return_counts=True)
    return codes, {int(value): int(count) for value, count in zip(found, counts, strict=True)}


def strange_values(strange: Counter[int], most: int = 6) -> str:
    """Return values that are no class with their pixels, the most frequent first, such as `7 (12 pixels)`."""
    shown = ", ".join(f"{value} ({count} pixels)" for value, count in strange.most_common(most))
    return shown + (f" and {len(strange) - most} more" if len(strange) > most else "")

"""FLAIR #2's satellite files: one series over a whole area, and where each aerial patch lies in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.data.time_series.days import days_to_mid_may
from engine.data.time_series.series import TimeSeries, clear_dates
from engine.errors import InputError

SIDE = 40
DATA = "data.npy"
"""End of the names of the files with the pixels."""
_AGAIN = "Download or unpack the satellite files again."


@dataclass(frozen=True)
class SuperPatch:
    """The three files of an area.

    Args:
        data: `.npy`, shape (T, bands, H, W).
        masks: `.npy`, per cent of snow and of cloud, shape (T, 2, H, W).
        products: Names of the T products, one a line, month and day at their characters 15 to 18 counted from 0.
    """

    data: Path
    masks: Path
    products: Path

    @staticmethod
    def find(folder: Path) -> SuperPatch:
        """Find the files of an area, in the folder or below it.

        Raises:
            InputError: A file is missing, or there are several of a kind.
        """
        found = []
        for ending in (DATA, "masks.npy", "products.txt"):
            files = sorted(folder.rglob(f"*{ending}"))
            if len(files) != 1:
                raise InputError(
                    f"'{folder}' holds {len(files)} files '*{ending}' instead of one.",
                    "Name the folder of one area, such as sen/D004_2021/Z1_NN.",
                )
            found.append(files[0])
        return SuperPatch(*found)

    def cut(
        self, row: int, column: int, side: int = SIDE, *, clear_only: bool = True, monthly: bool = True
    ) -> TimeSeries:
        """Return the series around a patch's centre; only its part of the files is read.

        Args:
            row: Row of the centre: the first below it.
            column: Column of the centre: the first to its right.
            side: Rows and columns to cut, even.
            clear_only: Drop dates under snow and clouds, judged by the part that is cut.
            monthly: Average by month.

        Raises:
            InputError: A file is damaged or does not fit the others, or the part reaches beyond the area.
        """
        data, masks = open_array(self.data), open_array(self.masks, 2)
        places = read_products(self.products)
        if not len(data) == len(masks) == len(places) or data.shape[2:] != masks.shape[2:]:
            raise InputError(
                f"'{self.data.name}' holds {len(data)} dates of {data.shape[2]} x {data.shape[3]} pixels, "
                f"'{self.masks.name}' {len(masks)} of {masks.shape[2]} x {masks.shape[3]} and '{self.products.name}' "
                f"{len(places)}.",
                _AGAIN,
            )
        top, left = row - side // 2, column - side // 2
        if side % 2 or min(top, left) < 0 or top + side > data.shape[2] or left + side > data.shape[3]:
            raise InputError(
                f"{side} x {side} pixels around row {row}, column {column} are not all in '{self.data.name}' of "
                f"{data.shape[2]} x {data.shape[3]} pixels.",
                "Take fewer pixels around a patch, an even number of them.",
            )
        part = (slice(None), slice(None), slice(top, top + side), slice(left, left + side))
        # Chosen before the pixels are read: most of a winter is cloud.
        keep = clear_dates(np.asarray(masks[part])) if clear_only else np.ones(len(data), dtype=np.bool_)
        series = TimeSeries(
            np.asarray(data[part][keep], dtype=np.float32),
            np.array([days_to_mid_may(*place) for place in places], dtype=np.int64)[keep],
            np.array([month for month, _ in places], dtype=np.int64)[keep],
        )
        return series.by_month() if monthly else series


def read_products(path: Path) -> list[tuple[int, int]]:
    """Return month and day of each product of a list.

    Raises:
        InputError: The file cannot be read, or a line has no month and day at their place.
    """
    found = []
    for number, line in enumerate(_text(path).splitlines(), 1):
        digits = line[15:19]
        if not (len(digits) == 4 and digits.isdecimal()):
            raise InputError(
                f"Line {number} of '{path.name}' has no month and day at characters 15 to 18: {line[:60]!r}.", _AGAIN
            )
        place = int(digits[:2]), int(digits[2:])
        days_to_mid_may(*place)
        found.append(place)
    return found


def read_centroids(path: Path) -> dict[str, tuple[int, int]]:
    """Return the row and column of each patch's centre in its area, by name of the aerial file.

    Raises:
        InputError: The file is no such JSON.
    """
    values = read_json(path)
    try:
        return {str(name): (int(place[0]), int(place[1])) for name, place in values.items()}
    except (TypeError, ValueError, IndexError, KeyError) as error:
        raise InputError(f"'{path.name}' does not give a row and a column for each patch.", _AGAIN) from error


def read_json(path: Path) -> dict[str, Any]:
    """Return the object that a JSON file holds.

    Raises:
        InputError: The file cannot be read or holds something else.
    """
    try:
        values = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"'{path}' is no JSON file.", _AGAIN) from error
    if not isinstance(values, dict):
        raise InputError(f"'{path}' does not name patches.", _AGAIN)
    return values


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror}.", "Check the path.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"'{path}' is not a text file.", _AGAIN) from error


def open_array(path: Path, channels: int | None = None) -> npt.NDArray[Any]:
    """Open dates of bands of pixels, shape (T, bands, H, W), without reading them.

    Args:
        path: `.npy` file.
        channels: Number of bands that it has to have; None for any.

    Raises:
        InputError: The file cannot be read or holds something else.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"'{path}' cannot be read: {error}.", _AGAIN) from error
    if not isinstance(array, np.ndarray) or array.ndim != 4 or (channels is not None and array.shape[1] != channels):
        raise InputError(f"'{path}' does not hold dates of {channels or 'some'} bands of pixels.", _AGAIN)
    return array

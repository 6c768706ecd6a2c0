"""Samples of the inputs: what the checks look at, and what a conversion to 8 bits is measured from."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import InputError
from engine.preparation.checks import (
    Finding,
    OrderCheck,
    check_heights,
    check_infrared_alone,
    check_order,
)
from engine.preparation.sources import COLOURS
from engine.preparation.stack import Stack, StackReaders, sample_windows
from engine.preparation.stretch import Stretch, measure_stretch
from engine.rasters.parallel import each
from engine.rasters.windows import PixelWindow

SIDE = 256
MOST_WINDOWS = 32
# Enough for a correlation to two digits; more would only take memory.
_MOST_COMPARED = 400_000


@dataclass(frozen=True)
class Samples:
    """Valid pixels of the inputs, as they are in the files.

    Args:
        colours: Red, green, blue, shape (3, pixels).
        infrared: Near infrared, or near infrared, red, green, of the same pixels, shape (1 or 3, pixels); or None.
        metres: Heights above ground where there is one, shape (heights,); or None.
    """

    colours: npt.NDArray[Any]
    infrared: npt.NDArray[Any] | None
    metres: npt.NDArray[np.float64] | None

    def stretches(
        self,
        stack: Stack,
        percentiles: tuple[float, float] | None,
        value_range: tuple[float, float] | None,
    ) -> dict[str, Stretch]:
        """Return how the bands of more than 8 bits become 8 bits; empty where all have 8."""
        wide: dict[str, npt.NDArray[Any]] = {}
        if stack.image.dtype != "uint8":
            wide.update(zip(COLOURS, self.colours, strict=True))
        if stack.infrared and stack.infrared.dtype != "uint8" and self.infrared is not None:
            wide["infrared"] = self.infrared[0]
        return measure_stretch(wide, percentiles, value_range)

    def check_infrared(self, numbers: tuple[int, ...]) -> OrderCheck | None:
        """Return what the order of the infrared bands is like, or None without infrared.

        Args:
            numbers: Band numbers of near infrared, red, green, or of infrared alone.
        """
        step = max(1, self.colours.shape[1] // _MOST_COMPARED)
        colours = self.colours[:, ::step]
        if self.infrared is None:
            return None
        if len(self.infrared) > 1:
            return check_order(colours, self.infrared[:, ::step], numbers)
        findings = tuple(check_infrared_alone(colours, self.infrared[0, ::step]))
        return OrderCheck(float("nan"), float("nan"), findings)

    def check_heights(self, *, difference: bool, unit_told: bool) -> list[Finding]:
        """Return findings on the heights; see `engine.preparation.checks.check_heights`."""
        if self.metres is None:
            return []
        return check_heights(self.metres, difference=difference, unit_told=unit_told)


def take_samples(stack: Stack, progress: Callable[[float], None], cancelled: threading.Event) -> Samples:
    """Read all of a small image, and windows spread over a large one.

    Raises:
        Cancelled: `cancelled` was set.
        InputError: A file cannot be read, or no pixel of the image holds data.
    """

    def look(window: PixelWindow) -> tuple[npt.NDArray[Any], ...] | None:
        raw = readers.get().read(window, all_infrared=True)
        if raw is None:
            return None
        valid = raw.valid if raw.infrared_valid is None else raw.valid & raw.infrared_valid
        metres = raw.heights.metres[valid & raw.heights.known] if raw.heights else np.empty(0)
        infrared = raw.infrared[:, valid] if raw.infrared is not None else np.empty((1, 0))
        return raw.colours[:, valid], infrared, metres

    windows = sample_windows(stack, SIDE, MOST_WINDOWS)
    found = []
    with StackReaders(stack) as readers:
        for number, (_, taken) in enumerate(each(look, windows, cancelled), 1):
            progress(number / len(windows))
            if taken is not None:
                found.append(taken)
    if not any(taken[0].size for taken in found):
        raise InputError(
            "No pixel of the orthophoto that was looked at holds data" + (" and infrared." if stack.infrared else "."),
            "Check the nodata value, the extent, and that the inputs show the same place.",
        )
    colours, infrared, metres = (np.concatenate(parts, axis=-1) for parts in zip(*found, strict=True))
    return Samples(
        colours,
        infrared if stack.infrared else None,
        metres if stack.heights else None,
    )

"""Sums up what was compared block by block or patch by patch, and keeps the worst ones."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from engine.evaluation.bootstrap import Intervals, bootstrap
from engine.evaluation.confusion import ConfusionMatrix
from engine.evaluation.verdicts import IGNORED, WRONG, verdict_table
from engine.nomenclature import NODATA, Nomenclature

Codes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]
Place = TypeVar("Place")

# Matrices to draw from: more make no better interval, and each takes (K + 1)^2 numbers of 8 bytes.
_MOST_UNITS, _FEWEST_UNITS = 4096, 64
_UNIT_BYTES = 1 << 27


@dataclass(frozen=True)
class Compared:
    """What comparing some pixels gave.

    Args:
        cells: Positions in the flattened matrix (K + 1, K + 1) that have pixels.
        counts: Their pixels.
        wrong: Pixels whose prediction is wrong.
        judged: Pixels whose prediction is right or wrong.
    """

    cells: Integers
    counts: Integers
    wrong: int
    judged: int


class Comparer:
    """Compares codes; safe to call from several threads.

    Args:
        nomenclature: The classes.
        definition: Name of a rule, see `engine.evaluation.definitions.DEFINITIONS`.

    Raises:
        RequestError: The definition does not suit the classes.
    """

    def __init__(self, nomenclature: Nomenclature, definition: str) -> None:
        self.nomenclature = nomenclature
        self.definition = definition
        self._verdicts = verdict_table(nomenclature, definition).ravel()

    def verdicts(self, truth: Codes, predicted: Codes) -> Codes:
        """Return `IGNORED`, `RIGHT` or `WRONG` for each pixel.

        Args:
            truth: Codes of any shape, 0 where nothing is known.
            predicted: Codes of the same shape, 0 where nothing was predicted.
        """
        pairs = truth.astype(np.uint16)
        pairs <<= 8
        pairs |= predicted
        found: Codes = self._verdicts[pairs]
        return found

    def compare(self, truth: Codes, predicted: Codes, verdicts: Codes) -> Compared:
        """Count the pixels that have a truth; all arrays are of one shape."""
        known = truth != NODATA
        matrix = ConfusionMatrix(self.nomenclature)
        matrix.add_codes(truth[known], predicted[known])
        flat = matrix.counts.ravel()
        cells = np.flatnonzero(flat)
        judged = int(np.count_nonzero(verdicts != IGNORED))
        return Compared(cells, flat[cells], int(np.count_nonzero(verdicts == WRONG)), judged)


@dataclass(frozen=True)
class Worst(Generic[Place]):
    """A block or patch with many wrong pixels.

    Args:
        place: Where it is.
        wrong: Pixels whose prediction is wrong.
        judged: Pixels whose prediction is right or wrong.
    """

    place: Place
    wrong: int
    judged: int


class Tally(Generic[Place]):
    """The sum of all comparisons; use it in one thread.

    Args:
        nomenclature: The classes.
        units: Number of matrices that intervals are drawn from.
        kept: Number of the worst places that are kept.
    """

    def __init__(self, nomenclature: Nomenclature, units: int, kept: int) -> None:
        self._size = len(nomenclature.classes) + 1
        self._nomenclature = nomenclature
        self._units: Integers = np.zeros((units, self._size**2), dtype=np.int64)
        self._kept = kept
        self._heap: list[tuple[int, int, int, Place]] = []
        self._number = 0

    @property
    def matrix(self) -> ConfusionMatrix:
        """The sum."""
        matrix = ConfusionMatrix(self._nomenclature)
        matrix.add_matrix(self._units.sum(axis=0).reshape(self._size, self._size))
        return matrix

    @property
    def worst(self) -> list[Worst[Place]]:
        """Places with wrong pixels, those with most first."""
        order = sorted(self._heap, key=lambda item: (-item[0], -item[1]))
        return [Worst(place, wrong, judged) for wrong, _, judged, place in order]

    @property
    def units(self) -> Integers:
        """The matrices that intervals are drawn from, int64 of shape (units, (K + 1)^2); a copy."""
        units: Integers = self._units.copy()
        return units

    def add_units(self, units: Integers) -> None:
        """Add what an earlier tally of the same shape had counted.

        Raises:
            ValueError: It has another shape.
        """
        if units.shape != self._units.shape:
            raise ValueError(f"Expected {self._units.shape}, not {units.shape}")
        self._units += units

    def add(self, unit: int, compared: Compared, place: Callable[[], Place]) -> None:
        """Add pixels.

        Args:
            unit: Number of the matrix that they belong to.
            compared: What comparing them gave.
            place: Gives where they are; called only when it is kept, since it may hold pictures.
        """
        self._units[unit, compared.cells] += compared.counts
        self._number += 1
        if not compared.wrong or not self._kept:
            return
        # Of equal ones the earlier stays; no two have the same number, so that places are never compared.
        ranked = (compared.wrong, -self._number, compared.judged)
        if len(self._heap) < self._kept:
            heapq.heappush(self._heap, (*ranked, place()))
        elif ranked > self._heap[0][:3]:
            heapq.heapreplace(self._heap, (*ranked, place()))

    def intervals(self, definition: str, seed: int) -> Intervals | None:
        """Return bootstrap intervals over the units; None where there are fewer than two."""
        return bootstrap(self._units.reshape(-1, self._size, self._size), self._nomenclature, definition, seed)


def most_units(classes: int) -> int:
    """Return how many matrices of K classes may be held."""
    return int(np.clip(_UNIT_BYTES // ((classes + 1) ** 2 * 8), _FEWEST_UNITS, _MOST_UNITS))

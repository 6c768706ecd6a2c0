"""How far figures would differ on other pixels of the same kind: bootstrap intervals over blocks or patches.

Neighbouring pixels are alike, so that pixels must not be drawn one by one: whole blocks are (block bootstrap, P. Hall,
1985; percentile intervals, B. Efron, 1979).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.evaluation.confusion import ConfusionMatrix
from engine.evaluation.scores import Scores, score
from engine.nomenclature import Nomenclature

REPLICATES = 1000
LEVEL = 0.95
MEANS = ("miou", "overall_accuracy", "fscore", "precision", "recall", "kappa")
_AT_ONCE = 50

Interval = tuple[float, float]


@dataclass(frozen=True)
class Intervals:
    """Intervals that hold 95 % of the figures of redrawn samples; no interval where a figure has no value.

    Args:
        units: Number of blocks or patches that were drawn from.
        means: Lower and upper end by the name of the figure, see `MEANS`.
        iou: Lower and upper end of the IoU by class code.
    """

    units: int
    means: dict[str, Interval]
    iou: dict[int, Interval]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        return {
            "level": LEVEL,
            "replicates": REPLICATES,
            "units": self.units,
            **{name: list(ends) for name, ends in self.means.items()},
            "iou": {str(code): list(ends) for code, ends in self.iou.items()},
        }


def bootstrap(
    matrices: npt.NDArray[np.int64], nomenclature: Nomenclature, definition: str, seed: int
) -> Intervals | None:
    """Return the intervals of all figures of the sum of some matrices.

    Args:
        matrices: One confusion matrix a block or patch, shape (n, K + 1, K + 1); empty ones are left out.
        nomenclature: The K classes.
        definition: Name of a rule, see `engine.evaluation.definitions.DEFINITIONS`.
        seed: Seed of the drawing; the same one gives the same intervals.

    Returns:
        The intervals; None with fewer than two units, which say nothing about others.
    """
    size = matrices.shape[1]
    flat = matrices.reshape(len(matrices), -1)
    flat = flat[flat.any(axis=1)]
    units = len(flat)
    if units < 2:
        return None
    used = np.flatnonzero(flat.any(axis=0))
    # As floats the product goes through BLAS; whole numbers below 2**53 stay exact.
    part = flat[:, used].astype(np.float64)
    rng = np.random.default_rng(seed)
    drawn: list[Scores] = []
    for start in range(0, REPLICATES, _AT_ONCE):
        times = rng.multinomial(units, np.full(units, 1 / units), size=min(_AT_ONCE, REPLICATES - start))
        for row in (times.astype(np.float64) @ part).astype(np.int64):
            counts = np.zeros(size * size, dtype=np.int64)
            counts[used] = row
            matrix = ConfusionMatrix(nomenclature)
            matrix.add_matrix(counts.reshape(size, size))
            drawn.append(score(matrix, definition))
    means = {name: ends for name in MEANS if (ends := _ends([getattr(item, name) for item in drawn]))}
    iou: dict[int, Interval] = {}
    for index, item in enumerate(drawn[0].classes):
        if ends := _ends([one.classes[index].iou for one in drawn]):
            iou[item.code] = ends
    return Intervals(units, means, iou)


def _ends(values: list[float]) -> Interval | None:
    """Return the percentiles that leave out the same share on both sides; None where no value is a number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        low, high = np.nanpercentile(values, [50 * (1 - LEVEL), 100 - 50 * (1 - LEVEL)])
    return None if np.isnan(low) else (float(low), float(high))

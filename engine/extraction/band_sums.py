"""Mean and deviation of bands from sums over patches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.band import Band

# A band that is the same everywhere cannot be divided by its deviation.
_LEAST_DEVIATION = 1e-3


@dataclass(frozen=True)
class BandSums:
    """Valid pixels of one patch, or of several together.

    Args:
        count: Pixels.
        mean: Mean of each band.
        squares: Sum of the squared differences from the mean, of each band.
        low: Least value of each band.
        high: Greatest value of each band.
    """

    count: int
    mean: tuple[float, ...]
    squares: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def of(cls, values: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> BandSums:
        """Return the sums of a patch.

        Args:
            values: Pixels, shape (bands, height, width).
            valid: Which of them count, shape (height, width).
        """
        count = int(valid.sum())
        if not count:
            nothing = (0.0,) * len(values)
            return cls(0, nothing, nothing, nothing, nothing)
        found: list[tuple[float, float, float, float]] = []
        # Band by band: all of a patch in float64 would be the largest array of all.
        for band in values:
            pixels = band[valid].astype(np.float64)
            low, high, mean = float(pixels.min()), float(pixels.max()), float(pixels.mean())
            pixels -= mean
            found.append((mean, float(np.dot(pixels, pixels)), low, high))
        means, squares, lows, highs = zip(*found, strict=True)
        return cls(count, means, squares, lows, highs)


def band_statistics(sums: Iterable[BandSums], names: Sequence[str], dtype: str) -> tuple[Band, ...]:
    """Return the statistics of all pixels together.

    Merged pairwise (Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm for computing sample variances,
    1979), so that the deviation keeps its digits however many patches there are.

    Args:
        sums: Sums of the patches.
        names: Band names, in their order.
        dtype: Type of the pixels; bands of 8 bits range from 0 to 255 whatever these patches hold.
    """
    count, mean, squares = 0, np.zeros(len(names)), np.zeros(len(names))
    low, high = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    for part in sums:
        if not part.count:
            continue
        difference = np.asarray(part.mean) - mean
        total = count + part.count
        mean = mean + difference * part.count / total
        squares = squares + np.asarray(part.squares) + difference**2 * count * part.count / total
        low, high = np.minimum(low, part.low), np.maximum(high, part.high)
        count = total
    deviation = np.sqrt(squares / max(1, count))
    eight_bits = dtype == "uint8"
    return tuple(
        Band(
            name,
            float(mean[index]),
            float(max(deviation[index], _LEAST_DEVIATION)),
            0.0 if eight_bits or not count else float(low[index]),
            255.0 if eight_bits or not count else float(high[index]),
        )
        for index, name in enumerate(names)
    )

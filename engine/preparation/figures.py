"""What a finished image is like, in figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.preparation.heights import HeightFlag
from engine.preparation.sources import COLOURS
from engine.preparation.stack import INFRARED_MISSING

# A constant band has no spread but that of rounding.
_NO_SPREAD = 1e-6


@dataclass(frozen=True)
class BandFigures:
    """One band's valid pixels.

    Args:
        name: Its name.
        mean: Mean; NaN without a pixel.
        deviation: Standard deviation.
        minimum: Smallest value.
        maximum: Largest value.
        at_0: Share of pixels at 0.
        at_255: Share of pixels at 255.
    """

    name: str
    mean: float
    deviation: float
    minimum: int
    maximum: int
    at_0: float
    at_255: float


class Figures:
    """Counts of an image, added window by window.

    Args:
        bands: Names of its bands.
    """

    def __init__(self, bands: Sequence[str]) -> None:
        self.bands = tuple(bands)
        self.pixels = 0
        self.valid = 0
        self.without_infrared = 0
        self.heights = dict.fromkeys(HeightFlag, 0)
        self._histograms = np.zeros((len(bands), 256), dtype=np.int64)
        self._sums = np.zeros(len(bands), dtype=np.float64)
        self._products = np.zeros((len(bands), len(bands)), dtype=np.float64)

    def add(self, image: npt.NDArray[np.uint8], valid: npt.NDArray[np.bool_], flags: npt.NDArray[np.uint8]) -> None:
        """Count a window.

        Args:
            image: Shape (bands, height, width).
            valid: Shape (height, width).
            flags: `HeightFlag` of valid pixels, `INFRARED_MISSING` of pixels left out; shape (height, width).
        """
        values = image[:, valid]
        self.valid += values.shape[1]
        for index, band in enumerate(values):
            self._histograms[index] += np.bincount(band, minlength=256)
        exact = values.astype(np.float64)
        self._sums += exact.sum(axis=1)
        self._products += exact @ exact.T
        counts = np.bincount(flags.ravel(), minlength=256)
        self.without_infrared += int(counts[INFRARED_MISSING])
        values_of = np.arange(256)
        for flag in HeightFlag:
            hit = ((values_of & flag.value) > 0) & (values_of < INFRARED_MISSING)
            self.heights[flag] += int(counts[hit].sum())

    def band(self, name: str) -> BandFigures:
        """Return the figures of a band."""
        histogram = self._histograms[self.bands.index(name)]
        total = int(histogram.sum())
        if not total:
            return BandFigures(name, float("nan"), float("nan"), 0, 0, 0.0, 0.0)
        values = np.arange(256)
        mean = float((histogram * values).sum() / total)
        deviation = float(np.sqrt((histogram * (values - mean) ** 2).sum() / total))
        present = np.flatnonzero(histogram)
        return BandFigures(
            name,
            mean,
            deviation,
            int(present[0]),
            int(present[-1]),
            float(histogram[0] / total),
            float(histogram[255] / total),
        )

    def share(self, flag: HeightFlag) -> float:
        """Return the share of valid pixels with a flag."""
        return self.heights[flag] / self.valid if self.valid else 0.0

    def correlations(self) -> dict[str, float]:
        """Return the correlation of infrared with each colour; empty without infrared."""
        if "infrared" not in self.bands or not self.valid:
            return {}
        covariance = self._products / self.valid - np.outer(self._sums, self._sums) / self.valid**2
        at = self.bands.index("infrared")
        result: dict[str, float] = {}
        for name in COLOURS:
            other = self.bands.index(name)
            spread = covariance[at, at] * covariance[other, other]
            result[name] = float(covariance[at, other] / np.sqrt(spread)) if spread > _NO_SPREAD else float("nan")
        return result

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON values."""
        return {
            "pixels": self.pixels,
            "valid": self.valid,
            "without_infrared": self.without_infrared,
            "without_height": self.heights[HeightFlag.MISSING],
            "filled_height": self.heights[HeightFlag.FILLED],
            "below_ground": self.heights[HeightFlag.BELOW_GROUND],
            "absurd_height": self.heights[HeightFlag.ABSURD],
        }

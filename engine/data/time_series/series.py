"""A series of satellite images, whole, by month and in batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from engine.data.read_cache import Source
from engine.data.time_series.days import days_to_mid_may

if TYPE_CHECKING:
    import torch

Pixels = npt.NDArray[Any]
Days = npt.NDArray[np.int64]

# Per cent from which on a pixel counts as covered, and the share of covered pixels from which on a date is dropped.
COVERED, DROPPED_FROM = 60, 0.5


@dataclass(frozen=True)
class TimeSeries:
    """Satellite images of the same ground.

    Args:
        pixels: Shape (T, bands, S, S), float32, as stored; T may be 0.
        days: Days from each date to 15 May, shape (T,).
        months: Month of each date, 1 to 12, shape (T,).
    """

    pixels: Pixels
    days: Days
    months: Days

    @property
    def dates(self) -> int:
        """Number of dates T."""
        return len(self.days)

    def chosen(self, keep: npt.NDArray[np.bool_]) -> TimeSeries:
        """Return the dates that `keep` (T,) marks."""
        return TimeSeries(self.pixels[keep], self.days[keep], self.months[keep])

    def by_month(self) -> TimeSeries:
        """Return the mean of each month that has a date, at the 15th: 12 dates at the most."""
        months = np.unique(self.months)
        means = [self.pixels[self.months == month].mean(axis=0, dtype=np.float64) for month in months]
        return TimeSeries(
            np.stack(means).astype(np.float32) if means else self.pixels,
            np.array([days_to_mid_may(int(month), 15) for month in months], dtype=np.int64),
            months,
        )


SeasonSource = Source[TimeSeries]
"""Seasons by number of the patch that they are centred on."""


def clear_dates(masks: Pixels) -> npt.NDArray[np.bool_]:
    """Return which dates show enough of the ground, shape (T,).

    A date is dropped when pixels with 60 per cent of snow or more, and those with 60 per cent of cloud or more, are
    together half of all or more; a pixel with both counts twice (as in the FLAIR #2 baseline).

    Args:
        masks: Per cent of snow and of cloud, shape (T, 2, H, W), 0 to 100.
    """
    covered = (masks >= COVERED).sum(axis=(1, 2, 3))
    return np.asarray(covered / (masks.shape[2] * masks.shape[3]) < DROPPED_FROM)


def batch_series(series: Sequence[TimeSeries]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Put series of different lengths into one batch, the shorter ones padded at their end.

    Args:
        series: One of each item, of the same bands and size.

    Returns:
        Pixels (B, T, bands, S, S) float32, days (B, T) float32 and which dates are none of the padding (B, T) bool;
        T is the longest series.
    """
    # Whoever cuts, checks or prepares a series has no use for it, and it takes a second to load.
    import torch

    length = max(item.dates for item in series)
    pixels = torch.zeros(len(series), length, *series[0].pixels.shape[1:])
    days = torch.zeros(len(series), length)
    valid = torch.zeros(len(series), length, dtype=torch.bool)
    for place, item in enumerate(series):
        pixels[place, : item.dates] = torch.from_numpy(np.ascontiguousarray(item.pixels, dtype=np.float32))
        days[place, : item.dates] = torch.from_numpy(item.days)
        valid[place, : item.dates] = True
    return pixels, days, valid

"""A look at every patch's season before anything is learnt: what is wrong, and what the bands hold."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.band import Band
from engine.data.folder_check import in_parallel
from engine.data.time_series.series import SeasonSource
from engine.errors import InputError
from engine.events import Reporter

# As many problems as a person reads; the rest is counted.
SHOWN = 20
_LEAST_DEVIATION = 1e-3

Sums = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SeasonIndex:
    """What the seasons of a data set hold.

    Args:
        bands: Statistics of the training patches' satellite bands.
        dates: Number of dates of each patch by split, after clouds and means by month.
    """

    bands: tuple[Band, ...]
    dates: dict[str, npt.NDArray[np.int64]]


@dataclass(frozen=True)
class _Found:
    dates: int = 0
    sums: Sums | None = None
    problem: str = ""


def index_seasons(
    sources: Mapping[str, tuple[SeasonSource, int]],
    names: Sequence[str],
    reporter: Reporter,
    cancelled: threading.Event,
    span: tuple[float, float] = (0.0, 1.0),
) -> SeasonIndex:
    """Read every season.

    Args:
        sources: Seasons and number of patches by split; `train` is there.
        names: Names of the bands.
        reporter: Receives progress, and is told of patches without a date.
        cancelled: Set to stop.
        span: Part of the progress bar that this takes.

    Raises:
        InputError: Seasons are missing or cannot be read, all of which are listed, or no training patch has a date.
        Cancelled: `cancelled` was set.
    """
    patches = [(split, index) for split, (_, number) in sources.items() for index in range(number)]

    def tell(done: int, left: float | None) -> None:
        share = span[0] + (span[1] - span[0]) * done / len(patches)
        reporter.progress(share, f"Looking at the season, {done} of {len(patches)} patches", left)

    looks = in_parallel(lambda patch: _look(sources[patch[0]][0], patch[1]), patches, tell, cancelled)
    found: dict[str, list[_Found]] = {split: [] for split in sources}
    for (split, _), look in zip(patches, looks, strict=True):
        found[split].append(look)
    problems = [item.problem for item in looks if item.problem]
    if problems:
        raise _listed(problems)
    dates = {split: np.array([item.dates for item in items], dtype=np.int64) for split, items in found.items()}
    if not dates["train"].any():
        raise InputError(
            "No satellite image shows all the ground of a training patch.",
            "Check that the images lie where the patches do and reach some hundred metres beyond them, or choose a "
            "smaller --satellite-side.",
        )
    for split, numbers in dates.items():
        without = int((numbers == 0).sum())
        if without:
            reporter.warning(
                f"{without} of {len(numbers)} {split} patches have no satellite image that shows all their ground; the "
                "aerial image alone answers for them."
            )
    return SeasonIndex(_bands(names, [item.sums for item in found["train"] if item.sums is not None]), dates)


def _look(source: SeasonSource, index: int) -> _Found:
    try:
        series = source.read(index)
    except InputError as error:
        return _Found(problem=f"{error.message.rstrip('.')}. {error.hint}".strip())
    if not series.dates:
        return _Found()
    values = series.pixels.astype(np.float64)
    around = (0, 2, 3)
    size = np.full(values.shape[1], values.size / values.shape[1])
    sums = np.stack([size, values.sum(around), np.square(values).sum(around), values.min(around), values.max(around)])
    return _Found(series.dates, sums)


def _bands(names: Sequence[str], parts: list[Sums]) -> tuple[Band, ...]:
    stacked = np.stack(parts)
    size, total, squares = stacked[:, :3].sum(axis=0)
    low, high = stacked[:, 3].min(axis=0), stacked[:, 4].max(axis=0)
    mean = total / size
    deviation = np.sqrt(np.maximum(squares / size - mean**2, 0.0))
    return tuple(
        Band(name, float(mean[at]), float(max(deviation[at], _LEAST_DEVIATION)), float(low[at]), float(high[at]))
        for at, name in enumerate(names)
    )


def _listed(problems: Sequence[str]) -> InputError:
    # Patches of one area share their trouble.
    different = list(dict.fromkeys(problems))
    lines = [f"  - {problem}" for problem in different[:SHOWN]]
    if len(different) > SHOWN:
        lines.append(f"  - and {len(different) - SHOWN} more")
    text = "1 patch has" if len(problems) == 1 else f"{len(problems)} patches have"
    return InputError(
        f"{text} no usable season:\n" + "\n".join(lines) + "\n", "Leave these patches out, or get their files."
    )

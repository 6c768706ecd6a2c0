"""Snow and clouds: from what products say of them to per cent, and the rule by which dates are dropped."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.data.time_series.series import COVERED, DROPPED_FROM

# Values of the scene classification: clouds of medium and of high probability, cirrus; snow.
SCENE_CLOUDS, SCENE_SNOW = (8, 9, 10), 11
# Bits of Theia's masks: any cloud but the thinnest; snow.
THEIA_CLOUD, THEIA_SNOW = 2, 4
# FLAIR #2 judges the 40 x 40 satellite pixels around a patch.
BOX = 40
_Mask = npt.NDArray[np.uint8]


def cover(kind: str, values: npt.NDArray[Any]) -> tuple[str, _Mask]:
    """Return whether a mask tells of snow or of cloud, and per cent of it, 0 to 100.

    Args:
        kind: `cloud` or `snow` (probabilities), `theia_cloud` or `theia_ground`; `scene` tells of both, see `scene`.
        values: Its values, shape (H, W).
    """
    if kind == "theia_cloud":
        return "cloud", _all_or_nothing((values.astype(np.int64) & THEIA_CLOUD) > 0)
    if kind == "theia_ground":
        return "snow", _all_or_nothing((values.astype(np.int64) & THEIA_SNOW) > 0)
    return kind, np.clip(values, 0, 100).astype(np.uint8)


def scene(values: npt.NDArray[Any]) -> _Mask:
    """Return per cent of snow and of cloud for values of a scene classification, shape (2, H, W)."""
    return np.stack([_all_or_nothing(values == SCENE_SNOW), _all_or_nothing(np.isin(values, SCENE_CLOUDS))])


def _all_or_nothing(where: npt.NDArray[np.bool_]) -> _Mask:
    return np.where(where, 100, 0).astype(np.uint8)


def covered_shares(masks: _Mask) -> npt.NDArray[np.float32]:
    """Return the share of pixels under snow and cloud in the box around each pixel, cut at the edges, shape (H, W).

    Pixels with 60 per cent of both count twice, as in FLAIR #2's baseline.

    Args:
        masks: Per cent of snow and of cloud, shape (2, H, W).
    """
    counts = (masks >= COVERED).sum(axis=0, dtype=np.int64)
    sums = np.pad(counts.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    rows, columns = (_box(length) for length in counts.shape)
    inside = (
        sums[rows[1]][:, columns[1]]
        - sums[rows[0]][:, columns[1]]
        - sums[rows[1]][:, columns[0]]
        + sums[rows[0]][:, columns[0]]
    )
    sizes = (rows[1] - rows[0])[:, None] * (columns[1] - columns[0])[None]
    return np.asarray(inside / sizes, dtype=np.float32)


def too_covered(masks: _Mask) -> npt.NDArray[np.bool_]:
    """Return where a patch would drop a date, by the box around each pixel, shape (H, W)."""
    return np.asarray(covered_shares(masks) >= DROPPED_FROM)


def _box(length: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the first and last edge of the box around each of some places; boxes stay whole where there is room."""
    size = min(BOX, length)
    first = np.clip(np.arange(length) - size // 2, 0, length - size)
    return first, first + size

"""Resampling rows and columns so that a pixel's value never depends on the window that asks for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Taps:
    """For each output row (or column) the input rows it is made of, and their weights.

    Args:
        indices: Absolute input rows, shape (outputs, taps).
        weights: Weights that sum to 1 over the taps, float32, shape (outputs, taps).
    """

    indices: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]


def make_taps(start: int, count: int, scale: float) -> Taps:
    """Return the taps of output rows `start` to `start + count`.

    Finer output is interpolated linearly between input centres; coarser output is the mean over its own footprint,
    with input rows on its border counted by the share that lies inside. Only absolute positions enter, so an output
    row gets the same taps whichever range asks for it.

    Args:
        start: First output row; may be negative.
        count: Output rows.
        scale: Output rows per input row.
    """
    outputs = np.arange(start, start + count, dtype=np.float64)
    if scale == 1:
        return Taps(outputs.astype(np.int64)[:, None], np.ones((count, 1), np.float32))
    if scale > 1:
        centres = (outputs + 0.5) / scale - 0.5
        first = np.floor(centres)
        share = centres - first
        indices = first[:, None] + np.arange(2)
        return Taps(indices.astype(np.int64), np.stack([1 - share, share], axis=1).astype(np.float32))
    lower, upper = outputs / scale, (outputs + 1) / scale
    first = np.floor(lower)
    indices = first[:, None] + np.arange(int(np.ceil(1 / scale)) + 1)
    inside = np.minimum(indices + 1, upper[:, None]) - np.maximum(indices, lower[:, None])
    weights = np.clip(inside, 0, None)
    # A sliver from rounding would pull in a row that is not needed.
    weights[weights < 1e-6] = 0
    weights /= weights.sum(axis=1, keepdims=True)
    return Taps(indices.astype(np.int64), weights.astype(np.float32))


def reflect(indices: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    """Return indices mirrored into 0 to size - 1 about the centres of the edge pixels (edge-repeat for size 1)."""
    if size == 1:
        return np.zeros_like(indices)
    period = 2 * (size - 1)
    folded = np.mod(indices, period)
    mirrored: npt.NDArray[np.int64] = np.minimum(folded, period - folded)
    return mirrored


def apply_taps(values: npt.NDArray[np.float32], taps: Taps, first: int, axis: int) -> npt.NDArray[np.float32]:
    """Return the weighted sums along one axis.

    Args:
        values: Input whose index 0 along `axis` is the absolute input row `first`.
        taps: Taps whose indices lie within `values`.
        first: Absolute row of the input's index 0.
        axis: Axis to resample.
    """
    shape = [1] * values.ndim
    shape[axis] = -1
    total: npt.NDArray[np.float32] | None = None
    for tap in range(taps.indices.shape[1]):
        weights = taps.weights[:, tap]
        if not weights.any():
            continue
        term = np.take(values, taps.indices[:, tap] - first, axis=axis, mode="clip")
        term *= weights.reshape(shape)
        total = term if total is None else np.add(total, term, out=total)
    if total is None:
        return np.zeros_like(np.take(values, np.zeros(len(taps.indices), np.int64), axis=axis))
    return total

"""Many short sequences in one array: which items belong to which sequence."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


def ranges(
    starts: npt.NDArray[np.integer], counts: npt.NDArray[np.integer], backward: npt.NDArray[np.bool_] | None = None
) -> Indices:
    """Return `start, start + 1, ...` of each sequence, one after the other.

    Args:
        starts: First index of each sequence.
        counts: Items of each.
        backward: Sequences that count down in place of up; None for none.
    """
    begin = np.cumsum(counts) - counts
    step = np.arange(int(counts.sum()), dtype=np.int64) - np.repeat(begin, counts)
    if backward is not None:
        step *= np.repeat(np.where(backward, -1, 1), counts)
    indices: Indices = np.repeat(starts.astype(np.int64), counts) + step
    return indices


def offsets_of(counts: npt.NDArray[np.integer]) -> Indices:
    """Return where each sequence begins, and at the end where the last one ends; shape (sequences + 1,)."""
    offsets = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets

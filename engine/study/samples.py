"""Which patches a report shows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.nomenclature import NODATA


def chosen_patches(counts: npt.NDArray[np.int64], most: int) -> tuple[int, ...]:
    """Return patches that together show all classes, those with most classes not shown yet first.

    The same counts give the same patches, and fewer are the first of more.

    Args:
        counts: Pixels by patch and code, shape (patches, 256).
        most: How many.

    Returns:
        Numbers of patches, at most `most`, in the order in which they were chosen.
    """
    labelled = counts.copy()
    labelled[:, NODATA] = 0
    shares = np.sqrt(labelled / np.maximum(labelled.sum(axis=1, keepdims=True), 1))
    left = np.ones(256)
    chosen: list[int] = []
    for _ in range(min(most, len(counts))):
        worth = shares @ left
        worth[chosen] = -1
        best = int(worth.argmax())
        chosen.append(best)
        # A class that fills half of a patch has been seen; a corner of it has not quite.
        left *= 1 - np.minimum(1, shares[best])
        if left[labelled.any(axis=0)].max(initial=0.0) < 0.3:
            left[:] = 1
    return tuple(chosen)

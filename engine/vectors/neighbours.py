"""Which components lie side by side, and how long their common border is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_LOW = (1 << 32) - 1


@dataclass(frozen=True)
class Borders:
    """Pairs of neighbours.

    Args:
        first: Lower number of each pair.
        second: Higher number.
        length: Length of the common border, in whole units that are the same for the whole raster.
    """

    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.first)

    def renumbered(self, numbers: npt.NDArray[np.integer]) -> Borders:
        """Return the borders of what the components have become: pairs once, lengths added, nothing within itself."""
        return _summed(numbers[self.first], numbers[self.second], self.length)

    def chosen(self, mask: npt.NDArray[np.bool_]) -> Borders:
        """Return some of the pairs."""
        return Borders(self.first[mask], self.second[mask], self.length[mask])

    @staticmethod
    def of(parts: list[Borders]) -> Borders:
        """Return all pairs of several; one pair may come twice."""
        if not parts:
            empty = np.empty(0, dtype=np.int64)
            return Borders(empty, empty, empty)
        return Borders(
            np.concatenate([part.first for part in parts]),
            np.concatenate([part.second for part in parts]),
            np.concatenate([part.length for part in parts]),
        )


def borders_in(
    labels: npt.NDArray[np.int32], codes: npt.NDArray[np.uint8], side: tuple[int, int], new_rows: int
) -> Borders:
    """Return the borders between pixels of some rows.

    Pixels without a class (code 0) have none.

    Args:
        labels: Numbers of the components, shape (rows, columns).
        codes: Their classes.
        side: Length of a pixel's side along a row and along a column, in whole units.
        new_rows: Rows at the end that count; one before them only lies above the first of them.
    """
    skip = len(labels) - new_rows
    left, right = labels[skip:, :-1], labels[skip:, 1:]
    apart = (codes[skip:, :-1] != codes[skip:, 1:]) & (codes[skip:, :-1] != 0) & (codes[skip:, 1:] != 0)
    beside = _summed(left[apart], right[apart], np.full(int(apart.sum()), side[1], dtype=np.int64))
    apart = (codes[:-1] != codes[1:]) & (codes[:-1] != 0) & (codes[1:] != 0)
    below = _summed(labels[:-1][apart], labels[1:][apart], np.full(int(apart.sum()), side[0], dtype=np.int64))
    return Borders.of([beside, below])


def _summed(one: npt.NDArray[np.integer], other: npt.NDArray[np.integer], length: npt.NDArray[np.int64]) -> Borders:
    key = np.minimum(one, other).astype(np.int64)
    key <<= 32
    key |= np.maximum(one, other).astype(np.int64)
    keep = one != other
    if not keep.all():
        key, length = key[keep], length[keep]
    order = np.argsort(key, kind="stable")
    key = key[order]
    if not len(key):
        return Borders(key, key.copy(), length[order])
    begins = np.concatenate([[0], np.flatnonzero(np.diff(key)) + 1])
    total = np.add.reduceat(length[order], begins)
    key = key[begins]
    return Borders(key >> 32, key & _LOW, total)

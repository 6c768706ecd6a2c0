"""Arcs: the stretches of border between two regions, from one node to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.vectors.flat import offsets_of, ranges

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Arcs:
    """Lines along the edges of pixels, and the regions on either side.

    An arc begins and ends at a node, where three or four borders meet; or it is a ring that meets none. Only corners
    at which it bends are kept. Its direction and, of a ring, its first corner follow from its shape alone.

    Args:
        points: Column and row of pixel corners, arc after arc, shape (points, 2).
        offsets: Where each arc begins in `points`, shape (arcs + 1,); a ring's first point is also its last.
        left: Region on the left of each arc as it is walked on a map whose rows go down, 0 outside the raster.
        right: Region on the right.
    """

    points: npt.NDArray[np.int32]
    offsets: Integers
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.left)

    @property
    def counts(self) -> Integers:
        """Points of each arc."""
        return np.diff(self.offsets)

    @property
    def closed(self) -> npt.NDArray[np.bool_]:
        """Whether each ends where it begins: a ring, or a loop at a node."""
        first, last = self.points[self.offsets[:-1]], self.points[self.offsets[1:] - 1]
        closed: npt.NDArray[np.bool_] = (first == last).all(axis=1)
        return closed

    def chosen(self, which: npt.NDArray[np.bool_] | Integers) -> Arcs:
        """Return some arcs."""
        numbers = np.flatnonzero(which) if which.dtype == np.bool_ else which
        counts = self.counts[numbers]
        points = self.points[ranges(self.offsets[numbers], counts)]
        return Arcs(points, offsets_of(counts), self.left[numbers], self.right[numbers])

    def turned(self, which: npt.NDArray[np.bool_]) -> Arcs:
        """Return the arcs, some of them walked the other way."""
        counts = self.counts
        starts = np.where(which, self.offsets[1:] - 1, self.offsets[:-1])
        points = self.points[ranges(starts, counts, which)]
        return Arcs(
            points, self.offsets, np.where(which, self.right, self.left), np.where(which, self.left, self.right)
        )

    def without_straight_points(self) -> Arcs:
        """Return the arcs with only those points where they bend, and their ends."""
        step = np.diff(self.points, axis=0).astype(np.int64)
        bends = np.ones(len(self.points), dtype=np.bool_)
        bends[1:-1] = step[1:, 0] * step[:-1, 1] != step[1:, 1] * step[:-1, 0]
        bends[self.offsets[:-1]] = True
        bends[self.offsets[1:] - 1] = True
        kept = np.add.reduceat(bends, self.offsets[:-1]) if len(self) else np.empty(0, dtype=np.int64)
        return Arcs(self.points[bends], offsets_of(kept), self.left, self.right)

    def shoelace(self) -> Integers:
        """Return the sum over each arc's segments of x1 y2 - x2 y1: its part in twice the area of a ring."""
        points = self.points.astype(np.int64)
        product = np.zeros(len(points), dtype=np.int64)
        product[:-1] = points[:-1, 0] * points[1:, 1] - points[1:, 0] * points[:-1, 1]
        product[self.offsets[1:] - 1] = 0
        return np.add.reduceat(product, self.offsets[:-1]) if len(self) else np.empty(0, dtype=np.int64)


def no_arcs() -> Arcs:
    """Return none."""
    none = np.empty(0, dtype=np.int32)
    return Arcs(np.empty((0, 2), dtype=np.int32), np.zeros(1, dtype=np.int64), none, none)


def all_arcs(parts: Sequence[Arcs]) -> Arcs:
    """Return the arcs of several sets."""
    return Arcs(
        np.concatenate([part.points for part in parts]),
        offsets_of(np.concatenate([part.counts for part in parts])),
        np.concatenate([part.left for part in parts]),
        np.concatenate([part.right for part in parts]),
    )


def in_one_direction(arcs: Arcs, ring: npt.NDArray[np.bool_]) -> Arcs:
    """Give each arc the direction, and each ring the beginning, that follow from its shape.

    An arc begins at the upper of its nodes, of the same row at the left one; a loop at a node leaves it by the upper or
    left of its two points next to the node. A ring begins at its uppermost, there leftmost corner, and goes right.

    Args:
        arcs: With all points, or only those at bends and where they were cut.
        ring: Which of them meet no node.
    """
    arcs = _begun_at_the_top(arcs, ring)
    first, last = arcs.offsets[:-1], arcs.offsets[1:] - 1
    begin, end = _place(arcs.points[first]), _place(arcs.points[last])
    second, last_but_one = _place(arcs.points[first + 1]), _place(arcs.points[last - 1])
    return arcs.turned((begin > end) | ((begin == end) & (second > last_but_one)))


def _place(points: npt.NDArray[np.int32]) -> Integers:
    return (points[:, 1].astype(np.int64) << 32) | points[:, 0]


def _begun_at_the_top(arcs: Arcs, ring: npt.NDArray[np.bool_]) -> Arcs:
    rings = np.flatnonzero(ring)
    if not len(rings):
        return arcs
    counts = arcs.counts[rings]
    places = _place(arcs.points)
    # The last point repeats the first.
    inner = ranges(arcs.offsets[rings], counts - 1)
    least = np.minimum.reduceat(places[inner], offsets_of(counts - 1)[:-1])
    at_top = np.flatnonzero(places[inner] == np.repeat(least, counts - 1))
    shift = at_top - offsets_of(counts - 1)[:-1]
    step = ranges(np.zeros(len(rings), dtype=np.int64), counts)
    turned = np.repeat(arcs.offsets[rings], counts) + (step + np.repeat(shift, counts)) % np.repeat(counts - 1, counts)
    source = np.arange(len(arcs.points))
    source[ranges(arcs.offsets[rings], counts)] = turned
    return Arcs(arcs.points[source], arcs.offsets, arcs.left, arcs.right)

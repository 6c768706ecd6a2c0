"""From arcs to the rings of each region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components

from engine.vectors.flat import offsets_of

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ArcTable:
    """What is known of each arc without its points.

    Args:
        begin: Corner at which it begins, counted row by row.
        end: Corner at which it ends.
        left: Region on its left, 0 outside the raster.
        right: Region on its right.
        leaves: Direction of its first step: 0 right, 1 down, 2 left, 3 up.
        arrives: Direction of its last step.
        shoelace: Its part in twice the area of a ring, in pixels.
    """

    begin: Integers
    end: Integers
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    leaves: npt.NDArray[np.uint8]
    arrives: npt.NDArray[np.uint8]
    shoelace: Integers

    def __len__(self) -> int:
        return len(self.begin)


@dataclass(frozen=True)
class Rings:
    """The rings of all regions, region after region, of each the outer ring first.

    Args:
        arcs: Arcs in the order in which they follow each other, ring after ring.
        forward: Whether each is walked in its own direction.
        ring_starts: Where each ring begins in `arcs`; shape (rings + 1,).
        region_starts: Where each region from 1 begins among the rings; shape (regions + 1,).
    """

    arcs: Integers
    forward: npt.NDArray[np.bool_]
    ring_starts: Integers
    region_starts: Integers


def rings_of(table: ArcTable, regions: int) -> Rings:
    """Put arcs together.

    Where a region has two of the four pixels around a corner, those across from each other, its rings pass the corner
    from one of its pixels to the other: so no ring touches itself. (The other way round, rings would be figures of
    eight, which are no valid polygons.)

    Args:
        table: All arcs.
        regions: Number of regions.
    """
    # Every arc twice: once for the region on its left, and turned for the one on its right.
    region = np.concatenate([table.left, table.right])
    number = np.flatnonzero(region > 0)
    region = region[number]
    count = len(table)
    arc, forward = number % count, number < count
    begin = np.where(forward, table.begin[arc], table.end[arc])
    end = np.where(forward, table.end[arc], table.begin[arc])
    leaves = np.where(forward, table.leaves[arc], (table.arrives[arc] + 2) % 4).astype(np.int64)
    arrives = np.where(forward, table.arrives[arc], (table.leaves[arc] + 2) % 4).astype(np.int64)
    follows = _successors(region, begin, leaves, end, (arrives + 1) % 4)
    rings, ring = connected_components(_graph(follows), directed=False)
    # A ring is known by its uppermost, there leftmost node, and begins at it.
    order = np.lexsort((leaves, begin, ring))
    head = order[np.concatenate([[True], ring[order][1:] != ring[order][:-1]])]
    area = np.bincount(ring, weights=np.where(forward, 1, -1) * table.shoelace[arc].astype(np.float64), minlength=rings)
    # Rows go down: the outer ring, with its region on the left, has a negative area.
    head = head[np.lexsort((leaves[head], begin[head], area[ring[head]] > 0, region[head]))]
    before = np.empty(len(follows), dtype=np.int64)
    before[follows] = np.arange(len(follows))
    path = follows.copy()
    tail = before[head]
    path[tail[:-1]] = head[1:]
    path[tail[-1]] = tail[-1]
    order = breadth_first_order(_graph(path), int(head[0]), return_predecessors=False)
    starts = offsets_of(np.bincount(ring, minlength=rings)[ring[head]])
    per_region = np.bincount(region[head], minlength=regions + 1)[1:]
    return Rings(arc[order], forward[order], starts, offsets_of(per_region))


def _successors(
    region: npt.NDArray[np.int32], begin: Integers, right_of_begin: Integers, end: Integers, right_of_end: Integers
) -> Integers:
    """Return the arc that follows each: that of the same region which begins where it ends.

    Args:
        region: Region on the left of each.
        begin: Corner at which it begins.
        right_of_begin: The pixel at that corner that lies on its right: 0 lower right, 1 lower left, 2 upper left,
            3 upper right.
        end: Corner at which it ends.
        right_of_end: The pixel at that corner that lies on its right.
    """
    leaving = np.lexsort((right_of_begin, begin, region))
    arriving = np.lexsort((right_of_end, end, region))
    # Where a region comes to a corner twice, both orders go by the pixel on the right; where once, there is no choice.
    follows = np.empty(len(region), dtype=np.int64)
    follows[arriving] = leaving
    return follows


def _graph(follows: Integers) -> csr_matrix:
    count = len(follows)
    pointers = np.arange(count + 1, dtype=np.int32)
    return csr_matrix((np.ones(count), follows.astype(np.int32), pointers), shape=(count, count))

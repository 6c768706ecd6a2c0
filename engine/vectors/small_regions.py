"""Regions below the smallest area join a neighbour.

The rule, one region at a time: the smallest joins the neighbour with which it
has the longest common border, until none is too small. (GDAL's sieve joins the
*largest* neighbour: a flower bed beside a path then becomes part of the path
that happens to run across the whole town.)

A raster has millions of them, so many are joined at once: all those whose turn
no other could change. Which these are follows from the rule. A region's choice
depends on its neighbours' classes and on its border with each of them. A
neighbour changes its class only when it joins something itself, and it is
larger, so it comes later. Two neighbours of one class become one region only
when a smaller region that touches both joins that class. So a region may go
when it comes before all its neighbours, and before all regions that touch the
same two neighbours of one class. Areas only grow, and regions of at most 1, 2,
4, ... pixels go first, which keeps the number of neighbours to compare low.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from engine.vectors.flat import ranges
from engine.vectors.neighbours import Borders

Check = Callable[[float], None]


def join_small(
    sizes: npt.NDArray[np.int64],
    classes: npt.NDArray[np.uint8],
    borders: Borders,
    least: int,
    check: Check = lambda done: None,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Join regions below a size.

    Equal sizes come in an order that looks random but is always the same, so that no direction is preferred. Among
    neighbours with borders of the same length the class with more pixels in the raster wins, then the lower code.
    Regions without a class (code 0) are not joined, and nothing joins them.

    Args:
        sizes: Pixels of each region.
        classes: Class of each region.
        borders: All borders that a region below `least` has with a class; those between larger ones are not needed.
        least: Pixels that a region needs.
        check: Called with the share of regions done, 0 to 1; may raise to stop.

    Returns:
        For each region the one that it is part of in the end, the lowest of its parts; and the class of that.
    """
    graph = _Graph(sizes, classes, borders, least)
    level = 1
    begun = max(1, graph.waiting())
    while True:
        level = min(level, least - 1)
        while graph.round(level):
            check(1 - graph.waiting() / begun)
        if level >= least - 1:
            break
        level *= 2
    check(1.0)
    return graph.part_of, graph.classes[graph.part_of]


class _Graph:
    def __init__(
        self, sizes: npt.NDArray[np.int64], classes: npt.NDArray[np.uint8], borders: Borders, least: int
    ) -> None:
        self.sizes = sizes.copy()
        self.classes = classes.copy()
        self.least = least
        self.part_of = np.arange(len(sizes), dtype=np.int32)
        pixels = np.bincount(classes, weights=sizes, minlength=256)
        self._rank = np.argsort(np.lexsort((-np.arange(256), pixels)))
        self.borders = borders.chosen((sizes[borders.first] < least) | (sizes[borders.second] < least))

    def waiting(self) -> int:
        """Return how many regions are too small, of those that still stand for themselves."""
        own = self.part_of == np.arange(len(self.part_of))
        return int((own & (self.sizes < self.least) & (self.classes != 0)).sum())

    def round(self, level: int) -> bool:
        """Join what can be joined at once of the regions up to a size; False when there is nothing."""
        first, second, length = self.borders.first, self.borders.second, self.borders.length
        small_first, small_second = self.sizes[first] <= level, self.sizes[second] <= level
        source = np.concatenate([first[small_first], second[small_second]])
        if not len(source):
            return False
        target = np.concatenate([second[small_first], first[small_second]])
        length = np.concatenate([length[small_first], length[small_second]])
        turn = self._turn(source)
        blocked = np.zeros(len(self.sizes), dtype=np.bool_)
        blocked[source[self._turn(target) < turn]] = True
        order = np.lexsort((target, self.classes[target], source))
        source, target, length, turn = source[order], target[order], length[order], turn[order]
        self._block_those_who_share(source, target, turn, blocked)
        free = ~blocked[source]
        source, target, length = source[free], target[free], length[free]
        chosen = self._choice(source, target, length)
        joins = self.classes[target] == chosen
        self._join(source[joins], target[joins])
        return True

    def _turn(self, regions: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
        """Return a number by which regions come one after the other: by size, then by a mixed-up number."""
        mixed = regions.astype(np.uint32)
        # Invertible steps, so that no two regions get the same.
        mixed = mixed * np.uint32(0x9E3779B1)
        mixed ^= mixed >> np.uint32(15)
        mixed = mixed * np.uint32(0x85EBCA77)
        mixed ^= mixed >> np.uint32(13)
        turn: npt.NDArray[np.uint64] = (self.sizes[regions].astype(np.uint64) << np.uint64(32)) | mixed
        return turn

    def _block_those_who_share(
        self,
        source: npt.NDArray[np.int64],
        target: npt.NDArray[np.int64],
        turn: npt.NDArray[np.uint64],
        blocked: npt.NDArray[np.bool_],
    ) -> None:
        """Block regions that touch the same two neighbours of one class as one that comes before; sorted by both."""
        same = (source[1:] == source[:-1]) & (self.classes[target[1:]] == self.classes[target[:-1]])
        begins = np.flatnonzero(np.concatenate([[True], ~same]))
        counts = np.diff(np.append(begins, len(source)))
        several = counts > 1
        begins, counts = begins[several], counts[several]
        # Each item of a group with all that follow it in the group.
        item = ranges(begins, counts)
        follow = np.repeat(begins + counts, counts) - item - 1
        one, other = np.repeat(item, follow), ranges(item + 1, follow)
        pair = (target[one] << 32) | target[other]
        owner, when = source[one], turn[one]
        order = np.lexsort((when, pair))
        pair, owner = pair[order], owner[order]
        later = np.flatnonzero(pair[1:] == pair[:-1]) + 1
        blocked[owner[later]] = True

    def _choice(
        self, source: npt.NDArray[np.int64], target: npt.NDArray[np.int64], length: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.uint8]:
        """Return for each border the class that its source joins."""
        score = length * 256 + self._rank[self.classes[target]]
        begins = np.flatnonzero(np.concatenate([[True], source[1:] != source[:-1]]))
        best = np.maximum.reduceat(score, begins)
        counts = np.diff(np.append(begins, len(source)))
        winner = np.argsort(self._rank)[best % 256].astype(np.uint8)
        return np.repeat(winner, counts)

    def _join(self, source: npt.NDArray[np.int64], target: npt.NDArray[np.int64]) -> None:
        members, place = np.unique(np.concatenate([source, target]), return_inverse=True)
        links = (place[: len(source)], place[len(source) :])
        graph = coo_matrix((np.ones(len(source), dtype=np.int8), links), shape=(len(members), len(members)))
        count, group = connected_components(graph, directed=False)
        lead = np.full(count, len(self.sizes), dtype=np.int64)
        np.minimum.at(lead, group, members)
        total = np.bincount(group, weights=self.sizes[members], minlength=count).astype(np.int64)
        code = np.zeros(count, dtype=np.uint8)
        code[group[place[len(source) :]]] = self.classes[target]
        renumbered = np.arange(len(self.sizes), dtype=np.int32)
        renumbered[members] = lead[group]
        self.part_of = renumbered[self.part_of]
        self.sizes[lead], self.classes[lead] = total, code
        changed = np.zeros(len(self.sizes), dtype=np.bool_)
        changed[members] = True
        touched = changed[self.borders.first] | changed[self.borders.second]
        fresh = self.borders.chosen(touched).renumbered(renumbered)
        fresh = fresh.chosen((self.sizes[fresh.first] < self.least) | (self.sizes[fresh.second] < self.least))
        self.borders = Borders.of([self.borders.chosen(~touched), fresh])

"""Arcs of a raster of regions that is swept from the top, some rows at a time.

Neighbouring pixels of different regions are parted by a crack: the edge of a
pixel. Cracks that meet at a corner where no other does follow each other; so
they make chains. A chain that reaches the lowest row is carried on as one
element of the next rows' chains. Arcs are the same however the rows are cut.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.vectors.arcs import Arcs, in_one_direction, no_arcs
from engine.vectors.chaining import NONE, Chains, chain
from engine.vectors.flat import offsets_of, ranges

Regions = npt.NDArray[np.int32]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Elements:
    """What chains are made of: horizontal cracks, then vertical ones, then what was carried on.

    Args:
        corners: Corner at either end of each, counted row by row in the rows at hand; -1 for an end that is final.
        lengths: Steps of each.
        horizontal: Number of horizontal cracks.
        cracks: Number of all cracks.
    """

    corners: Integers
    lengths: Integers
    horizontal: int
    cracks: int


class BoundarySweep:
    """Finds arcs.

    Args:
        width: Columns of the raster.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._row = 0
        self._above = np.zeros(width, dtype=np.int32)
        self._carried = no_arcs()
        # Column at which either end of what is carried on waits, -1 where it is final.
        self._waiting = np.empty((0, 2), dtype=np.int64)

    def add(self, regions: Regions) -> Arcs:
        """Take the next rows and return the arcs that end in them.

        Args:
            regions: Number of each pixel's region, from 1, shape (rows, columns).
        """
        return self._sweep(regions)

    def finish(self) -> Arcs:
        """Return the arcs that end at the raster's lower edge."""
        return self._sweep(np.zeros((1, self._width), dtype=np.int32))

    def _sweep(self, regions: Regions) -> Arcs:
        rows = len(regions)
        padded = np.zeros((rows + 1, self._width + 2), dtype=np.int32)
        padded[0, 1:-1] = self._above
        padded[1:, 1:-1] = regions
        horizontal = padded[:-1, 1:-1] != padded[1:, 1:-1]
        vertical = padded[:, :-1] != padded[:, 1:]
        meeting = vertical[:-1].astype(np.uint8)
        meeting += vertical[1:]
        meeting[:, :-1] += horizontal
        meeting[:, 1:] += horizontal
        elements = self._elements(horizontal, vertical[1:])
        chains = chain(_neighbours(elements.corners, meeting == 2), elements.corners)
        found, ends = self._lines(padded, elements, chains)
        seam = rows * (self._width + 1)
        waits = ends >= seam
        finished = chains.closed | ~waits.any(axis=1)
        arcs = in_one_direction(found.chosen(finished), chains.closed[finished]).without_straight_points()
        self._carried = found.chosen(~finished).without_straight_points()
        self._waiting = np.where(waits, ends - seam, NONE)[~finished]
        self._above = regions[-1].copy()
        self._row += rows
        return arcs

    def _elements(self, horizontal: npt.NDArray[np.bool_], vertical: npt.NDArray[np.bool_]) -> _Elements:
        corners = self._width + 1
        row, column = np.divmod(np.flatnonzero(horizontal), self._width)
        left = row * corners + column
        upper = np.flatnonzero(vertical)
        ends = np.concatenate(
            [np.stack([left, left + 1], axis=1), np.stack([upper, upper + corners], axis=1), self._waiting]
        )
        cracks = len(left) + len(upper)
        lengths = np.concatenate([np.ones(cracks, dtype=np.int64), self._carried.counts - 1])
        return _Elements(ends, lengths, len(left), cracks)

    def _lines(self, padded: Regions, elements: _Elements, chains: Chains) -> tuple[Arcs, Integers]:
        """Return the chains as arcs in any direction, and the corner at either end of each."""
        order, forward, starts = chains.order, chains.forward, chains.starts
        if not len(order):
            return no_arcs(), np.empty((0, 2), dtype=np.int64)
        first = starts[:-1]
        corners = elements.corners[order]
        entry = np.where(forward, corners[:, 0], corners[:, 1])
        leave = np.where(forward, corners[:, 1], corners[:, 0])
        lengths = elements.lengths[order]
        is_first = np.zeros(len(order), dtype=np.int64)
        is_first[first] = 1
        # Each element writes its points but the one where it is entered; the first of a chain writes that too.
        place = offsets_of(lengths + is_first)[:-1]
        points = np.empty((int((lengths + is_first).sum()), 2), dtype=np.int32)
        crack = order < elements.cracks
        points[place[crack] + is_first[crack]] = self._position(leave[crack])
        begins = first[crack[first]]
        points[place[begins]] = self._position(entry[begins])
        carried = np.flatnonzero(~crack)
        if len(carried):
            self._copy_carried(points, place, order, forward, lengths, is_first, carried, elements.cracks)
        left, right = self._sides(padded, elements, order[first], forward[first])
        per_chain = np.add.reduceat(lengths + is_first, first)
        ends = np.stack([entry[first], leave[starts[1:] - 1]], axis=1)
        return Arcs(points, offsets_of(per_chain), left, right), ends

    def _copy_carried(
        self,
        points: npt.NDArray[np.int32],
        place: Integers,
        order: Integers,
        forward: npt.NDArray[np.bool_],
        lengths: Integers,
        is_first: Integers,
        carried: Integers,
        cracks: int,
    ) -> None:
        number = order[carried] - cracks
        count = lengths[carried] + is_first[carried]
        skipped = 1 - is_first[carried]
        ahead = self._carried.offsets[number] + skipped
        back = self._carried.offsets[number + 1] - 1 - skipped
        source = ranges(np.where(forward[carried], ahead, back), count, ~forward[carried])
        points[ranges(place[carried], count)] = self._carried.points[source]

    def _position(self, corners: Integers) -> npt.NDArray[np.int64]:
        row, column = np.divmod(corners, self._width + 1)
        return np.stack([column, row + self._row], axis=1)

    def _sides(
        self, padded: Regions, elements: _Elements, element: Integers, forward: npt.NDArray[np.bool_]
    ) -> tuple[Regions, Regions]:
        """Return the regions on the left and on the right of a chain, by its first element."""
        corner = elements.corners[element, 0]
        row, column = np.divmod(np.maximum(corner, 0), self._width + 1)
        left, right = np.zeros(len(element), dtype=np.int32), np.zeros(len(element), dtype=np.int32)
        kind = element < elements.horizontal
        left[kind] = padded[row[kind], column[kind] + 1]
        right[kind] = padded[row[kind] + 1, column[kind] + 1]
        kind = (element >= elements.horizontal) & (element < elements.cracks)
        left[kind] = padded[row[kind] + 1, column[kind] + 1]
        right[kind] = padded[row[kind] + 1, column[kind]]
        kind = element >= elements.cracks
        left[kind] = self._carried.left[element[kind] - elements.cracks]
        right[kind] = self._carried.right[element[kind] - elements.cracks]
        return np.where(forward, left, right), np.where(forward, right, left)


def _neighbours(corners: Integers, plain: npt.NDArray[np.bool_]) -> Integers:
    """Return the element that follows at either end of each, where exactly two meet; -1 elsewhere."""
    within = plain.size
    # Two elements meet at a plain corner: the sum of their numbers, less one, is the other.
    total = np.zeros(within, dtype=np.int32)
    number = np.arange(len(corners), dtype=np.int32)
    inside = (corners >= 0) & (corners < within)
    for end in (0, 1):
        np.add.at(total, corners[inside[:, end], end], number[inside[:, end]])
    linked = np.zeros(corners.shape, dtype=np.bool_)
    linked[inside] = plain.ravel()[corners[inside]]
    other = np.full(corners.shape, NONE, dtype=np.int64)
    other[linked] = total[corners[linked]] - np.broadcast_to(number[:, None], corners.shape)[linked]
    return other

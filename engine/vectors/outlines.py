"""How arcs are drawn: along the pixels, without their steps, or rounded.

Each arc is drawn once, for the regions on both of its sides, and its ends stay
where they are. So borders stay shared, which simplifying polygons one by one,
as QGIS does, cannot give. (GEOS simplifies whole coverages, but needs them in
memory all at once, and keeps the steps' corners as its points.)
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import shapely

from engine.vectors.arcs import Arcs
from engine.vectors.flat import offsets_of, ranges

Points = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# Cutting a pixel's corner from the middle of one side to the middle of the next moves it by half a diagonal.
CUT = 0.5 * 2**0.5 / 2 + 1e-9
# What a chain may move at most at the second attempt, in pixels.
_GENTLE = 0.12
_ROUNDS = 3
# Share of the reach by which points of a curve may be off without being missed.
_UNSEEN = 0.03


class Care(IntEnum):
    """How little an arc may move: raised where arcs would cross."""

    FULL = 0
    GENTLE = 1
    SAFE = 2


@dataclass(frozen=True)
class Lines:
    """Arcs as they are drawn, in pixels.

    Args:
        points: Column and row, arc after arc, shape (points, 2).
        offsets: Where each begins, shape (arcs + 1,).
    """

    points: Points
    offsets: Integers

    @property
    def counts(self) -> Integers:
        """Points of each."""
        return np.diff(self.offsets)


@dataclass(frozen=True)
class Outline:
    """A way to draw arcs.

    Args:
        kind: `pixels`, `simplified` or `smooth`.
        tolerance: Pixels by which a line may move.
    """

    kind: str
    tolerance: float

    def draw(self, arcs: Arcs, care: Care = Care.FULL) -> Lines:
        """Return arcs as they are drawn.

        Those on the raster's edge stay as they are. With the greatest care corners of pixels are cut and nothing else,
        which cannot make lines cross: each cut lies within a quarter of a pixel of its own.

        Args:
            arcs: The arcs.
            care: How little they may move.
        """
        exact = Lines(arcs.points.astype(np.float64), arcs.offsets)
        if self.kind == "pixels" or not len(arcs):
            return exact
        edge = (arcs.left == 0) | (arcs.right == 0)
        return _in_place_of(exact, ~edge, self._draw(arcs.chosen(~edge), care))

    def _draw(self, arcs: Arcs, care: Care) -> Lines:
        exact = Lines(arcs.points.astype(np.float64), arcs.offsets)
        ring = arcs.closed
        cuts = self.tolerance >= 1.2 * CUT
        base = _with_corners_cut(exact, ring) if cuts else exact
        if care == Care.SAFE or not len(arcs):
            return base
        room = self.tolerance - CUT if cuts else self.tolerance
        if care == Care.GENTLE:
            room = min(room, _GENTLE)
        if self.kind == "simplified":
            return _simplified(base, ring, room)
        lines = _simplified(base, ring, room)
        return _rounded(lines, ring, _GENTLE if care == Care.GENTLE else 1.5 * self.tolerance)


def _in_place_of(lines: Lines, which: npt.NDArray[np.bool_], others: Lines) -> Lines:
    """Return lines with some of them replaced, in order."""
    counts = lines.counts.copy()
    counts[which] = others.counts
    offsets = offsets_of(counts)
    points = np.empty((int(offsets[-1]), 2))
    points[ranges(offsets[:-1][which], counts[which])] = others.points
    kept = np.flatnonzero(~which)
    points[ranges(offsets[kept], counts[kept])] = lines.points[ranges(lines.offsets[kept], counts[kept])]
    return Lines(points, offsets)


def _with_corners_cut(lines: Lines, ring: npt.NDArray[np.bool_]) -> Lines:
    """Return lines that cut each corner from half a pixel before it to half a pixel after it."""
    first, last = lines.offsets[:-1], lines.offsets[1:] - 1
    begins = np.ones(len(lines.points), dtype=np.bool_)
    begins[last] = False
    start = np.flatnonzero(begins)
    step = lines.points[start + 1] - lines.points[start]
    length = np.abs(step).sum(axis=1, keepdims=True)
    part = step / length * np.minimum(0.5, length / 2)
    both = np.stack([lines.points[start] + part, lines.points[start + 1] - part], axis=1).reshape(-1, 2)
    counts = 2 * (lines.counts - 1)
    # Rings come back to their first cut, arcs keep their nodes.
    extra = np.where(ring, 1, 2)
    offsets = offsets_of(counts + extra)
    points = np.empty((int(offsets[-1]), 2))
    inner = offsets[:-1] + np.where(ring, 0, 1)
    points[ranges(inner, counts)] = both
    points[offsets[1:] - 1] = np.where(ring[:, None], points[inner], lines.points[last])
    points[offsets[:-1][~ring]] = lines.points[first[~ring]]
    return _without_needless(Lines(points, offsets))


def _without_needless(lines: Lines) -> Lines:
    """Return lines without repeated points, and without points on the straight between their neighbours."""
    kept = np.ones(len(lines.points), dtype=np.bool_)
    kept[1:] = (np.diff(lines.points, axis=0) != 0).any(axis=1)
    kept[lines.offsets[:-1]] = True
    kept[lines.offsets[1:] - 1] = True
    lines = _kept(lines, kept)
    step = np.diff(lines.points, axis=0)
    kept = np.ones(len(lines.points), dtype=np.bool_)
    kept[1:-1] = step[1:, 0] * step[:-1, 1] != step[1:, 1] * step[:-1, 0]
    kept[lines.offsets[:-1]] = True
    kept[lines.offsets[1:] - 1] = True
    return _kept(lines, kept)


def _kept(lines: Lines, kept: npt.NDArray[np.bool_]) -> Lines:
    return Lines(lines.points[kept], offsets_of(np.add.reduceat(kept, lines.offsets[:-1], dtype=np.int64)))


def _simplified(lines: Lines, ring: npt.NDArray[np.bool_], room: float) -> Lines:
    """Return lines simplified by Douglas and Peucker's rule (GEOS); rings that would collapse stay as they are."""
    owner = np.repeat(np.arange(len(ring)), lines.counts)
    made = shapely.simplify(shapely.linestrings(lines.points, indices=owner), room, preserve_topology=False)
    points, owner = shapely.get_coordinates(made, return_index=True)
    counts = np.bincount(owner, minlength=len(ring))
    result = Lines(points, offsets_of(counts))
    collapsed = ring & (counts < 4)
    if not collapsed.any():
        return result
    numbers = np.flatnonzero(collapsed)
    whole = Lines(
        lines.points[ranges(lines.offsets[numbers], lines.counts[numbers])], offsets_of(lines.counts[numbers])
    )
    return _in_place_of(result, collapsed, whole)


def _rounded(lines: Lines, ring: npt.NDArray[np.bool_], reach: float) -> Lines:
    """Return lines with their corners cut again and again (Chaikin's rule), by at most `reach` pixels along a side."""
    for number in range(_ROUNDS):
        lines = _cut_once(lines, ring, reach / 2**number)
    return _simplified(lines, ring, _UNSEEN * reach)


def _cut_once(lines: Lines, ring: npt.NDArray[np.bool_], reach: float) -> Lines:
    first, last = lines.offsets[:-1], lines.offsets[1:] - 1
    begins = np.ones(len(lines.points), dtype=np.bool_)
    begins[last] = False
    start = np.flatnonzero(begins)
    step = lines.points[start + 1] - lines.points[start]
    length = np.hypot(step[:, 0], step[:, 1])
    share = np.minimum(0.25, reach / np.maximum(length, 1e-12))[:, None]
    both = np.stack([lines.points[start] + share * step, lines.points[start + 1] - share * step], axis=1)
    counts = 2 * (lines.counts - 1) + ring
    offsets = offsets_of(counts)
    points = np.empty((int(offsets[-1]), 2))
    points[ranges(offsets[:-1], counts - ring)] = both.reshape(-1, 2)
    points[offsets[:-1][~ring]] = lines.points[first[~ring]]
    points[offsets[1:] - 1] = np.where(ring[:, None], points[offsets[:-1]], lines.points[last])
    return Lines(points, offsets)

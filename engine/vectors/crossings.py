"""Arcs that cross others once they are drawn, and drawing them with more care until none does.

When every region, those without a class too, is a valid polygon with its outer
ring and its holes the right way round, regions cover the raster without gap or
overlap: each arc then bounds one region on either side, so that as many
regions lie over one point as over any other, and far outside there is one. So
it is enough to look at polygons one by one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import shapely

from engine.vectors.flat import ranges
from engine.vectors.outlines import Care
from engine.vectors.polygons import PolygonBuilder

Integers = npt.NDArray[np.int64]
Check = Callable[[float], None]


def redraw_crossing(builder: PolygonBuilder, regions: int, batch_points: int, reach: float, check: Check) -> int:
    """Draw arcs with more care until all polygons are valid.

    Args:
        builder: Builds the polygons.
        regions: Number of regions.
        batch_points: Points to look at together.
        reach: Distance in units of the CRS within which arcs may be in each other's way.
        check: Called with the share done, 0 to 1; may raise to stop.

    Returns:
        How many arcs were drawn with more care.
    """
    store = builder.store
    waiting = np.arange(1, regions + 1)
    redrawn = np.zeros(len(store.table), dtype=np.bool_)
    share = 0.0
    while len(waiting):
        raised: list[Integers] = []
        done = 0
        for batch in builder.batches(waiting, batch_points):
            raised += [_to_raise(builder, int(region), reach) for region in batch.regions[~batch.valid]]
            done += len(batch.regions)
            check(share + (1 - share) * 0.9 * done / len(waiting))
        share += (1 - share) * 0.9
        arcs = np.unique(np.concatenate(raised)) if raised else np.empty(0, dtype=np.int64)
        arcs = arcs[store.care[arcs] < Care.SAFE]
        if not len(arcs):
            break
        store.care[arcs] += 1
        redrawn[arcs] = True
        store.redraw(arcs)
        touched = np.unique(np.concatenate([store.table.left[arcs], store.table.right[arcs]]))
        waiting = touched[touched > 0].astype(np.int64)
    return int(redrawn.sum())


def _to_raise(builder: PolygonBuilder, region: int, reach: float) -> Integers:
    """Return the arcs of a region that are in each other's way; all of them where these cannot be told."""
    store = builder.store
    arcs = np.unique(builder.arcs_of(region))
    movable = arcs[(store.care[arcs] < Care.SAFE) & (store.table.left[arcs] > 0) & (store.table.right[arcs] > 0)]
    found = _crossing(builder, arcs)
    found = np.union1d(found, _around_holes(builder, region, reach))
    found = np.intersect1d(found, movable)
    return found if len(found) else movable


def _crossing(builder: PolygonBuilder, arcs: Integers) -> Integers:
    """Return the arcs of which a segment meets another one other than in a shared point."""
    starts, ends, owner = _segments(builder, arcs)
    segments = shapely.linestrings(np.stack([starts, ends], axis=1))
    one, other = shapely.STRtree(segments).query(segments, predicate="intersects")
    once = one < other
    one, other = one[once], other[once]
    bad = np.ones(len(one), dtype=np.bool_)
    for ours, our_far in ((starts, ends), (ends, starts)):
        for theirs, their_far in ((starts, ends), (ends, starts)):
            meet = (ours[one] == theirs[other]).all(axis=1)
            a, b = our_far[one] - ours[one], their_far[other] - theirs[other]
            folded = (a[:, 0] * b[:, 1] == a[:, 1] * b[:, 0]) & ((a * b).sum(axis=1) > 0)
            bad &= ~meet | folded
    return np.unique(np.concatenate([owner[one[bad]], owner[other[bad]]]))


def _segments(
    builder: PolygonBuilder, arcs: Integers
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], Integers]:
    forward = np.ones(len(arcs), dtype=np.bool_)
    starts, counts = builder.store.points(arcs, forward)
    # Walked backward, an arc lacks its first point in place of its last.
    ends, _ = builder.store.points(arcs, ~forward)
    turned = ranges(np.cumsum(counts) - 1, counts, np.ones(len(counts), dtype=np.bool_))
    return starts, ends[turned], np.repeat(arcs, counts)


def _around_holes(builder: PolygonBuilder, region: int, reach: float) -> Integers:
    """Return the arcs of holes that lie outside their polygon or in each other, and the arcs near them."""
    rings = builder.rings
    batch = builder.build(np.array([region]))
    shape = batch.shapes[0]
    first = int(rings.region_starts[region - 1])
    inner = shapely.get_rings(shape)
    outer = shapely.polygons(inner[0])
    lost = np.flatnonzero(batch.turned_over).tolist()
    lost += (np.flatnonzero(~shapely.intersects(outer, shapely.get_point(inner[1:], 0))) + 1).tolist()
    if len(inner) > 2:
        holes = shapely.polygons(inner[1:])
        points = shapely.get_point(inner[1:], 0)
        inside, within = shapely.STRtree(holes).query(points, predicate="within")
        lost += [int(place) + 1 for place in inside[inside != within]]
    found: list[Integers] = []
    arcs = np.unique(builder.arcs_of(region))
    starts, ends, owner = _segments(builder, arcs)
    low, high = np.minimum(starts, ends), np.maximum(starts, ends)
    for place in set(lost):
        ring = first + place
        found.append(rings.arcs[rings.ring_starts[ring] : rings.ring_starts[ring + 1]])
        if place:
            left, bottom, right, top = shapely.bounds(inner[place])
            near = (low[:, 0] <= right + reach) & (high[:, 0] >= left - reach)
            near &= (low[:, 1] <= top + reach) & (high[:, 1] >= bottom - reach)
            found.append(owner[near])
    return np.unique(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)

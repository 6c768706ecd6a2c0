"""From rings to polygons, some regions at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from engine.vectors.arc_store import ArcStore
from engine.vectors.faces import Rings
from engine.vectors.flat import offsets_of, ranges

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PolygonBatch:
    """Some regions' polygons.

    Args:
        regions: Number of each region, from 1.
        shapes: Their polygons, in the CRS.
        ring_areas: Area of each ring: positive for outer rings and negative for holes, as they are drawn on the pixels.
        ring_counts: Rings of each polygon.
    """

    regions: Integers
    shapes: npt.NDArray[np.object_]
    ring_areas: npt.NDArray[np.float64]
    ring_counts: Integers

    @property
    def turned_over(self) -> npt.NDArray[np.bool_]:
        """Which rings were turned inside out or have no area left; outer rings have a positive one, holes do not."""
        turned: npt.NDArray[np.bool_] = self.ring_areas >= 0
        outer = offsets_of(self.ring_counts)[:-1]
        turned[outer] = self.ring_areas[outer] <= 0
        return turned

    @property
    def valid(self) -> npt.NDArray[np.bool_]:
        """Which polygons are valid, with all rings the right way round."""
        turned = np.logical_or.reduceat(self.turned_over, offsets_of(self.ring_counts)[:-1])
        valid: npt.NDArray[np.bool_] = shapely.is_valid(self.shapes) & ~turned
        return valid

    @property
    def areas(self) -> npt.NDArray[np.float64]:
        """Area of each polygon in units of the CRS."""
        total: npt.NDArray[np.float64] = np.add.reduceat(self.ring_areas, offsets_of(self.ring_counts)[:-1])
        return total


class PolygonBuilder:
    """Builds polygons.

    Args:
        store: The arcs.
        rings: The rings of all regions.
    """

    def __init__(self, store: ArcStore, rings: Rings) -> None:
        self.store = store
        self.rings = rings

    def arcs_of(self, region: int) -> Integers:
        """Return the arcs around a region."""
        first, last = self.rings.region_starts[region - 1], self.rings.region_starts[region]
        return self.rings.arcs[self.rings.ring_starts[first] : self.rings.ring_starts[last]]

    def batches(self, regions: Integers, points: int) -> Iterator[PolygonBatch]:
        """Return the polygons of some regions, in batches.

        Args:
            regions: Their numbers, ascending.
            points: Points that a batch may have, unless a single polygon has more.
        """
        if not len(regions):
            return
        cumulated = offsets_of(self.store.counts[self.rings.arcs])
        begin = self.rings.ring_starts[self.rings.region_starts[:-1]]
        end = self.rings.ring_starts[self.rings.region_starts[1:]]
        size = cumulated[end] - cumulated[begin]
        del cumulated
        total = np.cumsum(size[regions - 1])
        first = 0
        while first < len(regions):
            done = int(total[first - 1]) if first else 0
            last = max(first + 1, int(np.searchsorted(total, done + points, side="right")))
            yield self.build(regions[first:last])
            first = last

    def build(self, regions: Integers) -> PolygonBatch:
        """Return the polygons of some regions."""
        first, last = self.rings.region_starts[regions - 1], self.rings.region_starts[regions]
        ring = ranges(first, last - first)
        arcs_in_ring = self.rings.ring_starts[ring + 1] - self.rings.ring_starts[ring]
        item = ranges(self.rings.ring_starts[ring], arcs_in_ring)
        points, counts = self.store.points(self.rings.arcs[item], self.rings.forward[item])
        in_ring = np.add.reduceat(counts, offsets_of(arcs_in_ring)[:-1])
        inner = offsets_of(in_ring)[:-1]
        outer = offsets_of(in_ring + 1)
        closed = np.empty((int(outer[-1]), 2))
        closed[ranges(outer[:-1], in_ring)] = points
        closed[outer[1:] - 1] = points[inner]
        shapes = shapely.from_ragged_array(shapely.GeometryType.POLYGON, closed, (outer, offsets_of(last - first)))
        return PolygonBatch(regions, shapes, self.store.orientation * _areas(closed, outer), last - first)


def _areas(points: npt.NDArray[np.float64], offsets: Integers) -> npt.NDArray[np.float64]:
    # From the ring's own first point: coordinates of millions of metres would leave few digits for square metres.
    local = points - np.repeat(points[offsets[:-1]], np.diff(offsets), axis=0)
    product = np.zeros(len(local))
    product[:-1] = local[:-1, 0] * local[1:, 1] - local[1:, 0] * local[:-1, 1]
    product[offsets[1:] - 1] = 0
    areas: npt.NDArray[np.float64] = np.add.reduceat(product, offsets[:-1]) / 2
    return areas

"""Connected regions of equal value, also where tiles cut them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.rasters.windows import PixelWindow

Labels = npt.NDArray[np.int64]
Values = npt.NDArray[Any]


def joined(count: int, one: Labels, other: Labels) -> Labels:
    """Return for each of `count` things the smallest number of those that pairs tie it to, itself among them.

    Args:
        count: Number of things.
        one: One end of each pair.
        other: The other end.
    """
    roots: Labels = np.arange(count, dtype=np.int64)
    while True:
        first, second = roots[one], roots[other]
        if np.array_equal(first, second):
            return roots
        # Both are roots: the larger one is hung below the smaller, then all chains are cut short.
        np.minimum.at(roots, np.maximum(first, second), np.minimum(first, second))
        while not np.array_equal(roots, shorter := roots[roots]):
            roots = shorter


def label_regions(values: Values) -> tuple[Labels, int]:
    """Label regions of pixels of one value that share edges; pixels of value 0 belong to none.

    Rows are cut into runs of one value first, so that the work goes with the runs and not with the pixels.

    Args:
        values: Shape (height, width).

    Returns:
        Labels from 1, 0 for none, of the same shape; and their number.
    """
    starts = np.ones(values.shape, np.bool_)
    starts[:, 1:] = values[:, 1:] != values[:, :-1]
    runs: Labels = np.cumsum(starts.ravel(), dtype=np.int64).reshape(values.shape) - 1
    # Two runs that meet are tied once, where the later of them begins.
    meet = (values[1:] == values[:-1]) & (values[1:] != 0) & (starts[1:] | starts[:-1])
    roots = joined(int(runs[-1, -1]) + 1, runs[:-1][meet], runs[1:][meet])
    filled = values.ravel()[starts.ravel()] != 0
    kept, places = np.unique(roots[filled], return_inverse=True)
    numbers: Labels = np.zeros(len(roots), np.int64)
    numbers[filled] = places + 1
    return numbers[runs], len(kept)


@dataclass(frozen=True)
class TileRegions:
    """What a tile tells of its regions.

    Args:
        sizes: Size of each region, by label less 1.
        edges: Labels along the upper, lower, left and right edge.
        values: Values there.
    """

    sizes: npt.NDArray[np.float64]
    edges: tuple[Labels, Labels, Labels, Labels]
    values: tuple[Values, Values, Values, Values]

    @classmethod
    def of(cls, values: Values, weights: npt.NDArray[np.float64]) -> TileRegions:
        """Return the regions of a tile.

        Args:
            values: Pixels, 0 for those of no region.
            weights: Size of each pixel, of the same shape.
        """
        labels, count = label_regions(values)
        return cls(_sizes(labels, count, weights)[1:], _sides(labels), _sides(values))


@dataclass
class SmallRegions:
    """Finds the regions of a raster that are smaller than a size, tile by tile in rows, and then tells them.

    Args:
        least: Smallest size that is kept.
    """

    least: float
    _sizes: list[float] = field(default_factory=list)
    _pairs: list[Labels] = field(default_factory=list)
    # For each tile, labels of the regions that reach its edge, and their numbers among all such regions.
    _numbers: dict[PixelWindow, tuple[Labels, Labels]] = field(default_factory=dict)
    _above: dict[int, tuple[Labels, Values]] = field(default_factory=dict)
    _before: tuple[int, int, Labels, Values] | None = None
    _totals: npt.NDArray[np.float64] | None = None

    def add(self, tile: PixelWindow, regions: TileRegions) -> None:
        """Add a tile; tiles come in rows, all of one height in a row."""
        reaching = np.unique(np.concatenate(regions.edges))
        reaching = reaching[reaching > 0]
        numbers = np.arange(len(self._sizes), len(self._sizes) + len(reaching), dtype=np.int64)
        self._sizes.extend(regions.sizes[reaching - 1].tolist())
        self._numbers[tile] = (reaching, numbers)
        table: Labels = np.full(len(regions.sizes) + 1, -1, np.int64)
        table[reaching] = numbers
        top, bottom, left, right = (table[edge] for edge in regions.edges)
        if tile.column in self._above:
            self._tie(*self._above[tile.column], top, regions.values[0])
        if self._before is not None and self._before[:2] == (tile.row, tile.column):
            self._tie(self._before[2], self._before[3], left, regions.values[2])
        self._above[tile.column] = (bottom, regions.values[1])
        self._before = (tile.row, tile.right, right, regions.values[3])

    def finish(self) -> None:
        """Sum up the parts of regions that tiles cut; call it after the last tile."""
        pairs = np.concatenate(self._pairs, axis=1) if self._pairs else np.empty((2, 0), np.int64)
        roots = joined(len(self._sizes), pairs[0], pairs[1])
        sums = np.zeros(len(self._sizes))
        np.add.at(sums, roots, np.array(self._sizes))
        self._totals = sums[roots]
        self._pairs.clear()

    def small(self, tile: PixelWindow, values: Values, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Return which pixels of a tile belong to regions that are too small; safe to call from several threads.

        Args:
            tile: A tile that was added.
            values: Its pixels, as then.
            weights: Size of each pixel, as then.
        """
        labels, count = label_regions(values)
        sizes = _sizes(labels, count, weights)
        reaching, numbers = self._numbers[tile]
        if self._totals is not None:
            sizes[reaching] = self._totals[numbers]
        # A part in a million: areas are sums of thousands of pixels.
        too_small = sizes < self.least * (1 - 1e-6)
        too_small[0] = False
        return np.asarray(too_small[labels])

    def _tie(self, one: Labels, value: Values, other: Labels, other_value: Values) -> None:
        meet = (one >= 0) & (other >= 0) & (value == other_value)
        if meet.any():
            self._pairs.append(np.unique(np.stack([one[meet], other[meet]]), axis=1))


def _sizes(labels: Labels, count: int, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the size of each label from 0 on."""
    sums = np.bincount(labels.ravel(), weights=np.asarray(weights).ravel(), minlength=count + 1)
    return sums.astype(np.float64)


def _sides(array: npt.NDArray[Any]) -> tuple[Any, Any, Any, Any]:
    return array[0].copy(), array[-1].copy(), array[:, 0].copy(), array[:, -1].copy()

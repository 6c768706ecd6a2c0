"""Arcs: the same however the rows are cut, and what they are for rasters that can be drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest

from engine.vectors.arcs import all_arcs
from tests.engine.vectors.drawn import RASTERS, regions_of, swept


def listed(arcs):
    """Points, left and right of each arc, in an order of their own."""
    ends = zip(arcs.offsets[:-1], arcs.offsets[1:], strict=True)
    lines = [arcs.points[first:last].tolist() for first, last in ends]
    return sorted(zip(lines, arcs.left.tolist(), arcs.right.tolist(), strict=True))


def found(regions, strip=1000):
    return listed(all_arcs(swept(np.asarray(regions, np.int32), strip)))


@pytest.mark.parametrize("kind", sorted(RASTERS))
@pytest.mark.parametrize("strip", [1, 2, 3, 5, 7, 11])
def test_arcs_do_not_depend_on_the_rows_taken_together(kind, strip):
    for seed in range(8):
        regions = regions_of(RASTERS[kind](seed))
        assert found(regions, strip) == found(regions)


def test_a_single_pixel_is_one_ring_from_its_upper_left_corner():
    assert found([[1]]) == [([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]], 0, 1)]


@pytest.mark.parametrize("strip", [1, 2, 4])
def test_two_halves_share_one_arc(strip):
    arcs = found([[1, 1, 2], [1, 1, 2], [1, 2, 2]], strip)
    assert arcs == [
        ([[2, 0], [0, 0], [0, 3], [1, 3]], 1, 0),
        ([[2, 0], [2, 2], [1, 2], [1, 3]], 2, 1),
        ([[2, 0], [3, 0], [3, 3], [1, 3]], 0, 2),
    ]


@pytest.mark.parametrize("strip", [1, 3, 9])
def test_an_island_is_a_ring_over_several_strips(strip):
    regions = np.ones((9, 9), np.int32)
    regions[2:7, 3:6] = 2
    arcs = found(regions, strip)
    assert ([[3, 2], [6, 2], [6, 7], [3, 7], [3, 2]], 1, 2) in arcs
    assert len(arcs) == 2


def test_no_arc_reaches_past_a_node():
    arcs = found([[1, 2], [3, 4]])
    # four from the middle, four around
    assert len(arcs) == 8
    assert sum([1, 1] in (line[0], line[-1]) for line, _, _ in arcs) == 4
    assert not any([1, 1] in line[1:-1] for line, _, _ in arcs)

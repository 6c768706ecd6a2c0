"""Joining small regions: the rule, one region at a time, against what joins many at once."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from engine.vectors.components import Components
from engine.vectors.neighbours import Borders, borders_in
from engine.vectors.small_regions import _Graph, join_small


def graph_of(codes, strip=None, side=(1, 1)):
    components, parts = Components(), []
    rows = strip or len(codes)
    labels = np.concatenate([components.add(codes[row : row + rows]) for row in range(0, len(codes), rows)])
    component, sizes, classes = components.joined()
    labels = component[labels].astype(np.int64)
    parts.append(borders_in(labels, codes, side, len(codes)))
    borders = Borders.of(parts).renumbered(np.arange(len(sizes)))
    return labels, sizes, classes, borders


def joined(codes, least, side=(1, 1)):
    labels, sizes, classes, borders = graph_of(codes, side=side)
    part_of, classes = join_small(sizes, classes, borders, least)
    return classes[labels], part_of[labels]


def one_by_one(codes, least):
    """The rule as it is written, with a loop."""
    labels, sizes, classes, borders = graph_of(codes)
    turn = _Graph(sizes, classes, borders, least)
    rank = turn._rank
    sizes, classes, labels = sizes.copy(), classes.copy(), labels.copy()
    between = {}
    for one, other, length in zip(borders.first, borders.second, borders.length, strict=True):
        between[(int(one), int(other))] = between[(int(other), int(one))] = int(length)
    alive = {int(region) for region in range(len(sizes)) if classes[region]}
    while True:
        turn.sizes = sizes
        waiting = [r for r in alive if sizes[r] < least and any(pair[0] == r for pair in between)]
        if not waiting:
            return classes[labels], labels
        region = min(waiting, key=lambda r: int(turn._turn(np.array([r]))[0]))
        around = {other: length for (one, other), length in between.items() if one == region}
        best = max(around, key=lambda o: (around[o], rank[classes[o]]))
        code = classes[best]
        group = [region, *[o for o in around if classes[o] == code]]
        lead = min(group)
        total = sum(int(sizes[r]) for r in group)
        merged = {}
        for (one, other), length in between.items():
            one, other = (lead if one in group else one), (lead if other in group else other)
            if one != other:
                merged[(one, other)] = merged.get((one, other), 0) + length
        between = merged
        alive -= set(group) - {lead}
        labels[np.isin(labels, group)] = lead
        sizes[lead], classes[lead] = total, code


def test_joins_the_neighbour_with_the_longest_border_not_the_largest():
    codes = np.full((9, 9), 1, np.uint8)
    codes[3:6, 0:5] = 2
    codes[4, 4] = 3
    codes[4, 5] = 1
    # three sides of the pixel touch 2, one touches 1, which is larger
    made, _ = joined(codes, 2)
    assert made[4, 4] == 2
    assert (made != codes).sum() == 1


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("least", [2, 3, 6, 20])
def test_same_as_one_by_one(seed, least):
    random = np.random.default_rng(seed)
    codes = random.integers(0 if seed % 2 else 1, 4, (14, 15)).astype(np.uint8)
    if seed % 3 == 0:
        codes = np.kron(codes[:7, :8], np.ones((2, 2), np.uint8))
    made, parts = joined(codes, least)
    expected, expected_parts = one_by_one(codes, least)
    assert np.array_equal(made, expected)
    assert np.array_equal(parts, expected_parts)


@pytest.mark.parametrize("seed", range(4))
def test_none_is_left_and_each_is_one_piece(seed):
    random = np.random.default_rng(seed)
    codes = random.integers(0, 5, (60, 70)).astype(np.uint8)
    made, parts = joined(codes, 10)
    assert np.array_equal(made == 0, codes == 0)
    for code in range(1, 5):
        pieces, count = ndimage.label(made == code)
        for piece in range(1, count + 1):
            where = pieces == piece
            assert len(np.unique(parts[where])) == 1
            around = ndimage.binary_dilation(where) & ~where
            # what is still small touches nothing but pixels without a class
            assert where.sum() >= 10 or not made[around].any()
    numbers = np.unique(parts[made > 0])
    assert len(numbers) == sum(ndimage.label(made == code)[1] for code in range(1, 5))


@pytest.mark.parametrize(("columns", "winner"), [(15, 2), (25, 9)])
def test_of_equal_borders_the_more_frequent_class_wins(columns, winner):
    # no class gains because its code is low
    codes = np.full((20, 40), 2, np.uint8)
    codes[:, :columns] = 9
    codes[10, columns - 1 : columns + 1] = 5
    made, _ = joined(codes, 4)
    assert set(made[10, columns - 1 : columns + 1]) == {winner}


def test_sides_of_pixels_count_as_they_lie_on_the_ground():
    codes = np.array([[1, 1, 1], [2, 3, 2], [1, 1, 1]], np.uint8)
    codes = np.pad(codes, 2, mode="edge")
    made, _ = joined(codes, 2, side=(1000, 1000))
    tall, _ = joined(codes, 2, side=(1000, 2000))
    assert made[3, 3] in (1, 2)
    assert tall[3, 3] == 2
    assert joined(codes, 2, side=(2000, 1000))[0][3, 3] == 1


@pytest.mark.parametrize("strip", [1, 2, 3, 7, 50])
def test_components_do_not_depend_on_strips(strip):
    random = np.random.default_rng(3)
    codes = random.integers(0, 3, (50, 31)).astype(np.uint8)
    whole = graph_of(codes)
    parts = graph_of(codes, strip)
    assert np.array_equal(whole[0], parts[0])
    assert np.array_equal(whole[1], parts[1])
    assert np.array_equal(whole[2], parts[2])
    _, first = np.unique(whole[0], return_index=True)
    assert (np.diff(first) > 0).all()


@pytest.mark.parametrize("strip", [1, 3, 10])
def test_borders_by_strips_are_those_of_the_whole(strip):
    random = np.random.default_rng(5)
    codes = random.integers(0, 4, (30, 21)).astype(np.uint8)
    labels, _, _, whole = graph_of(codes, side=(3, 5))
    parts = []
    for row in range(0, 30, strip):
        upper = max(0, row - 1)
        rows = slice(upper, row + strip)
        parts.append(borders_in(labels[rows], codes[rows], (3, 5), min(strip, 30 - row)))
    found = Borders.of(parts).renumbered(np.arange(labels.max() + 1))
    for name in ("first", "second", "length"):
        assert np.array_equal(getattr(found, name), getattr(whole, name)), name

"""Blocks, shares, and no pixel in two splits."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from engine.errors import InputError
from engine.extraction.split import assign_blocks, block_side, drop_overlapping, number_blocks

SHARES = (0.7, 0.15, 0.15)


def cells_of(rows, columns):
    return np.array(list(itertools.product(range(rows), range(columns))))


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 3), (5, 6), (10, 10), (40, 30), (1, 200), (100, 100)])
def test_about_thirty_blocks_or_a_block_for_each_patch(rows, columns):
    cells = cells_of(rows, columns)
    side = block_side(cells)
    count = len(set(number_blocks(cells, side).tolist()))
    assert count == rows * columns if side == 1 else 25 <= count <= 70


def test_blocks_of_overlapping_patches_are_wider_than_a_patch_reaches():
    assert block_side(cells_of(20, 20), reach=1) >= 4
    # But not so wide that nothing is left to split.
    assert len(set(number_blocks(cells_of(4, 4), block_side(cells_of(4, 4), reach=2)).tolist())) >= 9


def test_blocks_are_squares_of_the_grid():
    cells = cells_of(5, 7)
    numbers = number_blocks(cells, 3)
    for block in np.unique(numbers):
        inside = cells[numbers == block]
        assert (np.ptp(inside, axis=0) < 3).all()
        assert len({tuple(cell) for cell in (inside // 3).tolist()}) == 1
    assert sorted(set(numbers.tolist())) == list(range(6))


def world(seed, blocks=40, classes=8):
    """Pixels by block and class; classes keep to a part of the blocks, some to very few."""
    generator = np.random.default_rng(seed)
    pixels = generator.gamma(0.5, 2000, (blocks, classes)).astype(np.int64) + 1
    for index in range(classes):
        holders = generator.permutation(blocks)[: int(generator.integers(1, blocks + 1))]
        absent = np.setdiff1d(np.arange(blocks), holders)
        pixels[absent, index] = 0
    return pixels, generator.integers(1, 10, blocks)


@pytest.mark.parametrize("seed", range(12))
def test_each_split_gets_its_share_of_patches_and_every_class_that_can_be_shared(seed):
    pixels, patches = world(seed)
    placed = assign_blocks(pixels, patches, SHARES, seed)
    for split, share in enumerate(SHARES):
        assert abs(patches[placed == split].sum() / patches.sum() - share) < 0.06
    for index in range(pixels.shape[1]):
        if (pixels[:, index] > 0).sum() >= 3:
            assert all(pixels[placed == split, index].sum() > 0 for split in range(3))


def test_even_classes_are_shared_as_asked():
    pixels, patches = np.random.default_rng(0).integers(500, 1500, (60, 5)), np.full(60, 4)
    placed = assign_blocks(pixels, patches, SHARES, 0)
    for split, share in enumerate(SHARES):
        assert np.abs(pixels[placed == split].sum(axis=0) / pixels.sum(axis=0) - share).max() < 0.03


def test_the_rare_class_comes_into_all_three_splits():
    pixels = np.zeros((30, 2), dtype=np.int64)
    pixels[:, 0] = 1000
    pixels[[3, 4, 5], 1] = 10
    placed = assign_blocks(pixels, np.ones(30, dtype=np.int64), SHARES, 0)
    assert sorted(placed[[3, 4, 5]].tolist()) == [0, 1, 2]


def test_the_same_seed_gives_the_same_splits_and_another_seed_others():
    pixels, patches = world(1)
    first = assign_blocks(pixels, patches, SHARES, 5)
    assert (first == assign_blocks(pixels, patches, SHARES, 5)).all()
    assert any((first != assign_blocks(pixels, patches, SHARES, seed)).any() for seed in (6, 7, 8))


def test_as_many_blocks_as_splits_are_enough_and_fewer_are_refused():
    pixels = np.full((3, 1), 100)
    assert sorted(assign_blocks(pixels, np.ones(3, dtype=np.int64), SHARES, 0).tolist()) == [0, 1, 2]
    with pytest.raises(InputError, match=r"2 blocks, too few for 3 splits.*--patch-size"):
        assign_blocks(pixels[:2], np.ones(2, dtype=np.int64), SHARES, 0)
    assert assign_blocks(pixels[:1], np.ones(1, dtype=np.int64), (1.0,), 0).tolist() == [0]


def test_many_blocks_do_not_take_long():
    pixels, patches = world(3, blocks=3000, classes=15)
    placed = assign_blocks(pixels, patches, SHARES, 0)
    assert abs(patches[placed == 1].sum() / patches.sum() - 0.15) < 0.01


@pytest.mark.parametrize("reach", [0, 1, 2, 3])
def test_no_patches_of_two_splits_overlap(reach):
    cells = cells_of(14, 11)
    splits = np.random.default_rng(reach).integers(0, 3, 42)[number_blocks(cells, 2)]
    kept = drop_overlapping(cells, splits, reach, (2, 1, 0))
    for one, other in itertools.combinations(np.flatnonzero(kept).tolist(), 2):
        if splits[one] != splits[other]:
            assert np.abs(cells[one] - cells[other]).max() > reach
    # The first in the order loses nothing, and nobody loses more than needed.
    assert kept[splits == 2].all()
    for lost in np.flatnonzero(~kept):
        near = kept & (splits != splits[lost]) & (np.abs(cells - cells[lost]).max(axis=1) <= reach)
        assert near.any()
    assert reach or kept.all()

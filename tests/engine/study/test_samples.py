"""Patches of a report are spread over the classes, and always the same."""

from __future__ import annotations

import numpy as np

from engine.study.samples import chosen_patches


def counts(*patches):
    table = np.zeros((len(patches), 256), dtype=np.int64)
    for row, patch in zip(table, patches, strict=True):
        for code, pixels in patch.items():
            row[code] = pixels
    return table


def test_each_class_is_shown_before_one_is_shown_again():
    table = counts({1: 100}, {1: 100}, {2: 100}, {1: 50, 2: 50}, {3: 100}, {0: 1000})
    assert set(chosen_patches(table, 3)) <= {0, 2, 3, 4}
    assert 4 in chosen_patches(table, 3)
    shown = table[list(chosen_patches(table, 3))].any(axis=0)
    assert shown[[1, 2, 3]].all()


def test_fewer_are_the_first_of_more():
    table = np.random.default_rng(1).integers(0, 100, (30, 256))
    many = chosen_patches(table, 12)
    assert len(set(many)) == 12
    for number in range(12):
        assert chosen_patches(table, number) == many[:number]


def test_no_more_than_there_are():
    assert sorted(chosen_patches(counts({1: 5}, {}), 12)) == [0, 1]

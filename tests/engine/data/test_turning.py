from __future__ import annotations

from itertools import product

import numpy as np

from engine.data.turning import Turn

EVERY = [Turn(*parts) for parts in product(range(4), (False, True), (False, True))]


def test_all_turns_of_a_square_keep_its_pixels_and_there_are_eight():
    square = np.arange(9).reshape(3, 3)
    found = {tuple(turn.of(square).ravel()) for turn in EVERY}
    assert len(found) == 8
    assert all(sorted(item) == list(range(9)) for item in found)


def test_a_turn_is_the_same_for_any_number_of_axes_before_the_last_two():
    pixels = np.random.default_rng(0).integers(0, 9, (2, 3, 4, 4))
    for turn in EVERY:
        turned = turn.of(pixels)
        assert all((turned[i, j] == turn.of(pixels[i, j])).all() for i in range(2) for j in range(3))


def test_each_part_does_what_it_says_and_the_quarter_turns_come_first():
    square = np.array([[1, 2], [3, 4]])
    assert Turn().of(square).tolist() == [[1, 2], [3, 4]]
    assert Turn(quarters=1).of(square).tolist() == [[2, 4], [1, 3]]
    assert Turn(mirror=True).of(square).tolist() == [[2, 1], [4, 3]]
    assert Turn(upright=True).of(square).tolist() == [[3, 4], [1, 2]]
    assert Turn(1, mirror=True).of(square).tolist() == [[4, 2], [3, 1]]


def test_what_is_not_allowed_is_not_drawn():
    rng = np.random.default_rng(0)
    assert {Turn.draw(rng, False, False) for _ in range(30)} == {Turn()}
    assert {Turn.draw(rng, True, False) for _ in range(60)} == {Turn(quarters) for quarters in range(4)}
    assert set(EVERY) == {Turn.draw(rng, True, True) for _ in range(400)}

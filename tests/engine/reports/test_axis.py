import itertools

import pytest

from engine.reports.axis import label, ticks, whole_ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (0, 58.6, [0, 20, 40, 60]),
        (0.1, 0.3, [0.1, 0.15, 0.2, 0.25, 0.3]),
        (-3, 7, [-4, -2, 0, 2, 4, 6, 8]),
        (2, 2, [1.8, 1.9, 2.0, 2.1, 2.2]),
        (0, 0, [-1.0, -0.5, 0.0, 0.5, 1.0]),
        (1e-7, 9e-7, [0, 2e-7, 4e-7, 6e-7, 8e-7, 1e-6]),
    ],
)
def test_ticks_are_round_and_enclose(low, high, expected):
    assert ticks(low, high, 7 if low < 0 else 6) == pytest.approx(expected)


def test_ticks_of_any_range_are_few_and_even():
    for low, width, scale in itertools.product((-3.3, 0, 0.07, 5), (0, 0.01, 1, 7.3), (1e-9, 1, 1e12)):
        marks = ticks(low * scale, (low + width) * scale)
        assert 2 <= len(marks) <= 7
        assert marks[0] <= low * scale + 1e-8 * scale
        assert marks[-1] >= (low + width) * scale - 1e-8 * scale
        assert len({label(one) for one in marks}) == len(marks)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1, 1, [1]),
        (1, 2, [1, 2]),
        (1, 9, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (1, 40, [1, 5, 10, 15, 20, 25, 30, 35, 40]),
        (8, 100, [8, 20, 40, 60, 80, 100]),
    ],
)
def test_epochs_are_whole(low, high, expected):
    assert whole_ticks(low, high) == expected


def test_labels_are_short():
    assert [label(value) for value in (0.0, 0.30000000000000004, 20.0, 2e-7, -1.5)] == [
        "0",
        "0.3",
        "20",
        "2e-07",
        "-1.5",
    ]

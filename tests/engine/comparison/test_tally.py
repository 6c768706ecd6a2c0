import numpy as np
import pytest

from engine.comparison.tally import Comparer, Tally, most_units
from tests.engine.tiny import TINY_CLASSES


@pytest.fixture
def comparer():
    return Comparer(TINY_CLASSES, "strict")


def compared(comparer, truth, predicted):
    truth, predicted = np.array(truth, np.uint8), np.array(predicted, np.uint8)
    return comparer.compare(truth, predicted, comparer.verdicts(truth, predicted))


def test_verdicts(comparer):
    truth = np.array([[7, 7, 7, 0], [250, 3, 3, 99]], np.uint8)
    predicted = np.array([[7, 3, 0, 7], [250, 250, 3, 99]], np.uint8)
    assert comparer.verdicts(truth, predicted).tolist() == [[1, 2, 2, 0], [0, 2, 1, 0]]


def test_what_is_counted(comparer):
    found = compared(comparer, [7, 7, 7, 0, 250, 3], [7, 3, 0, 7, 250, 3])
    assert (found.wrong, found.judged) == (2, 4)
    # Channels: 7, 3, 250, 5, 1, and one more column for nothing; what has no truth is not counted.
    assert dict(zip(found.cells.tolist(), found.counts.tolist(), strict=True)) == {
        0: 1, 1: 1, 5: 1, 1 * 6 + 1: 1, 2 * 6 + 2: 1,
    }  # fmt: skip


def test_sums_and_worst(comparer):
    tally = Tally(TINY_CLASSES, units=3, kept=2)
    asked = []

    def place(name):
        return lambda: asked.append(name) or name

    tally.add(0, compared(comparer, [7, 7], [7, 3]), place("a"))
    tally.add(0, compared(comparer, [7, 7], [7, 7]), place("none wrong"))
    tally.add(2, compared(comparer, [7, 7, 3], [3, 3, 3]), place("b"))
    tally.add(1, compared(comparer, [7], [3]), place("as a, but later"))
    tally.add(1, compared(comparer, [7] * 5, [3] * 5), place("c"))
    assert tally.matrix.counts[:2, :2].tolist() == [[3, 9], [0, 1]]
    assert [(item.place, item.wrong, item.judged) for item in tally.worst] == [("c", 5, 5), ("b", 2, 3)]
    assert asked == ["a", "b", "c"]
    assert tally.intervals("strict", 0).units == 3


def test_places_of_equal_rank_are_never_compared(comparer):
    tally = Tally(TINY_CLASSES, units=1, kept=2)
    for _ in range(4):
        tally.add(0, compared(comparer, [7], [3]), lambda: np.zeros(2))
    assert len(tally.worst) == 2


def test_matrices_stay_bounded():
    assert most_units(19) == 4096
    assert most_units(254) * 255**2 * 8 < 200e6

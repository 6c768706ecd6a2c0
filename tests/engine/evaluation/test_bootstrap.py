import json

import numpy as np
import pytest

from engine.evaluation.bootstrap import bootstrap
from engine.nomenclature import LandCoverClass, Nomenclature

TWO = Nomenclature("two", (LandCoverClass(4, "a", "#ff0000"), LandCoverClass(9, "b", "#00ff00")))


def matrices(right, wrong):
    """One matrix a unit: pixels of class a that are right, and that are taken for b."""
    made = np.zeros((len(right), 3, 3), np.int64)
    made[:, 0, 0], made[:, 0, 1] = right, wrong
    return made


def test_units_that_are_all_alike_leave_no_doubt():
    found = bootstrap(matrices([80] * 5, [20] * 5), TWO, "strict", 0)
    assert found.units == 5
    assert found.means["overall_accuracy"] == (0.8, 0.8)
    assert found.means["miou"] == (0.8, 0.8)
    assert found.iou == {4: (0.8, 0.8)}


def test_the_interval_of_a_share_is_that_of_the_binomial_distribution():
    # Each of 100 units is all right or all wrong: the share of right units is binomial, sd = sqrt(0.7 * 0.3 / 100).
    right = np.array([10] * 70 + [0] * 30)
    low, high = bootstrap(matrices(right, 10 - right), TWO, "strict", 1).means["overall_accuracy"]
    assert low == pytest.approx(0.7 - 1.96 * 0.0458, abs=0.015)
    assert high == pytest.approx(0.7 + 1.96 * 0.0458, abs=0.015)


def test_a_seed_gives_the_same_interval():
    made = matrices(np.arange(20), np.arange(20)[::-1])
    first, again, other = (bootstrap(made, TWO, "strict", seed) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_units_without_pixels_are_no_units():
    made = matrices([80, 0, 80], [20, 0, 20])
    assert bootstrap(made, TWO, "strict", 0).units == 2
    assert bootstrap(made[:2], TWO, "strict", 0) is None
    assert bootstrap(made[1:2], TWO, "strict", 0) is None


def test_figures_without_a_value_have_no_interval():
    found = bootstrap(matrices([0, 0], [0, 0]) + np.eye(3, dtype=np.int64)[2][:, None] * [0, 0, 1], TWO, "strict", 0)
    assert found.means == {}
    assert found.iou == {}
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert values == {"level": 0.95, "replicates": 1000, "units": 2, "iou": {}}


def test_plain_values():
    values = bootstrap(matrices([80] * 5, [20] * 5), TWO, "strict", 0).to_dict()
    assert values["iou"] == {"4": [0.8, 0.8]}
    assert values["recall"] == [0.8, 0.8]

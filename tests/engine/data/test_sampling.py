from __future__ import annotations

import numpy as np
import pytest

from engine.data.sampling import LARGEST_BOOST, SamplingPlan, balanced_weights, class_rarity


def test_without_weights_each_patch_is_visited_as_often_as_any():
    plan = SamplingPlan(7, None, 3, seed=1)
    order = plan.order(0)
    assert plan.length == len(order) == 21
    for start in range(0, 21, 7):
        assert sorted(order[start : start + 7].tolist()) == list(range(7))


def test_the_order_is_a_function_of_seed_and_epoch():
    for weights in (None, np.linspace(0.5, 1.5, 20)):
        orders = {
            (seed, epoch): tuple(SamplingPlan(20, weights, 1, seed).order(epoch).tolist())
            for seed in range(3)
            for epoch in range(3)
        }
        assert len(set(orders.values())) == 9
        assert tuple(SamplingPlan(20, weights, 1, 2).order(1).tolist()) == orders[2, 1]


@pytest.mark.parametrize("epoch", range(20))
def test_a_patch_is_drawn_as_often_as_its_weight_says(epoch):
    weights = np.array([0.0, 0.25, 0.5, 1.0, 0.0, 3.25, 0.0])
    plan = SamplingPlan(7, weights, 8, seed=3)
    drawn = np.bincount(plan.order(epoch), minlength=7)
    expected = weights / weights.sum() * plan.length
    assert drawn.sum() == plan.length
    assert (np.abs(drawn - expected) < 1).all()
    assert (drawn[weights == 0] == 0).all()


def test_drawn_patches_are_shuffled():
    order = SamplingPlan(50, np.ones(50), 4, seed=0).order(0)
    assert (np.diff(order) < 0).sum() > 50


def test_rarity_grows_with_the_root_of_the_share():
    rarity = class_rarity(np.array([900, 0, 100]))
    assert rarity[1] == 0
    assert rarity[2] / rarity[0] == pytest.approx(3.0)
    assert rarity[0] == pytest.approx(0.9**-0.5)
    assert (class_rarity(np.zeros(3, dtype=np.int64)) == 0).all()


def test_weights_favour_the_rare_and_have_mean_1():
    counts = np.array([[1000, 0, 0], [900, 100, 0], [500, 490, 10], [1000, 0, 0], [10, 0, 0]])
    weights = balanced_weights(counts)
    assert weights.mean() == pytest.approx(1.0)
    assert weights[0] == weights[3] == pytest.approx(weights[4])
    assert weights[0] < weights[1] < weights[2]


def test_a_patch_without_labels_is_not_drawn():
    weights = balanced_weights(np.array([[0, 0], [5, 5], [8, 2]]))
    assert weights[0] == 0
    assert weights.mean() == pytest.approx(1.0)
    assert (balanced_weights(np.zeros((3, 2), dtype=np.int64)) == 1).all()


def test_no_patch_outweighs_all_others():
    counts = np.zeros((2000, 2), dtype=np.int64)
    counts[:, 0] = 10_000
    counts[0] = 0, 10_000
    weights = balanced_weights(counts)
    # The inverse root of 1 in 2000 would be 45; cutting it off lowers the mean a little, which is made 1 again.
    assert weights[0] == pytest.approx(LARGEST_BOOST, rel=0.03)
    assert weights.mean() == pytest.approx(1.0)

from __future__ import annotations

import pytest
import torch

from engine.training.losses import SegmentationLoss
from engine.training.season_loss import SeasonLoss


@pytest.fixture
def batch():
    torch.manual_seed(0)
    target = torch.randint(0, 3, (2, 8, 8), dtype=torch.uint8)
    return torch.randn(2, 3, 8, 8), torch.randn(2, 3, 8, 8), target, torch.ones(2, 4, dtype=torch.bool)


def loss(**choices):
    return SeasonLoss(SegmentationLoss("cross-entropy", None), SegmentationLoss("cross-entropy", None), **choices)


def test_each_weight_is_that_of_its_own_answer_unless_swapped(batch):
    logits, satellite, target, _ = batch
    aerial, season = (SegmentationLoss("cross-entropy", None)(part, target) for part in (logits, satellite))
    assert aerial != season
    weights = {"aerial_weight": 1.0, "satellite_weight": 0.25}
    assert loss(**weights)(*batch) == pytest.approx(float(aerial + 0.25 * season))
    assert loss(**weights, swapped=True)(*batch) == pytest.approx(float(0.25 * aerial + season))


def test_items_without_a_date_have_no_part_in_the_satellite_loss(batch):
    logits, satellite, target, valid = batch
    valid[1] = False
    changed = satellite.clone()
    changed[1] += 10 * torch.randn(3, 8, 8)
    assert loss()(logits, satellite, target, valid) == loss()(logits, changed, target, valid)
    assert loss()(logits, satellite, target, valid[:, :0]) == SegmentationLoss("cross-entropy", None)(logits, target)


def test_both_answers_learn(batch):
    logits, satellite, target, valid = batch
    logits.requires_grad_()
    satellite.requires_grad_()
    loss()(logits, satellite, target, valid).backward()
    assert logits.grad.abs().max() > 0
    assert satellite.grad.abs().max() > 0

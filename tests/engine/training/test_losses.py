from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from engine.training import losses
from engine.training.losses import SegmentationLoss, class_weights

NAMES = ("cross-entropy", "cross-entropy+dice", "focal", "focal+dice")


def batch(classes=4, side=6, ignored=True, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, classes, side, side, generator=generator, requires_grad=True)
    target = torch.randint(0, classes, (2, side, side), generator=generator).to(torch.uint8)
    if ignored:
        target[0, :2], target[1, 3, 3] = 255, 255
    return logits, target


def of_two(share, right):
    """Return one pixel of two classes whose class `right` has the probability `share`."""
    first = math.log(share / (1 - share))
    logits = torch.tensor([first, 0.0] if right == 0 else [0.0, first])
    return logits.view(1, 2, 1, 1), torch.full((1, 1, 1), right, dtype=torch.uint8)


def value(name, logits, target, weights=None, smoothing=0.0):
    return SegmentationLoss(name, weights, smoothing)(logits, target).item()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("right", [0, 1])
def test_one_pixel_by_hand(share, right):
    logits, target = of_two(share, right)
    nll = -math.log(share)
    assert value("cross-entropy", logits, target) == pytest.approx(nll, rel=1e-5)
    assert value("focal", logits, target) == pytest.approx(nll * (1 - share) ** 2, rel=1e-4)
    # Dice of the one class that is there, with 1 above and below: (2 p + 1) / (1 + p + 1).
    dice = 1 - (2 * share + 1) / (share + 2)
    assert value("cross-entropy+dice", logits, target) == pytest.approx((nll + dice) / 2, rel=1e-5)
    assert value("focal+dice", logits, target) == pytest.approx((nll * (1 - share) ** 2 + dice) / 2, rel=1e-4)


def test_weights_and_smoothing_by_hand():
    first, second = of_two(0.8, 0), of_two(0.3, 1)
    logits, target = torch.cat([first[0], second[0]]), torch.cat([first[1], second[1]])
    weights = torch.tensor([1.0, 3.0])
    expected = (-math.log(0.8) * 1 - math.log(0.3) * 3) / 4
    assert value("cross-entropy", logits, target, weights) == pytest.approx(expected, rel=1e-5)
    smooth = [0.9 * -math.log(p) + 0.05 * (-math.log(p) - math.log(1 - p)) for p in (0.8, 0.3)]
    assert value("cross-entropy", logits, target, None, 0.1) == pytest.approx(sum(smooth) / 2, rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_is_torchs_own_mean(weighted, smoothing):
    logits, target = batch()
    weights = torch.tensor([0.5, 2.0, 1.0, 4.0]) if weighted else None
    own = SegmentationLoss("cross-entropy", weights, smoothing)(logits, target)
    theirs = cross_entropy(logits, target.long(), weights, ignore_index=255, label_smoothing=smoothing)
    assert own.item() == pytest.approx(theirs.item(), rel=1e-6)
    (mine,), (other,) = torch.autograd.grad(own, logits, retain_graph=True), torch.autograd.grad(theirs, logits)
    assert torch.allclose(mine, other, atol=1e-7)


def test_focal_without_focus_is_cross_entropy(monkeypatch):
    monkeypatch.setattr(losses, "FOCUS", 0.0)
    logits, target = batch()
    assert value("focal", logits, target) == pytest.approx(value("cross-entropy", logits, target), rel=1e-6)


def test_focal_weighs_down_what_is_known():
    logits, target = batch()
    assert value("focal", logits, target) < value("cross-entropy", logits, target)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("weighted", [False, True])
def test_ignored_pixels_have_no_gradient_and_no_say(name, weighted):
    logits, target = batch()
    loss = SegmentationLoss(name, torch.tensor([0.5, 2.0, 1.0, 4.0]) if weighted else None, 0.1)
    first = loss(logits, target)
    (gradient,) = torch.autograd.grad(first, logits)
    ignored = (target == 255)[:, None].expand_as(gradient)
    assert (gradient[ignored] == 0).all()
    assert (gradient[~ignored] != 0).all()
    changed = logits.detach().clone()
    changed[ignored] = 50.0
    assert float(loss(changed, target)) == float(first.detach())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("weights", [None, torch.tensor([1.0, 2.0, 1.0, 0.5])])
def test_a_batch_without_labels_teaches_nothing(name, weights):
    logits, target = batch()
    target[:] = 255
    loss = SegmentationLoss(name, weights, 0.1)(logits, target)
    loss.backward()
    assert loss.item() == 0.0
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_perfect_prediction_costs_nothing_and_a_wrong_one_much(name):
    _, target = batch(ignored=False)
    right = torch.nn.functional.one_hot(target.long(), 4).permute(0, 3, 1, 2).float() * 40
    assert value(name, right, target) == pytest.approx(0.0, abs=1e-4)
    assert value(name, right.roll(1, dims=1), target) > 1


def test_dice_is_the_mean_over_the_classes_that_occur():
    # Two pixels of class 0, one of class 2; all probability lies on class 0.
    target = torch.tensor([[[0, 0, 2, 255]]], dtype=torch.uint8)
    logits = torch.zeros(1, 3, 1, 4)
    logits[:, 0] = 60.0
    # The cross-entropy of the wrong pixel is 60, a third of it the mean.
    dice = 1 - ((2 * 2 + 1) / (2 + 3 + 1) + (0 + 1) / (1 + 0 + 1)) / 2
    assert value("cross-entropy+dice", logits, target) == pytest.approx((60 / 3 + dice) / 2, rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_class_that_weighs_nothing_teaches_nothing(name):
    logits, target = batch()
    weights = torch.tensor([1.0, 0.0, 2.0, 1.0])
    loss = SegmentationLoss(name, weights)(logits, target)
    (gradient,) = torch.autograd.grad(loss, logits)
    without = target.clone()
    without[target == 1] = 255
    assert (gradient[(target == 1)[:, None].expand_as(gradient)] == 0).all()
    assert loss.item() == pytest.approx(value(name, logits, without, weights), rel=1e-6)


def test_weights_come_in_the_order_of_the_classes():
    pixels = torch.tensor([10, 20, 0, 30])
    codes = (7, 3, 250, 5)
    assert class_weights("none", pixels, codes) is None
    assert class_weights({5: 2.0, 3: 0.0}, pixels, codes).tolist() == [1.0, 0.0, 1.0, 2.0]


def test_balanced_weights_have_mean_1_over_the_pixels():
    pixels = torch.tensor([9000, 0, 990, 10])
    weights = class_weights("balanced", pixels, (1, 2, 3, 4))
    assert float((weights * pixels).sum() / pixels.sum()) == pytest.approx(1.0)
    assert weights[0] < weights[2] < weights[3]
    assert float(weights[2] / weights[0]) == pytest.approx((0.099 / 0.9) ** -0.25, rel=1e-5)
    assert weights.isfinite().all()
    assert class_weights("balanced", torch.zeros(2, dtype=torch.int64), (1, 2)).isfinite().all()


def test_the_loss_of_half_precision_is_finite():
    logits, target = batch()
    assert math.isfinite(value("focal+dice", (logits.detach() * 30).bfloat16().float(), target))

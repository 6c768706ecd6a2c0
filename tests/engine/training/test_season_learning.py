"""A network learns from the season what the aerial image does not show."""

from __future__ import annotations

import pytest
import torch

from engine.training.losses import SegmentationLoss
from engine.training.season_loss import SeasonLoss
from tests.engine.models.utt.small_utt import inputs, small

STEPS, JUDGED, ITEMS = 60, 16, 8


def batch(seed, dates=6):
    """Return inputs and targets: a half of each patch is green in spring, the other in summer, which one by chance."""
    images, _, days, valid = inputs(ITEMS, dates, seed, side=32)
    generator = torch.Generator().manual_seed(seed)
    left = torch.randint(0, 2, (ITEMS,), generator=generator)
    columns = torch.arange(16) >= 8
    summer = left[:, None] ^ columns[None].long()
    spring_now = (days > 0).float()[:, :, None, None, None]
    green = torch.where(summer[:, None, None, None, :].bool(), 1 - spring_now, spring_now)
    series = 2 * green.expand(ITEMS, dates, 10, 16, 16) + 0.2 * torch.randn(
        ITEMS, dates, 10, 16, 16, generator=generator
    )
    target = summer[:, None, 4:12].repeat_interleave(4, 2).expand(ITEMS, 32, 32).to(torch.uint8).contiguous()
    return images, series, days, valid, target


@pytest.mark.parametrize("season", [True, False])
def test_crops_that_look_alike_are_told_apart_by_the_season_alone(season):
    network = small(pixel_ratio=4.0).train()
    plain = SegmentationLoss("cross-entropy", None)
    loss = SeasonLoss(plain, plain)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-2)
    right = []
    for step in range(STEPS):
        images, series, days, valid, target = batch(step)
        valid = valid & season
        found = network(images, series, days, valid)
        right.append((found.logits.argmax(1) == target).float().mean().item())
        optimizer.zero_grad()
        loss(*found, target, valid).backward()
        optimizer.step()
    # Every batch is new: what is right was not learnt by heart.
    last = sum(right[-JUDGED:]) / JUDGED
    assert last > 0.75 if season else last < 0.6

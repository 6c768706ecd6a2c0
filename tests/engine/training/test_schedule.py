from __future__ import annotations

import pytest
import torch
from torch import nn

from engine.training.presets import load_recipe
from engine.training.schedule import FIRST_SHARE, LAST_SHARE, make_optimizer, one_cycle


@pytest.mark.parametrize("warm_up", [0.0, 0.1, 0.5, 1.0])
def test_one_cycle_rises_to_1_and_falls_along_a_cosine(warm_up):
    steps = [number / 1000 for number in range(1001)]
    shares = [one_cycle(done, warm_up) for done in steps]
    top = shares.index(max(shares))
    assert max(shares) == pytest.approx(1.0)
    assert steps[top] == pytest.approx(warm_up, abs=0.001)
    assert shares[:top] == sorted(shares[:top])
    assert shares[top:] == sorted(shares[top:], reverse=True)
    assert shares[0] == pytest.approx(FIRST_SHARE if warm_up else 1.0)
    if warm_up < 1:
        assert shares[-1] == pytest.approx(LAST_SHARE)
        assert one_cycle((1 + warm_up) / 2, warm_up) == pytest.approx((1 + LAST_SHARE) / 2)
    if warm_up:
        assert one_cycle(warm_up / 2, warm_up) == pytest.approx((1 + FIRST_SHARE) / 2)
    assert one_cycle(1.01, 0.1) == pytest.approx(LAST_SHARE)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.decoder = nn.Conv2d(4, 2, 1)


def groups(network, **choices):
    optimizer = make_optimizer(network, load_recipe("quick", {"weight_decay": 0.1, "learning_rate": 0.01, **choices}))
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    found = {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            found[names[id(parameter)]] = (group["lr"], group["weight_decay"])
    return optimizer, found


def test_the_encoder_gets_its_share_and_biases_are_not_decayed():
    optimizer, found = groups(Network(), encoder_rate=0.25)
    assert isinstance(optimizer, torch.optim.AdamW)
    assert found == {
        "encoder.0.weight": (0.0025, 0.1),
        "encoder.0.bias": (0.0025, 0.0),
        "encoder.1.weight": (0.0025, 0.0),
        "encoder.1.bias": (0.0025, 0.0),
        "decoder.weight": (0.01, 0.1),
        "decoder.bias": (0.01, 0.0),
    }


def test_what_is_frozen_or_has_no_rate_is_left_out():
    network = Network()
    network.encoder[0].weight.requires_grad_(False)
    assert "encoder.0.weight" not in groups(network)[1]
    assert set(groups(Network(), encoder_rate=0.0)[1]) == {"decoder.weight", "decoder.bias"}


def test_momentum_is_that_of_sgd():
    optimizer, _ = groups(Network(), optimizer="sgd", momentum=0.9)
    assert isinstance(optimizer, torch.optim.SGD)
    assert {group["momentum"] for group in optimizer.param_groups} == {0.9}


def test_a_network_without_an_encoder_gets_the_whole_rate():
    assert {rate for rate, _ in groups(nn.Conv2d(1, 1, 1), encoder_rate=0.1)[1].values()} == {0.01}

"""Small networks, series of every kind, and weights of the published layout."""

from __future__ import annotations

import math

import torch

from engine.models.utt.design import SatelliteDesign
from engine.models.utt.published_layout import PARTS
from engine.models.utt.utt import UTT

TINY = SatelliteDesign((16, 16, 32), (16, 16, 32), (8,), heads=8, attention_width=32)
ENCODER = "mobilenet_v2"
RATIO = 8.0
SIDE, SATELLITE_SIDE = 64, 16


def small(seed=0, **choices):
    """Return a small network for 64-pixel images over 8 satellite pixels in the middle of 16."""
    torch.manual_seed(seed)
    values = {"series_channels": 10, "satellite": TINY, "pixel_ratio": RATIO, **choices}
    network = UTT(ENCODER, 5, 4, **values)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
                module.weight.uniform_(0.5, 1.5)
    return network.eval()


def inputs(items=2, dates=4, seed=1, side=SIDE, satellite_side=SATELLITE_SIDE):
    """Return images, series, days and marks of a batch without padding."""
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(items, 5, side, side, generator=generator),
        torch.rand(items, dates, 10, satellite_side, satellite_side, generator=generator) + 0.1,
        torch.randint(-200, 130, (items, dates), generator=generator).float(),
        torch.ones(items, dates, dtype=torch.bool),
    )


def wave(shape, number):
    """Return numbers from -1 to 1 by a formula."""
    count = torch.arange(math.prod(shape), dtype=torch.float64)
    return ((count * 0.6180339887498949 + number * 0.41421356) % 1 * 2 - 1).reshape(shape)


def published_state(network):
    """Return the tensors of a network with idle layers under the published names, with values by a formula."""
    named = {_their_name(name): tensor for name, tensor in network.state_dict().items()}
    return {name: _filled(name, tensor, number) for number, (name, tensor) in enumerate(sorted(named.items()))}


def _their_name(name):
    for theirs, ours in PARTS:
        if name.startswith(ours):
            return theirs + name[len(ours) :]
    raise AssertionError(name)


def _filled(name, tensor, number):
    if not tensor.is_floating_point():
        return tensor.clone()
    values = wave(tensor.shape, number)
    if tensor.ndim > 1:
        values = values * math.sqrt(3 * tensor.shape[0] / tensor.numel())
    elif name.endswith("running_var"):
        values = 1 + 0.3 * values
    elif name.endswith("weight"):
        values = 1 + 0.2 * values
    else:
        values = 0.1 * values
    return values.float()

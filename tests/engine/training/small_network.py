"""A network of a few hundred weights, which learns in milliseconds."""

from __future__ import annotations

import torch
from torch import nn


class SmallNetwork(nn.Module):
    """Maps (N, bands, H, W) to (N, classes, H, W).

    Args:
        job: Bands and classes.
        normalised: Whether the encoder has a batch normalisation.
    """

    def __init__(self, job, normalised=True):
        super().__init__()
        torch.manual_seed(0)
        bands, classes = len(job.manifest.bands), len(job.manifest.nomenclature.classes)
        middle = nn.BatchNorm2d(6) if normalised else nn.Identity()
        self.encoder = nn.Sequential(nn.Conv2d(bands, 6, 3, padding=1), middle, nn.ReLU())
        self.decoder = nn.Conv2d(6, classes, 1)

    def forward(self, images):
        return self.decoder(self.encoder(images))


def state(network):
    """Return a copy of all parameters and statistics."""
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}

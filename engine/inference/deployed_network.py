"""A network as it is deployed: raw values in, logits of the enabled classes out."""

from __future__ import annotations

import torch
from torch import nn

from engine.models.manifest import Manifest


class DeployedNetwork(nn.Module):
    """Normalisation, network and choice of the enabled classes in one module.

    The head's convolution is cut down to the enabled classes where the network
    ends in one, so that disabled classes cost nothing and cannot win.

    Args:
        network: Trained network; its head is replaced.
        manifest: Its description.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, network: nn.Module, manifest: Manifest) -> None:
        super().__init__()
        self.network = network
        self.channels: list[int] | None = list(manifest.nomenclature.enabled_channels)
        if len(self.channels) == len(manifest.nomenclature.classes) or prune_head(network, self.channels):
            self.channels = None
        mean = torch.tensor([band.mean for band in manifest.bands], dtype=torch.float32)
        std = torch.tensor([band.std for band in manifest.bands], dtype=torch.float32)
        self.register_buffer("mean", mean.view(1, -1, 1, 1))
        self.register_buffer("std", std.view(1, -1, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) raw values to (N, K, H, W) logits of the K enabled classes."""
        logits: torch.Tensor = self.network((images - self.mean) / self.std)
        return logits if self.channels is None else logits[:, self.channels]


def prune_head(network: nn.Module, channels: list[int]) -> bool:
    """Cut a network's last convolution down to some channels; return whether it ends in one that can be cut."""
    head = getattr(network, "segmentation_head", None)
    if not isinstance(head, nn.Sequential) or not isinstance(head[0], nn.Conv2d):
        return False
    full = head[0]
    # A head that ends in softmax would normalise over fewer classes than it was trained with.
    activation = getattr(head[-1], "activation", nn.Identity())
    if full.groups != 1 or not isinstance(activation, nn.Identity):
        return False
    kernel = (full.kernel_size[0], full.kernel_size[1])
    pruned = nn.Conv2d(
        full.in_channels,
        len(channels),
        kernel,
        stride=(full.stride[0], full.stride[1]),
        padding=full.padding if isinstance(full.padding, str) else (full.padding[0], full.padding[1]),
        dilation=(full.dilation[0], full.dilation[1]),
        bias=full.bias is not None,
    )
    with torch.no_grad():
        pruned.weight.copy_(full.weight[channels])
        if full.bias is not None and pruned.bias is not None:
            pruned.bias.copy_(full.bias[channels])
    head[0] = pruned
    return True

"""The UPerNet of the FLAIR-HUB models, as IGN trained them with segmentation-models-pytorch 0.4.

Later versions of that library have another decoder under the same name: other names, shapes and steps. The network is
therefore written down here, for encoders of timm whose first map has a quarter of the image's resolution.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from segmentation_models_pytorch.base import SegmentationHead
from segmentation_models_pytorch.encoders import get_encoder
from torch import nn
from torch.nn import functional

# Patches that the published models were trained on; a Swin encoder chooses its windows by it.
PATCH = 512
PYRAMID_CHANNELS, SEGMENTATION_CHANNELS = 256, 64
POOLED_SIDES = (1, 2, 3, 6)


class HubUPerNet(nn.Module):
    """An encoder of timm with the decoder of the FLAIR-HUB models.

    Args:
        encoder: Name of the encoder, `tu-` and timm's name.
        in_channels: Number of input bands.
        classes: Number of output channels.

    Raises:
        KeyError: There is no such encoder.
        ValueError: Its maps are not those of 4, 8, 16 and 32 pixels a step.
    """

    def __init__(self, encoder: str, in_channels: int, classes: int) -> None:
        super().__init__()
        # Masks and padding of a Swin's windows then follow each image's size; for the patch's size they are the same.
        sizes = {"img_size": PATCH, "strict_img_size": False} if "swin" in encoder else {}
        self.encoder = get_encoder(encoder, in_channels=in_channels, depth=5, weights=None, **sizes)
        channels = [int(count) for count in self.encoder.out_channels]
        if len(channels) != 6 or channels[1] != 0:
            raise ValueError("its feature maps do not begin at a quarter of the image's resolution")
        self.decoder = HubDecoder(channels[2:])
        self.segmentation_head = SegmentationHead(SEGMENTATION_CHANNELS, classes, kernel_size=1, upsampling=4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map (N, in_channels, H, W) to (N, classes, H, W) logits; H and W are multiples of 32."""
        maps = self.encoder(images)
        # Without the image itself and the empty map of half its resolution.
        logits: torch.Tensor = self.segmentation_head(self.decoder(maps[2:]))
        return logits


class HubDecoder(nn.Module):
    """Pyramid pooling of the coarsest map, a pyramid of the finer ones, and all of them joined.

    Args:
        channels: Channels of the maps of 4, 8, 16 and 32 pixels a step.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.psp = _Pooling(channels[-1])
        self.fpn_stages = nn.ModuleList(_Skip(count) for count in reversed(channels[:-1]))
        self.fpn_bottleneck = _convolution((len(channels) + 1) * PYRAMID_CHANNELS, SEGMENTATION_CHANNELS, 3)

    def forward(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        """Map the encoder's maps to (N, 64, H / 4, W / 4)."""
        *finer, coarsest = maps
        pyramid = [self.psp(coarsest)]
        for stage, skip in zip(self.fpn_stages, reversed(finer), strict=True):
            pyramid.append(stage(pyramid[-1], skip))
        rows, columns = finer[0].shape[-2:]
        # The empty map of half the resolution is a stage of its own: the finest map goes there and comes back.
        pyramid.append(_resized(pyramid[-1], rows * 2, columns * 2))
        joined: torch.Tensor = self.fpn_bottleneck(torch.cat([_resized(item, rows, columns) for item in pyramid], 1))
        return joined


class _Pooling(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        share = channels // len(POOLED_SIDES)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(side), _convolution(channels, share, 1)) for side in POOLED_SIDES
        )
        self.out_conv = _convolution(channels * 2, PYRAMID_CHANNELS, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        rows, columns = features.shape[-2:]
        pooled = [_resized(block(features), rows, columns) for block in self.blocks]
        joined: torch.Tensor = self.out_conv(torch.cat([features, *pooled], 1))
        return joined


class _Skip(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.skip_conv = _convolution(channels, PYRAMID_CHANNELS, 1)

    def forward(self, coarser: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        rows, columns = skip.shape[-2:]
        joined: torch.Tensor = _resized(coarser, rows, columns) + self.skip_conv(skip)
        return joined


def _convolution(in_channels: int, out_channels: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def _resized(features: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    return functional.interpolate(features, size=(rows, columns), mode="bilinear", align_corners=False)

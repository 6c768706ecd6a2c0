"""What the season says, brought to the sizes and channels of an aerial encoder's maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

DROPOUT = 0.3
Shape = tuple[int, int]


class CroppedFusion(nn.Module):
    """The season of the patch's own ground, pixel by pixel.

    Args:
        in_channels: Channels of the satellite map.
        out_channels: Channels of each aerial map.
    """

    def __init__(self, in_channels: int, out_channels: Sequence[int]) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv2d(in_channels, count, 1) for count in out_channels)

    def forward(self, features: torch.Tensor, stage: int, shape: Shape) -> torch.Tensor:
        """Return what to add to the aerial map of a stage.

        Args:
            features: Satellite map of the patch's ground, shape (B, in_channels, h, w).
            stage: Number of the aerial map.
            shape: Its rows H and columns W.

        Returns:
            Shape (B, out_channels[stage], H, W).
        """
        narrowed = self.convolutions[stage](features)
        return functional.interpolate(narrowed, shape, mode="bilinear", align_corners=False)


class CollapsedFusion(nn.Module):
    """The season of the surroundings in one vector per item, the same for all pixels of a map.

    Args:
        in_channels: Channels of the satellite map.
        out_channels: Channels of each aerial map.
        first_item_for_all: Give all items the summary of the first, as the published code does.
    """

    def __init__(self, in_channels: int, out_channels: Sequence[int], first_item_for_all: bool) -> None:
        super().__init__()
        self._first_item_for_all = first_item_for_all
        self.perceptrons = nn.ModuleList(_perceptron(in_channels, count) for count in out_channels)

    def forward(self, features: torch.Tensor, stage: int) -> torch.Tensor:
        """Return what to add to the aerial map of a stage.

        Args:
            features: Satellite map with all its surroundings, shape (B, in_channels, S, S).
            stage: Number of the aerial map.

        Returns:
            Shape (B, out_channels[stage], 1, 1).
        """
        summary = features.mean((-2, -1))
        if self._first_item_for_all:
            summary = summary[:1].expand_as(summary)
        answer: torch.Tensor = self.perceptrons[stage](summary)
        return answer[:, :, None, None]


def _perceptron(before: int, after: int) -> nn.Sequential:
    """Return three layers whose widths go from one to the other in equal steps."""
    third = abs(before - after) // 3
    if before == after:
        first = second = 2 * before
    elif before < after:
        first, second = before + third, before + 2 * third
    else:
        first, second = before - third, before - 2 * third
    return nn.Sequential(
        nn.Linear(before, first),
        nn.Dropout(DROPOUT),
        nn.ReLU(inplace=True),
        nn.Linear(first, second),
        nn.Dropout(DROPOUT),
        nn.ReLU(inplace=True),
        nn.Linear(second, after),
    )

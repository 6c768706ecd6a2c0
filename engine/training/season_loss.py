"""The loss of a network that also answers from its satellite images alone."""

from __future__ import annotations

import torch
from torch import nn

from engine.nomenclature import IGNORE_INDEX
from engine.training.losses import SegmentationLoss


class SeasonLoss(nn.Module):
    """Weighted sum of the losses of both answers.

    Args:
        aerial: Loss of the answer itself.
        satellite: Loss of the answer of the satellite images alone; may weigh classes otherwise.
        aerial_weight: Weight of the first.
        satellite_weight: Weight of the second.
        swapped: Exchange the weights, as the published code does.
    """

    def __init__(
        self,
        aerial: SegmentationLoss,
        satellite: SegmentationLoss,
        aerial_weight: float = 1.0,
        satellite_weight: float = 1.0,
        swapped: bool = False,
    ) -> None:
        super().__init__()
        self._aerial, self._satellite = aerial, satellite
        self._weights = (satellite_weight, aerial_weight) if swapped else (aerial_weight, satellite_weight)

    def forward(
        self, logits: torch.Tensor, satellite_logits: torch.Tensor, target: torch.Tensor, valid: torch.Tensor
    ) -> torch.Tensor:
        """Return the loss, a scalar.

        Args:
            logits: Shape (B, classes, H, W).
            satellite_logits: Shape (B, classes, H, W); without part in it for items without any date.
            target: Training indices, shape (B, H, W), uint8; 255 is ignored.
            valid: Which dates are none of the padding, shape (B, T).
        """
        known = valid.any(1)[:, None, None]
        seen = target.where(known, torch.full_like(target, IGNORE_INDEX))
        first, second = self._weights
        total: torch.Tensor = first * self._aerial(logits, target) + second * self._satellite(satellite_logits, seen)
        return total

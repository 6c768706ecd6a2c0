"""Gives a network with a season what it looks at."""

from __future__ import annotations

import torch
from torch import nn

from engine.models.season_input import SeasonInput
from engine.models.utt.utt import Answer


class SeasonAnswer(nn.Module):
    """Gives a network its season, normalised.

    Args:
        season: What the network knows of it.
        device: Where the statistics go at first.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, season: SeasonInput, device: torch.device | None = None) -> None:
        super().__init__()
        for name in ("mean", "std"):
            values = torch.tensor([float(getattr(band, name)) for band in season.bands], device=device)
            self.register_buffer(name, values.view(1, 1, -1, 1, 1), persistent=False)

    def forward(self, network: nn.Module, values: torch.Tensor, batch: dict[str, torch.Tensor]) -> Answer:
        """Return what the network says of normalised images (N, bands, H, W) with the season of their batch."""
        device = self.mean.device
        series = (batch["series"].to(device) - self.mean) / self.std
        metadata = batch.get("metadata")
        answer: Answer = network(
            values,
            series,
            batch["days"].to(device),
            batch["valid"].to(device),
            None if metadata is None else metadata.to(device),
        )
        return answer

"""Lightweight temporal attention (L-TAE): which dates of a series matter, for each pixel and each group of channels.

V. Sainte Fare Garnot and L. Landrieu, Lightweight Temporal Self-Attention for Classifying Satellite Image Time Series,
2020, in the form of their U-TAE, 2021.
"""

from __future__ import annotations

import math

import torch
from torch import nn

# Longest wave of the days' sines, in days over 2 pi: the value of the authors.
PERIOD = 1000.0
DROPOUT, ATTENTION_DROPOUT = 0.2, 0.1


def day_encoding(days: torch.Tensor, width: int) -> torch.Tensor:
    """Return sines (even places) and cosines (odd places) of days, shape (..., width).

    Args:
        days: Days from the date to 15 May, any shape.
        width: Numbers per date.
    """
    steps = torch.div(torch.arange(width, device=days.device), 2, rounding_mode="floor").float()
    angles = days.float()[..., None] / torch.pow(torch.tensor(PERIOD, device=days.device), 2 * steps / width)
    even = torch.arange(width, device=days.device) % 2 == 0
    return torch.where(even, angles.sin(), angles.cos())


class SeriesNorm(nn.Module):
    """Group normalisation of a series over its dates, padded ones left out.

    Args:
        groups: Number of groups of channels.
        channels: Number of channels.
        count_padding: Count padded dates, as the published code does.
    """

    def __init__(self, groups: int, channels: int, count_padding: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self._groups = groups
        self._count_padding = count_padding

    def forward(self, values: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        """Normalise values (N, T, C), of which `valid` (N, T) are none of the padding."""
        count, dates, channels = values.shape
        grouped = values.float().view(count, dates, self._groups, channels // self._groups)
        share = torch.ones_like(valid) if self._count_padding else valid
        weight = share.float()[:, :, None, None]
        amount = weight.sum(1, keepdim=True).clamp(min=1) * grouped.shape[3]
        mean = (grouped * weight).sum((1, 3), keepdim=True) / amount
        variance = ((grouped - mean).square() * weight).sum((1, 3), keepdim=True) / amount
        normed = ((grouped - mean) * (variance + 1e-5).rsqrt()).view(count, dates, channels)
        return normed * self.weight + self.bias


class _Attention(nn.Module):
    """Learnt questions, one a head, to the keys of all dates."""

    def __init__(self, heads: int, key_width: int, width: int) -> None:
        super().__init__()
        deviation = math.sqrt(2 / key_width)
        self.Q = nn.Parameter(torch.randn(heads, key_width) * deviation)
        self.fc1_k = nn.Linear(width, heads * key_width)
        nn.init.normal_(self.fc1_k.weight, std=deviation)
        self.dropout = nn.Dropout(ATTENTION_DROPOUT)

    def forward(self, values: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        """Return the share of each date, shape (N, T, heads), for values (N, T, width)."""
        heads, key_width = self.Q.shape
        keys = self.fc1_k(values).view(*values.shape[:2], heads, key_width)
        scores = (keys * self.Q).sum(-1).float() / math.sqrt(key_width)
        # Not minus infinity, which would leave no number where all dates are padded.
        scores = scores.masked_fill(~valid[:, :, None], torch.finfo(scores.dtype).min)
        shares: torch.Tensor = self.dropout(scores.softmax(1))
        return shares


class LTAE(nn.Module):
    """Turns a series of maps into one map, and tells which dates it looked at.

    Args:
        in_channels: Channels of the maps.
        out_channels: Channels of the answer.
        heads: Number of attention heads.
        width: Channels that are split between the heads.
        key_width: Length of a key.
        count_padding: See `SeriesNorm`.
    """

    def __init__(
        self, in_channels: int, out_channels: int, heads: int, width: int, key_width: int, count_padding: bool
    ) -> None:
        super().__init__()
        self._heads = heads
        self.in_norm = SeriesNorm(heads, in_channels, count_padding)
        self.inconv = nn.Conv1d(in_channels, width, 1)
        self.attention_heads = _Attention(heads, key_width, width)
        self.mlp = nn.Sequential(nn.Linear(width, out_channels), nn.BatchNorm1d(out_channels), nn.ReLU())
        self.dropout = nn.Dropout(DROPOUT)
        self.out_norm = nn.GroupNorm(heads, out_channels)

    def forward(self, maps: torch.Tensor, days: torch.Tensor, valid: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Look at all dates.

        Args:
            maps: Shape (B, T, in_channels, H, W); padded dates hold 0.
            days: Days from each date to 15 May, shape (B, T).
            valid: Which dates are none of the padding, shape (B, T); at least one of each item.

        Returns:
            The map, shape (B, out_channels, H, W), and the share of each date, shape (B, heads, T, H, W), 0 where
            padded.
        """
        items, dates, channels, height, width = maps.shape
        pixels = height * width
        values = maps.permute(0, 3, 4, 1, 2).reshape(items * pixels, dates, channels)
        known = valid.repeat_interleave(pixels, 0)
        values = self.inconv(self.in_norm(values, known).transpose(1, 2)).transpose(1, 2)
        place = day_encoding(days, values.shape[2] // self._heads).repeat(1, 1, self._heads)
        values = values + place.repeat_interleave(pixels, 0)
        shares = self.attention_heads(values, known)
        split = values.view(items * pixels, dates, self._heads, values.shape[2] // self._heads)
        seen = (shares[..., None] * split).sum(1).flatten(1)
        answer = self.out_norm(self.dropout(self.mlp(seen)))
        return (
            answer.view(items, height, width, answer.shape[1]).permute(0, 3, 1, 2).contiguous(),
            shares.view(items, height, width, dates, self._heads).permute(0, 4, 3, 1, 2).contiguous(),
        )

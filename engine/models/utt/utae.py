"""U-TAE: a U-Net over each image of a series, whose maps are joined over time by one attention.

V. Sainte Fare Garnot and L. Landrieu, Panoptic Segmentation of Satellite Image Time Series with Convolutional Temporal
Attention Networks, 2021. Names of the parts are those of their code, so that weights are found by name.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from engine.errors import ModelError
from engine.models.utt.design import SatelliteDesign
from engine.models.utt.ltae import LTAE
from engine.models.utt.published_faults import NONE, PublishedFaults

NORM_GROUPS = 4


class UTAE(nn.Module):
    """Turns a series of satellite images into one map of features.

    Args:
        in_channels: Bands of an image.
        classes: Number of classes; of the idle layers alone.
        design: Sizes.
        faults: Which faults of the published code to repeat.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        design: SatelliteDesign,
        faults: PublishedFaults = NONE,
    ) -> None:
        super().__init__()
        self._design = design
        self._zeros_are_padding = faults.zeros_are_padding
        encoder, decoder = design.encoder_widths, design.decoder_widths
        self.in_conv = _Block((in_channels, encoder[0], encoder[0]), "group")
        self.down_blocks = nn.ModuleList(_Down(above, below, design) for above, below in pairwise(encoder))
        self.temporal_encoder = LTAE(
            encoder[-1],
            encoder[-1],
            design.heads,
            design.attention_width,
            design.key_width,
            faults.padding_in_normalisation,
        )
        self.up_blocks = nn.ModuleList(
            _Up(decoder[stage], decoder[stage - 1], encoder[stage - 1], design)
            for stage in range(len(encoder) - 1, 0, -1)
        )
        if faults.idle_layers:
            self.out_conv = _Block((decoder[0], *design.class_widths, classes), "batch")

    @property
    def out_channels(self) -> int:
        """Channels of the map that comes out."""
        return self._design.decoder_widths[0]

    def forward(self, series: torch.Tensor, days: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        """Return the features of a series, shape (B, out_channels, S, S).

        Args:
            series: Shape (B, T, in_channels, S, S) float; what padded dates hold is never looked at.
            days: Days from each date to 15 May, shape (B, T).
            valid: Which dates are none of the padding, shape (B, T) bool; at least one of each item.

        Raises:
            ModelError: S is no multiple of the design's `step`, or too small.
        """
        step = self._design.step
        if any(side % step or side < 2 * step for side in series.shape[-2:]):
            raise ModelError(
                f"Satellite images of {series.shape[-2]} x {series.shape[-1]} pixels do not fit the network.",
                f"Sides are multiples of {step}, {2 * step} at the least.",
            )
        if self._zeros_are_padding:
            valid = valid & (series != 0).flatten(2).any(-1)
        features = self.in_conv(series[valid])
        maps = [features]
        for block in self.down_blocks:
            features = block(features)
            maps.append(features)
        joined, shares = self.temporal_encoder(_at_their_dates(maps.pop(), valid), days, valid)
        for block in self.up_blocks:
            joined = block(joined, _seen(_at_their_dates(maps.pop(), valid), shares))
        answer: torch.Tensor = joined
        return answer


def _at_their_dates(features: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Return features (F, C, H, W) of the F valid dates as (B, T, C, H, W), 0 where padded."""
    placed = features.new_zeros(*valid.shape, *features.shape[1:])
    placed[valid] = features
    return placed


def _seen(maps: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Return maps (B, T, C, H, W) joined over time, shape (B, C, H, W).

    Args:
        maps: The maps of one step of the encoder.
        shares: Share of each date, shape (B, heads, T, h, w): each head looks at its group of channels.
    """
    items, dates, channels, height, width = maps.shape
    heads = shares.shape[1]
    finer = functional.interpolate(shares.flatten(0, 1), (height, width), mode="bilinear", align_corners=False)
    weights = finer.view(items, heads, dates, height, width).transpose(1, 2)
    grouped = maps.view(items, dates, heads, channels // heads, height, width)
    return (grouped * weights[:, :, :, None]).sum(1).flatten(1, 2)


class _Convolutions(nn.Module):
    def __init__(
        self,
        widths: tuple[int, ...],
        norm: Literal["batch", "group"],
        kernel: int = 3,
        stride: int = 1,
        padding: int = 1,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [
                nn.Conv2d(before, after, kernel, stride, padding, padding_mode="reflect"),
                nn.BatchNorm2d(after) if norm == "batch" else nn.GroupNorm(NORM_GROUPS, after),
                nn.ReLU(),
            ]
        self.conv = nn.Sequential(*layers)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.conv(features)
        return answer


class _Block(nn.Module):
    def __init__(self, widths: tuple[int, ...], norm: Literal["batch", "group"]) -> None:
        super().__init__()
        self.conv = _Convolutions(widths, norm)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.conv(features)
        return answer


class _Down(nn.Module):
    def __init__(self, above: int, below: int, design: SatelliteDesign) -> None:
        super().__init__()
        self.down = _Convolutions((above, above), "group", design.kernel, design.stride, design.padding)
        self.conv1 = _Convolutions((above, below), "group")
        self.conv2 = _Convolutions((below, below), "group")

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        halved = self.conv1(self.down(features))
        answer: torch.Tensor = halved + self.conv2(halved)
        return answer


class _Up(nn.Module):
    def __init__(self, below: int, above: int, skip: int, design: SatelliteDesign) -> None:
        super().__init__()
        self.skip_conv = nn.Sequential(nn.Conv2d(skip, skip, 1), nn.BatchNorm2d(skip), nn.ReLU())
        self.up = nn.Sequential(
            nn.ConvTranspose2d(below, above, design.kernel, design.stride, design.padding),
            nn.BatchNorm2d(above),
            nn.ReLU(),
        )
        self.conv1 = _Convolutions((above + skip, above), "batch")
        self.conv2 = _Convolutions((above, above), "batch")

    def forward(self, features: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        doubled = self.conv1(torch.cat([self.up(features), self.skip_conv(skip)], 1))
        answer: torch.Tensor = doubled + self.conv2(doubled)
        return answer

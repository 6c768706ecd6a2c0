"""Where, when and with which camera an aerial image was taken, in numbers."""

from __future__ import annotations

import math
from datetime import datetime

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from engine.models.utt.published_faults import NONE, PublishedFaults

POSITION_WIDTH = 32
WIDTH = POSITION_WIDTH + 13
HIDDEN_WIDTHS = (64, 32)
OUT_WIDTH = 16
DROPOUT = 0.5
HIGHEST = 3164.9099121094
"""Metres of the highest patch of FLAIR."""
YEARS = (2018, 2019, 2020, 2021)
# Metres: the longest wave spans a country, so that no two places of it are the same; the shortest tells villages apart.
LONGEST_WAVE, SHORTEST_WAVE = 1e7, 1e4


def encode_metadata(
    x: float, y: float, altitude: float, camera: str, taken: datetime, faults: PublishedFaults = NONE
) -> npt.NDArray[np.float32]:
    """Return the metadata of one patch as numbers, shape (45,).

    Places: 0-31 sines and cosines of the position, 32 altitude over that of the highest patch, 33-34 camera (an
    UltraCam Eagle, another one, neither where it is not known), 35-38 year from 2018 to 2021 (none in any other),
    39-44 sine and cosine of month, day and time of day, brought to 0 to 1.

    Args:
        x: Metres east in the CRS of the model's patches, EPSG:2154 for FLAIR.
        y: Metres north.
        altitude: Metres above the sea.
        camera: Name of the camera; empty where it is not known.
        taken: Local date and time.
        faults: `constant_month` and `flat_position` are repeated on request.
    """
    values = [*_position(x, faults.flat_position), *_position(y, faults.flat_position), altitude / HIGHEST]
    eagle = "UCE" in camera
    values += [float(eagle), float(bool(camera) and not eagle)]
    values += [float(taken.year == year) for year in YEARS]
    # The published code takes 1/12 off the month's number, and so turns round whole circles.
    month = taken.month - 1 / 12 if faults.constant_month else (taken.month - 1) / 12
    seconds = taken.hour * 3600 + taken.minute * 60 + taken.second
    for share in (month, taken.day / 31, seconds / 86400):
        values += [(math.sin(2 * math.pi * share) + 1) / 2, (math.cos(2 * math.pi * share) + 1) / 2]
    return np.array(values, dtype=np.float32)


def _position(metres: float, flat: bool) -> list[float]:
    waves = POSITION_WIDTH // 4
    if flat:
        angles = [metres / 1e8 / 1e8 ** (wave / waves) for wave in range(waves)]
    else:
        ratio = (SHORTEST_WAVE / LONGEST_WAVE) ** (1 / (waves - 1))
        angles = [2 * math.pi * metres / (LONGEST_WAVE * ratio**wave) for wave in range(waves)]
    return [value for angle in angles for value in (math.sin(angle), math.cos(angle))]


class MetadataFusion(nn.Module):
    """What the metadata says, brought to an aerial encoder's deepest map.

    Args:
        channels: Channels of that map.
        by_row: Add the numbers to rows, as the published code does.
    """

    def __init__(self, channels: int, by_row: bool) -> None:
        super().__init__()
        first, second = HIDDEN_WIDTHS
        self.layers = nn.Sequential(
            nn.Linear(WIDTH, first),
            nn.Dropout(DROPOUT),
            nn.ReLU(inplace=True),
            nn.Linear(first, second),
            nn.Dropout(DROPOUT),
            nn.ReLU(inplace=True),
            nn.Linear(second, OUT_WIDTH),
        )
        self.projection = None if by_row else nn.Linear(OUT_WIDTH, channels)

    def forward(self, metadata: torch.Tensor) -> torch.Tensor:
        """Return what to add to the deepest map: (B, channels, 1, 1), or (B, 1, 16, 1) by row, for (B, 45) numbers."""
        answer: torch.Tensor = self.layers(metadata)
        if self.projection is None:
            return answer[:, None, :, None]
        projected: torch.Tensor = self.projection(answer)
        return projected[:, :, None, None]

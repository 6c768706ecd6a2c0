"""Channels by number and the three normalisations of IGN's tools, as bands by name with mean and deviation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.band import Band
from engine.band_names import FLAIR_ORDER
from engine.yaml_file import Place, YamlFile

NormType = Literal["custom", "scaling", "without"]


@dataclass(frozen=True)
class Channels:
    """The bands that a network gets.

    Args:
        numbers: Band numbers in the image files, from 1, in the network's order.
        bands: Names and statistics, in the same order.
        norm_type: What the file calls its normalisation.
    """

    numbers: tuple[int, ...]
    bands: tuple[Band, ...]
    norm_type: NormType

    @property
    def by_name(self) -> dict[str, int]:
        """Numbers by name, in the network's order."""
        return {band.name: number for band, number in zip(self.bands, self.numbers, strict=True)}


def channel_name(number: int) -> str:
    """Return what FLAIR's files hold in a band: red, green, blue, infrared, elevation, then numbers."""
    return FLAIR_ORDER[number - 1] if number <= len(FLAIR_ORDER) else f"band {number}"


def channels_of(
    file: YamlFile,
    numbers: Sequence[int],
    norm_type: NormType,
    means: Sequence[float],
    stds: Sequence[float],
    dtype: str,
    places: tuple[Place, Place],
) -> Channels:
    """Return the bands of a file.

    Args:
        file: The file, for errors.
        numbers: Its channels.
        norm_type: custom: (value - mean) / deviation; scaling: integers divided by their type's range; without: as is.
        means: Raw values, for custom.
        stds: Raw values over 0, for custom.
        dtype: numpy type name of the images.
        places: Where channels and means stand in the file.

    Raises:
        RequestError: A channel stands twice, or means and deviations do not fit the channels.
    """
    if len(set(numbers)) != len(numbers):
        raise file.error(places[0], f"a channel stands twice: {list(numbers)}.", "Name each once.")
    kind = np.dtype(dtype)
    top = float(np.iinfo(kind).max) if kind.kind in "iu" else 255.0
    if norm_type == "custom":
        if not len(means) == len(stds) == len(numbers):
            raise file.error(
                places[1],
                f"{len(numbers)} channels need as many means and deviations, not {len(means)} and {len(stds)}.",
                "Give 'norm_means' and 'norm_stds' in the order of the channels.",
            )
        if not all(np.isfinite(means)) or not all(np.isfinite(std) and std > 0 for std in stds):
            raise file.error(places[1], "means must be finite, and deviations over 0.")
        pairs = list(zip(means, stds, strict=True))
    else:
        scaled = norm_type == "scaling" and kind.kind in "iu"
        pairs = [(0.0, top if scaled else 1.0)] * len(numbers)
    bands = tuple(
        Band(channel_name(number), float(mean), float(std), 0.0, top)
        for number, (mean, std) in zip(numbers, pairs, strict=True)
    )
    return Channels(tuple(numbers), bands, norm_type)

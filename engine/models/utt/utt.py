"""U-T&T: the texture of one aerial image and the time of many satellite images.

A. Garioud and others, FLAIR #2: textural and temporal information for semantic segmentation from multi-source optical
imagery, 2023.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional

from engine.errors import ModelError
from engine.models.architecture import build_network
from engine.models.utt.design import SatelliteDesign
from engine.models.utt.fusion import CollapsedFusion, CroppedFusion
from engine.models.utt.metadata_encoding import OUT_WIDTH, MetadataFusion
from engine.models.utt.published_faults import NONE, PublishedFaults
from engine.models.utt.utae import UTAE

# 10.24 m of FLAIR's Sentinel-2 images over 0.2 m of its aerial ones.
PIXEL_RATIO = 51.2


class Answer(NamedTuple):
    """What the network says.

    Args:
        logits: Of the aerial image, shape (B, classes, H, W).
        satellite_logits: Of the satellite images alone, shape (B, classes, H, W); guides the learning, and is 0 for
            items without any date.
    """

    logits: torch.Tensor
    satellite_logits: torch.Tensor


class UTT(nn.Module):
    """A U-Net whose encoder maps also hold the season.

    An item whose series is empty is answered for as by the U-Net alone.

    Args:
        encoder: Encoder of the U-Net, a name of segmentation-models-pytorch.
        in_channels: Bands of an aerial image.
        classes: Number of classes.
        series_channels: Bands of a satellite image.
        metadata: Also take metadata.
        pixel_ratio: Side of a satellite pixel in aerial pixels.
        satellite_dropout: Share of the items that learn without their series, 0 to 1.
        satellite: Sizes of the U-TAE.
        faults: Which faults of the published code to repeat.

    Attributes:
        places: Where the fusions have their layers for each of the encoder's maps that the season is added to.

    Raises:
        ModelError: There is no such encoder, or sizes do not fit together.
    """

    def __init__(
        self,
        encoder: str = "resnet34",
        in_channels: int = 5,
        classes: int = 13,
        *,
        series_channels: int = 10,
        metadata: bool = False,
        pixel_ratio: float = PIXEL_RATIO,
        satellite_dropout: float = 0.0,
        satellite: SatelliteDesign | None = None,
        faults: PublishedFaults = NONE,
    ) -> None:
        super().__init__()
        self.faults = faults
        self._pixel_ratio = pixel_ratio
        self._dropout = satellite_dropout
        self.aerial = build_network("unet", encoder, in_channels, classes)
        channels = [int(count) for count in self.aerial.encoder.out_channels]  # type: ignore[union-attr]
        # The decoder skips the image itself, and some encoders have an empty map of half its resolution.
        used = [stage for stage, count in enumerate(channels) if stage and count]
        built = list(range(len(channels))) if faults.idle_layers else used
        self.places = {stage: built.index(stage) for stage in used}
        self.satellite = UTAE(series_channels, classes, satellite or SatelliteDesign(), faults)
        width = self.satellite.out_channels
        self.cropped = CroppedFusion(width, [channels[stage] for stage in built])
        self.collapsed = CollapsedFusion(width, [channels[stage] for stage in built], faults.collapsed_from_first_item)
        self.metadata = MetadataFusion(channels[-1], faults.metadata_by_row) if metadata else None
        self.satellite_head = nn.Conv2d(width, classes, 1)

    def forward(
        self,
        images: torch.Tensor,
        series: torch.Tensor,
        days: torch.Tensor,
        valid: torch.Tensor,
        metadata: torch.Tensor | None = None,
    ) -> Answer:
        """Classify aerial images with the season around them.

        Args:
            images: Normalised aerial images, shape (B, in_channels, H, W), sides multiples of 32.
            series: Normalised satellite images, shape (B, T, series_channels, S, S), centred on the aerial image; T is
                the longest series of the batch and may be 0.
            days: Days from each date to 15 May, shape (B, T); negative after it.
            valid: Which dates are none of the padding, shape (B, T) bool.
            metadata: Shape (B, 45), see `encode_metadata`; for a network that takes it.

        Raises:
            ModelError: The inputs do not fit together or the network.
        """
        self._check(images, series, days, valid, metadata)
        shape = (images.shape[2], images.shape[3])
        maps = list(self.aerial.encoder(images))  # type: ignore[operator]
        if self.metadata is not None and metadata is not None:
            maps[-1] = maps[-1] + self.metadata(metadata)
        known = valid.any(1)
        anyone = self._anyone(known)
        satellite_logits = images.new_zeros(len(images), self.satellite_head.out_channels, *shape)
        if anyone:
            features = self.satellite(*_with_a_date(series[known], days[known], valid[known]))
            own = self._ground(features, shape)
            # The head looks at single pixels: it may as well do so before they are repeated.
            coarse = self.satellite_head(own)
            satellite_logits = _for_all(functional.interpolate(coarse, shape, mode="nearest"), known)
            kept = self._kept(features)
            for stage, place in self.places.items():
                size = (maps[stage].shape[2], maps[stage].shape[3])
                season = self.cropped(own, place, size) + self.collapsed(features, place)
                maps[stage] = maps[stage] + _for_all(season * kept, known)
        decoded = self.aerial.decoder(maps)  # type: ignore[operator]
        logits: torch.Tensor = self.aerial.segmentation_head(decoded)  # type: ignore[operator]
        if self.training and not anyone:
            # Processes that learn together wait for the gradients of all parameters, also for those that are 0.
            logits = logits + 0 * self._seasonal_sum()
        return Answer(logits, satellite_logits)

    def _anyone(self, known: torch.Tensor) -> bool:
        """Return whether any item has a date: of this batch, or while learning of those of all processes.

        All processes meet in each normalisation over them, also those whose own items have no date.
        """
        if not (self.training and dist.is_available() and dist.is_initialized()):
            return bool(known.any())
        flag = known.any().float()
        dist.all_reduce(flag, dist.ReduceOp.MAX)
        return bool(flag > 0)

    def _seasonal_sum(self) -> torch.Tensor:
        parts = (self.satellite, self.cropped, self.collapsed, self.satellite_head)
        return torch.stack([item.sum() for part in parts for item in part.parameters()]).sum()

    def _ground(self, features: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
        """Return the part of a satellite map (B, C, S, S) that lies under an aerial image of a shape."""
        rows, columns = (round(side / self._pixel_ratio) for side in shape)
        top, left = (features.shape[2] - rows) // 2, (features.shape[3] - columns) // 2
        return features[:, :, top : top + rows, left : left + columns]

    def _kept(self, features: torch.Tensor) -> torch.Tensor:
        """Return 1 for items that keep their series and 0 for others, shape (B, 1, 1, 1) or one for all."""
        if self.faults.modality_dropout_in_prediction:
            return (torch.rand(1, device=features.device) > self._dropout).to(features.dtype)
        if not self.training or not self._dropout:
            return features.new_ones(1)
        return (torch.rand(len(features), 1, 1, 1, device=features.device) >= self._dropout).to(features.dtype)

    def _check(
        self,
        images: torch.Tensor,
        series: torch.Tensor,
        days: torch.Tensor,
        valid: torch.Tensor,
        metadata: torch.Tensor | None,
    ) -> None:
        dates = tuple(series.shape[:2])
        if dates[0] != len(images) or tuple(days.shape) != dates or tuple(valid.shape) != dates:
            raise ModelError(
                f"{len(images)} images, a series of {dates[0]} x {dates[1]} dates, {tuple(days.shape)} days and "
                f"{tuple(valid.shape)} marks do not fit together."
            )
        for side, seen in zip(images.shape[2:], series.shape[3:], strict=True):
            ground = side / self._pixel_ratio
            rest = seen - round(ground)
            if abs(ground - round(ground)) > 1e-6 or ground < 1 or rest < 0 or rest % 2:
                raise ModelError(
                    f"An aerial side of {side} pixels is {ground:g} satellite pixels long, which has no place in the "
                    f"middle of {seen}.",
                    f"Take sides that are an even number of satellite pixels ({2 * self._pixel_ratio:g} aerial ones).",
                )
        if (metadata is None) != (self.metadata is None):
            raise ModelError(f"The network takes {'no metadata' if self.metadata is None else 'metadata too'}.")
        if self.metadata is not None and self.metadata.projection is None and images.shape[2] != 32 * OUT_WIDTH:
            raise ModelError(f"Metadata by row need aerial images of {32 * OUT_WIDTH} rows, not {images.shape[2]}.")


def _with_a_date(
    series: torch.Tensor, days: torch.Tensor, valid: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return them with one date at the least, for layers that refuse none even of no items."""
    if series.shape[1]:
        return series, days, valid
    empty = series.new_zeros(len(series), 1, *series.shape[2:])
    return empty, days.new_zeros(len(days), 1), valid.new_zeros(len(valid), 1)


def _for_all(values: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Return values (K, C, H, W) of the K known items as (B, C, H, W), 0 for all others."""
    if len(values) == len(known):
        return values
    placed = values.new_zeros(len(known), *values.shape[1:])
    placed[known] = values
    return placed

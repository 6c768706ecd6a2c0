"""U-T&T as it is deployed: the satellite part on cells, the aerial part on windows of any size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from engine.errors import ModelError
from engine.inference.deployed_network import prune_head
from engine.models.manifest import Manifest
from engine.models.utt.utt import UTT


@dataclass(frozen=True)
class CellFeatures:
    """What the satellite part says of a cell.

    Args:
        ground: Features of the cell's own ground, shape (C, g, g).
        summary: Of the cell and its surroundings, shape (C,).
        known: Whether there was any date.
    """

    ground: torch.Tensor
    summary: torch.Tensor
    known: bool


@dataclass(frozen=True)
class Lie:
    """How a window lies on a grid of cells.

    Args:
        top: Pixels from the upper edge of the first row of cells down to the window; may be negative.
        left: Pixels from the left edge of the first column of cells.
        height: Rows of the window.
        width: Columns of the window.
        cell: Side of a cell in pixels.
    """

    top: int
    left: int
    height: int
    width: int
    cell: int


class SeasonNetwork(nn.Module):
    """Normalisation, both parts of a U-T&T, and the choice of the enabled classes.

    Of the published code's faults those that make an answer depend on its batch are left out: a cell is always its own
    first item, no date is ever padded, and no season is left out by chance.

    Args:
        network: Trained network; its head is replaced.
        manifest: Its description.

    Raises:
        ModelError: The network is none with a season.
    """

    mean: torch.Tensor
    std: torch.Tensor
    season_mean: torch.Tensor
    season_std: torch.Tensor

    def __init__(self, network: nn.Module, manifest: Manifest) -> None:
        super().__init__()
        if not isinstance(network, UTT) or manifest.season is None:
            raise ModelError(f"The network of '{manifest.name}' looks at no season.")
        self.network = network
        self.channels: list[int] | None = list(manifest.nomenclature.enabled_channels)
        whole = len(self.channels) == len(manifest.nomenclature.classes)
        if whole or prune_head(network.aerial, self.channels):
            self.channels = None
        for prefix, bands in (("", manifest.bands), ("season_", manifest.season.bands)):
            for name in ("mean", "std"):
                values = torch.tensor([getattr(band, name) for band in bands], dtype=torch.float32)
                self.register_buffer(prefix + name, values.view(1, -1, 1, 1))

    def features(self, series: torch.Tensor, days: torch.Tensor, ground: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what the satellite part says of cells with the same number of dates.

        Args:
            series: Raw values, shape (N, T, bands, S, S), T at least 1.
            days: Days to 15 May, shape (N, T).
            ground: Satellite pixels in the middle that are the cell's own.

        Returns:
            Features (N, C, ground, ground) of the cells, and their summaries (N, C).
        """
        valid = torch.ones(series.shape[:2], dtype=torch.bool, device=series.device)
        found = self.network.satellite((series - self.season_mean) / self.season_std, days, valid)
        start = (found.shape[-1] - ground) // 2
        own = found[..., start : start + ground, start : start + ground]
        return own, found.mean((-2, -1))

    def season(self, cells: Sequence[Sequence[CellFeatures]], lie: Lie) -> list[torch.Tensor]:
        """Return what a window's encoder maps are given of the season: one tensor (C, H / 2, W / 2) and so on a map.

        The ground's features are bilinear between satellite pixels, and the summaries between the middles of cells, so
        that no border of a cell shows; in the window of a single cell both are what the network itself gives.

        Args:
            cells: Rows of cells.
            lie: How the window lies on them.
        """
        flat = [item for row in cells for item in row]
        known = flat[0].ground.new_tensor([item.known for item in flat]).view(len(cells), len(cells[0]))
        summaries = torch.stack([item.summary for item in flat])
        ground = torch.cat([torch.cat([item.ground for item in row], -1) for row in cells], -2)
        side = flat[0].ground.shape[-1]
        shown = known.repeat_interleave(side, 0).repeat_interleave(side, 1)
        # Summaries are spread over satellite pixels first, so that the fine maps are written once.
        rows, columns = (
            (torch.arange(count * side, device=ground.device) + 0.5) / side for count in (len(cells), len(cells[0]))
        )
        added = []
        for stage, place in self.network.places.items():
            step = 2**stage
            at_rows = (torch.arange(0, lie.height, step, device=ground.device) + step / 2 + lie.top) / lie.cell
            at_columns = (torch.arange(0, lie.width, step, device=ground.device) + step / 2 + lie.left) / lie.cell
            own = self.network.cropped.convolutions[place](ground[None])[0] * shown
            around = self.network.collapsed.perceptrons[place](summaries).T.reshape(-1, *known.shape) * known
            own = own + _between(around, rows, columns)
            added.append(_between(own, at_rows * side, at_columns * side))
        return added

    def forward(self, images: torch.Tensor, added: Sequence[torch.Tensor] = ()) -> torch.Tensor:
        """Map raw values to logits of the enabled classes.

        Args:
            images: Shape (N, C, H, W).
            added: What the encoder maps are given of the season, each of shape (N, C, H / 2, W / 2) and so on; empty
                for images without any.

        Returns:
            Shape (N, K, H, W).
        """
        aerial = self.network.aerial
        maps = list(aerial.encoder((images - self.mean) / self.std))  # type: ignore[operator]
        for stage, season in zip(self.network.places, added, strict=False):
            # Nothing else looks at these maps any more.
            maps[stage].add_(season)
        logits: torch.Tensor = aerial.segmentation_head(aerial.decoder(maps))  # type: ignore[operator]
        return logits if self.channels is None else logits[:, self.channels]


def _between(values: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Return values (C, h, w) at places, 0.5 being the middle of the first; beyond the first and last, theirs.

    Returns:
        Shape (C, rows, columns), channels last in memory, as networks are the fastest with.
    """
    across = _weights(columns, values.shape[2]).to(values.dtype)
    down = _weights(rows, values.shape[1]).to(values.dtype)
    taken = torch.tensordot(down, values.permute(1, 2, 0), 1)
    found: torch.Tensor = (across @ taken).permute(2, 0, 1)
    return found


def _weights(places: torch.Tensor, count: int) -> torch.Tensor:
    """Return the weight of each of `count` values at each place, shape (places, count)."""
    held = (places - 0.5).clamp(0, count - 1)
    return (1 - (held[:, None] - torch.arange(count, device=places.device)).abs()).clamp(min=0)

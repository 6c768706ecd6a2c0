"""Prediction with torch for networks that also look at the season."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from engine.inference.season_network import CellFeatures, Lie, SeasonNetwork
from engine.inference.torch_predictor import TorchPredictor
from engine.inference.views import View
from engine.models.checkpoint import load_network
from engine.models.resolve import ResolvedModel

if TYPE_CHECKING:
    from engine.data.time_series.series import TimeSeries
    from engine.inference.season_ground import SeasonGround

# Satellite images that are encoded at once.
IMAGES_AT_ONCE = 96
# Cells whose features are kept, 26 kB each with FLAIR's sizes: a few rows of windows over a wide image, all ways round.
KEPT_CELLS = 4096
# What the season adds to the maps of an encoder, beside what the network alone takes.
MEMORY_SHARE = 1.25

_Key = tuple[int, int, int, bool]


class SeasonPredictor(TorchPredictor):
    """A network with a season on a torch device.

    Args:
        model: Model to load.
        device: See `TorchPredictor`.
        ground: The season under the image.
        options: See `TorchPredictor`.
    """

    # Its graph changes with the number of cells under a window.
    _compilable = False

    def __init__(self, model: ResolvedModel, device: str, ground: SeasonGround, **options: object) -> None:
        self._ground = ground
        self._cells: OrderedDict[_Key, CellFeatures] = OrderedDict()
        super().__init__(model, device, **options)  # type: ignore[arg-type]
        self.bytes_per_pixel *= MEMORY_SHARE

    def _deployed(self, model: ResolvedModel) -> SeasonNetwork:
        self._season = SeasonNetwork(load_network(model.path, model.manifest), model.manifest)
        return self._season

    def _logits(self, batch: torch.Tensor, views: Sequence[View]) -> torch.Tensor:
        if not views:
            return self._network(batch)
        added = [self._added(view) for view in views]
        layout = {"memory_format": torch.channels_last}
        stacked = [torch.stack(items).contiguous(**layout) for items in zip(*added, strict=True)]
        return self._network(batch, stacked)

    def _added(self, view: View) -> list[torch.Tensor]:
        """Return what the season adds to the maps of a view, turned as the view is."""
        window, size = view.window, self._ground.size
        rows, columns = self._ground.under(window)
        keys = [(row, column, view.quarters, view.mirrored) for row in rows for column in columns]
        found = self._features(keys)
        cells = [found[index : index + len(columns)] for index in range(0, len(keys), len(columns))]
        lie = Lie(
            window.row - rows.start * size.pixels,
            window.column - columns.start * size.pixels,
            window.height,
            window.width,
            size.pixels,
        )
        return [_turned(item, view) for item in self._season.season(cells, lie)]

    def _features(self, keys: Sequence[_Key]) -> list[CellFeatures]:
        found = {key: self._cells[key] for key in keys if key in self._cells}
        by_dates: dict[int, list[tuple[_Key, TimeSeries]]] = defaultdict(list)
        for key in keys:
            if key not in found:
                series = self._ground.series(key[:2])
                by_dates[series.dates].append((key, series))
        for dates, asked in by_dates.items():
            # Together only with others of as many dates, so that none is padded.
            step = max(1, IMAGES_AT_ONCE // max(1, dates))
            for start in range(0, len(asked), step):
                found.update(self._computed(asked[start : start + step]))
        for key in keys:
            self._cells[key] = found[key]
            self._cells.move_to_end(key)
        while len(self._cells) > KEPT_CELLS:
            self._cells.popitem(last=False)
        return [found[key] for key in keys]

    def _computed(self, asked: Sequence[tuple[_Key, TimeSeries]]) -> Iterator[tuple[_Key, CellFeatures]]:
        ground = self._ground.size.ground
        if asked[0][1].dates == 0:
            width = self._season.network.satellite.out_channels
            nothing = torch.zeros(width, ground, ground, device=self._device)
            for key, _ in asked:
                yield key, CellFeatures(nothing, nothing[:, 0, 0], known=False)
            return
        pixels = []
        for (_, _, quarters, mirrored), series in asked:
            turned = np.rot90(series.pixels, quarters, (-2, -1))
            pixels.append(np.ascontiguousarray(turned[..., ::-1] if mirrored else turned))
        batch = torch.from_numpy(np.stack(pixels)).to(self._device)
        days = torch.from_numpy(np.stack([series.days for _, series in asked])).to(self._device).float()
        own, summaries = self._season.features(batch, days, ground)
        for (key, _), features, summary in zip(asked, own.float(), summaries.float(), strict=True):
            # Laid back straight: windows see many cells, and only what comes of them is turned.
            straight = torch.rot90(features.flip(-1) if key[3] else features, -key[2], (-2, -1))
            yield key, CellFeatures(straight.contiguous(), summary.clone(), known=True)


def _turned(values: torch.Tensor, view: View) -> torch.Tensor:
    turned = torch.rot90(values, view.quarters, (-2, -1))
    return turned.flip(-1) if view.mirrored else turned

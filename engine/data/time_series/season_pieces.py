"""Whole patches with their season, as a network learns from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset as TorchDataset

from engine.data.jitter import Jitter
from engine.data.read_cache import ReadCache, Source
from engine.data.time_series.series import SeasonSource, TimeSeries, batch_series
from engine.data.turning import Turn
from engine.nomenclature import IGNORE_INDEX

Pixels = npt.NDArray[Any]


PatchSource = Source[tuple[Pixels, Pixels]]
"""Aerial patches by number: pixels (bands, height, width) and training indices (height, width)."""


class SeasonCache(ReadCache[TimeSeries]):
    """Keeps seasons; see `ReadCache`."""

    def _size(self, item: TimeSeries) -> int:
        return int(item.pixels.nbytes)


class Piece(NamedTuple):
    """A patch with its season.

    Args:
        image: Raw values, shape (bands, height, width).
        target: Training indices, shape (height, width).
        series: Its season.
        jitter: Numbers of its radiometric changes, see `Jitter.draw`; None without any.
        metadata: Numbers of where, when and how it was taken, shape (M,); None without.
    """

    image: Pixels
    target: Pixels
    series: TimeSeries
    jitter: npt.NDArray[np.float32] | None = None
    metadata: npt.NDArray[np.float32] | None = None


def turned(piece: Piece, turn: Turn, satellite_too: bool = True) -> Piece:
    """Return image, target and season turned together.

    Args:
        piece: The three, centred on the same ground.
        turn: The turn.
        satellite_too: False repeats a fault of the published code: the season stays as it is.
    """
    series = piece.series
    if satellite_too:
        series = TimeSeries(turn.of(series.pixels), series.days, series.months)
    return piece._replace(image=turn.of(piece.image), target=turn.of(piece.target), series=series)


class SeasonPieces(TorchDataset[Piece]):
    """Patches with their season, turned at random. A piece is a function of the seed, the epoch and its position.

    Patches stay whole: a part of one would have its centre, and so its season, elsewhere.

    Args:
        patches: Aerial patches and targets, square.
        seasons: Their seasons.
        seed: Seed of all turns.
        quarter_turns: Turn at random.
        flips: Mirror at random.
        satellite_too: See `turned`.
        jitter: Radiometric changes of the aerial image; only their numbers are drawn here.
        metadata: Numbers of each patch, shape (patches, M).
    """

    def __init__(
        self,
        patches: PatchSource,
        seasons: SeasonSource,
        seed: int,
        *,
        quarter_turns: bool = True,
        flips: bool = True,
        satellite_too: bool = True,
        jitter: Jitter | None = None,
        metadata: npt.NDArray[np.float32] | None = None,
    ) -> None:
        self._patches = patches
        self._seasons = seasons
        self._seed = seed
        self._quarter_turns = quarter_turns
        self._flips = flips
        self._satellite_too = satellite_too
        self._jitter = jitter
        self._metadata = metadata

    def __getitem__(self, key: tuple[int, int, int]) -> Piece:
        """Return a piece.

        Args:
            key: Epoch, position in the epoch, number of the patch.
        """
        epoch, position, patch = key
        rng = np.random.default_rng((self._seed, epoch, position))
        image, target = self._patches.read(patch)
        turn = Turn.draw(rng, self._quarter_turns, self._flips)
        piece = Piece(
            image,
            target,
            self._seasons.read(patch),
            None if self._jitter is None else self._jitter.draw(rng),
            None if self._metadata is None else self._metadata[patch],
        )
        return turned(piece, turn, self._satellite_too)


class WholeSeasonPatches(TorchDataset[Piece]):
    """Patches with their season, unchanged: what a model is judged by.

    Args:
        patches: Aerial patches and targets, all of one size.
        seasons: Their seasons.
        metadata: Numbers of each patch, shape (patches, M).
    """

    def __init__(
        self, patches: PatchSource, seasons: SeasonSource, metadata: npt.NDArray[np.float32] | None = None
    ) -> None:
        self._patches = patches
        self._seasons = seasons
        self._metadata = metadata

    def __getitem__(self, patch: int) -> Piece:
        """Return a patch.

        Args:
            patch: Its number; -1 is a patch without any label, which fills up the share of a process.
        """
        number = max(0, patch)
        image, target = self._patches.read(number)
        if patch < 0:
            target = np.full_like(target, IGNORE_INDEX)
        series = self._seasons.read(number)
        return Piece(image, target, series, None, None if self._metadata is None else self._metadata[number])


def batch_pieces(pieces: Sequence[Piece]) -> dict[str, torch.Tensor]:
    """Put pieces into a batch.

    Returns:
        `image` (B, bands, H, W), `target` (B, H, W), `series` (B, T, bands, S, S), `days` (B, T) and `valid` (B, T);
        `jitter` (B, width) and `metadata` (B, M) where the pieces have them.
    """
    series, days, valid = batch_series([piece.series for piece in pieces])
    batch = {
        "image": torch.from_numpy(np.stack([piece.image for piece in pieces])),
        "target": torch.from_numpy(np.stack([piece.target for piece in pieces])),
        "series": series,
        "days": days,
        "valid": valid,
    }
    for name in ("jitter", "metadata"):
        numbers = [getattr(piece, name) for piece in pieces]
        if all(item is not None for item in numbers):
            batch[name] = torch.from_numpy(np.stack(numbers))
    return batch

"""Whole patches with their season, as a network learns from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset as TorchDataset

from engine.data.time_series.series import TimeSeries, batch_series
from engine.data.turning import Turn

Pixels = npt.NDArray[Any]


class PatchSource(Protocol):
    """Aerial patches by number."""

    def read(self, index: int) -> tuple[Pixels, Pixels]:
        """Return pixels (bands, height, width) and training indices (height, width)."""


class SeasonSource(Protocol):
    """Seasons by number of the patch."""

    def read(self, index: int) -> TimeSeries:
        """Return the series centred on a patch."""


Piece = tuple[Pixels, Pixels, TimeSeries]


def turned(piece: Piece, turn: Turn, satellite_too: bool = True) -> Piece:
    """Return image, target and season turned together.

    Args:
        piece: The three, centred on the same ground.
        turn: The turn.
        satellite_too: False repeats a fault of the published code: the season stays as it is.
    """
    image, target, series = piece
    if satellite_too:
        series = TimeSeries(turn.of(series.pixels), series.days, series.months)
    return turn.of(image), turn.of(target), series


class SeasonPieces(TorchDataset[Piece]):
    """Patches with their season, turned at random. A piece is a function of the seed, the epoch and its position.

    Patches stay whole: a part of one would have its centre, and so its season, elsewhere.

    Args:
        patches: Aerial patches and targets, square.
        seasons: Their seasons.
        seed: Seed of all turns.
        turns: Turn and mirror at random.
        satellite_too: See `turned`.
    """

    def __init__(
        self,
        patches: PatchSource,
        seasons: SeasonSource,
        seed: int,
        *,
        turns: bool = True,
        satellite_too: bool = True,
    ) -> None:
        self._patches = patches
        self._seasons = seasons
        self._seed = seed
        self._turns = turns
        self._satellite_too = satellite_too

    def __getitem__(self, key: tuple[int, int, int]) -> Piece:
        """Return a piece.

        Args:
            key: Epoch, position in the epoch, number of the patch.
        """
        epoch, position, patch = key
        rng = np.random.default_rng((self._seed, epoch, position))
        image, target = self._patches.read(patch)
        turn = Turn.draw(rng, self._turns, self._turns)
        return turned((image, target, self._seasons.read(patch)), turn, self._satellite_too)


def batch_pieces(pieces: Sequence[Piece]) -> dict[str, torch.Tensor]:
    """Put pieces into a batch.

    Returns:
        `image` (B, bands, H, W), `target` (B, H, W), `series` (B, T, bands, S, S), `days` (B, T) and `valid` (B, T).
    """
    series, days, valid = batch_series([piece[2] for piece in pieces])
    return {
        "image": torch.from_numpy(np.stack([piece[0] for piece in pieces])),
        "target": torch.from_numpy(np.stack([piece[1] for piece in pieces])),
        "series": series,
        "days": days,
        "valid": valid,
    }

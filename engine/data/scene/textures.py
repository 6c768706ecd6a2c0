"""Noise of several grain sizes, the same at the same place however the scene is cut into tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Grid = npt.NDArray[np.floating[Any]]

CELL = 0.2
"""Metres a texture cell."""


@dataclass(frozen=True)
class Textures:
    """Periodic noise of mean 0 and standard deviation 1, of side `PERIOD` cells.

    Args:
        grain: Structure of some decimetres.
        tufts: Structure of about a metre.
        patches: Structure of about eight metres.
    """

    grain: Grid
    tufts: Grid
    patches: Grid

    @staticmethod
    def make(rng: np.random.Generator, period: int = 1021) -> Textures:
        """Return new textures; the period is odd and prime so that it falls in with no field or tile."""
        return Textures(_noise(rng, period, 1.1), _noise(rng, period, 3.5), _noise(rng, period, 24.0))

    def at(self, name: str, x: npt.NDArray[np.float32], y: npt.NDArray[np.float32]) -> Grid:
        """Return a texture at the crossings of columns `x` (shape (w,)) and rows `y` (shape (h,)), in metres."""
        texture: Grid = getattr(self, name)
        period = texture.shape[0]
        rows = np.floor(-y / CELL).astype(np.int64) % period
        columns = np.floor(x / CELL).astype(np.int64) % period
        cut: Grid = texture[rows][:, columns]
        return cut


def _noise(rng: np.random.Generator, period: int, size: float) -> Grid:
    frequency = np.hypot(np.fft.fftfreq(period)[:, None], np.fft.rfftfreq(period)[None])
    spectrum = np.fft.rfft2(rng.standard_normal((period, period))) * np.exp(-2 * (np.pi * size / 2 * frequency) ** 2)
    noise = np.fft.irfft2(spectrum, s=(period, period))
    scaled: Grid = ((noise - noise.mean()) / noise.std()).astype(np.float32)
    return scaled

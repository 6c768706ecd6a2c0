"""Quarter turns and mirrorings: the same for all that shows the same ground."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[Any]


@dataclass(frozen=True)
class Turn:
    """One of the eight ways to lay a square on itself.

    Args:
        quarters: Quarter turns against the clock, done first.
        mirror: Left and right change places.
        upright: Top and bottom change places.
    """

    quarters: int = 0
    mirror: bool = False
    upright: bool = False

    @staticmethod
    def draw(rng: np.random.Generator, quarter_turns: bool, flips: bool) -> Turn:
        """Draw a turn; all that are allowed are as likely."""
        return Turn(
            int(rng.integers(4)) if quarter_turns else 0,
            flips and bool(rng.random() < 0.5),
            flips and bool(rng.random() < 0.5),
        )

    def of(self, pixels: Pixels) -> Pixels:
        """Return pixels (..., height, width) turned, without a copy."""
        turned = np.rot90(pixels, self.quarters, (-2, -1))
        if self.mirror:
            turned = turned[..., ::-1]
        return turned[..., ::-1, :] if self.upright else turned

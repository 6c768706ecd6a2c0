"""The scene's own coordinates, in which roads and fields are straight."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64] | npt.NDArray[np.float32]


@dataclass(frozen=True)
class Frame:
    """Maps ground coordinates (metres east and north of the upper-left corner) to plan coordinates and back.

    Plan coordinates are turned by `angle` and bent gently, so that what is straight in the plan runs as roads
    and field edges do on the ground.

    Args:
        width: Extent of the scene to the east in metres.
        height: Extent of the scene to the south in metres.
        angle: Rotation in radians.
        phases: Where the two bends start, in radians.
        bend: Largest displacement in metres.
        wavelength: Length of a bend in metres; far longer than `bend`, so that the mapping can be inverted.
    """

    width: float
    height: float
    angle: float
    phases: tuple[float, float]
    bend: float = 5.0
    wavelength: float = 340.0

    def to_plan(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Return plan coordinates (u, v) of ground coordinates, metre for metre."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        east, north = x - self.width / 2, y + self.height / 2
        p, q = cos * east + sin * north, cos * north - sin * east
        rate = 2 * math.pi / self.wavelength
        return p + self.bend * np.sin(rate * q + self.phases[0]), q + self.bend * np.sin(rate * p + self.phases[1])

    def to_ground(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return ground coordinates of plan coordinates; both of shape (n, 2), in metres."""
        u, v = points[:, 0], points[:, 1]
        p, q = u, v
        rate = 2 * math.pi / self.wavelength
        for _ in range(12):  # a contraction by less than 0.1 a step: exact to well under a millimetre
            p, q = u - self.bend * np.sin(rate * q + self.phases[0]), v - self.bend * np.sin(rate * p + self.phases[1])
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return np.column_stack([cos * p - sin * q + self.width / 2, sin * p + cos * q - self.height / 2])

    def plan_bounds(self) -> tuple[float, float, float, float]:
        """Return a box (u0, v0, u1, v1) in plan coordinates that covers the scene with some metres to spare."""
        half = 0.5 * (self.width * abs(math.cos(self.angle)) + self.height * abs(math.sin(self.angle)))
        other = 0.5 * (self.width * abs(math.sin(self.angle)) + self.height * abs(math.cos(self.angle)))
        spare = 2 * self.bend + 10.0
        return -half - spare, -other - spare, half + spare, other + spare

"""What is known of a band of images."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Band:
    """A band of images, and the values that a network learns it by.

    Args:
        name: red, green, blue, infrared, elevation or another name.
        mean: Mean of the raw training values.
        std: Standard deviation of the raw training values, over 0.
        minimum: Least raw value that makes sense.
        maximum: Greatest raw value that makes sense.
    """

    name: str
    mean: float
    std: float
    minimum: float = 0.0
    maximum: float = 255.0

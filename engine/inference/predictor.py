"""What every inference backend does: raw band values in, codes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from engine.inference.views import View

# What is computed per pixel: the winning code; that and its probability; or the probabilities of all enabled classes.
Head = Literal["codes", "confidence", "probabilities"]
Precision = Literal["exact", "half", "int8"]


@dataclass(frozen=True)
class Prediction:
    """Result for a batch of windows.

    Args:
        codes: (N, H, W) uint8 class codes of the nomenclature; None with the head `probabilities`.
        confidence: (N, H, W) uint8, probability of the winning class in per cent, 0 to 100;
            only with the head `confidence`.
        probabilities: (N, K, H, W) float32, 0 to 1, over the K enabled classes in channel order;
            only with the head `probabilities`.
    """

    codes: npt.NDArray[np.uint8] | None = None
    confidence: npt.NDArray[np.uint8] | None = None
    probabilities: npt.NDArray[np.float32] | None = None


class Predictor(Protocol):
    """A network on a device."""

    device: str
    precision: Precision
    bytes_per_pixel: float

    def predict(self, images: npt.NDArray[np.generic], views: Sequence[View] = ()) -> Prediction:
        """Classify a batch.

        Args:
            images: (N, C, H, W) raw band values, uint8 or float32; H and W multiples of 32.
            views: Where each comes from, for a network that looks at more than the image; others have no use for it.

        Raises:
            MemoryError: The batch does not fit into the device's memory; a smaller one may.
        """

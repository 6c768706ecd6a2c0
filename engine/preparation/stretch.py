"""From imagery of more than 8 bits to the 8 bits of FLAIR."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

DEFAULT_PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True)
class Stretch:
    """Which values become 0 and 255; those between become even steps.

    Args:
        low: Value that becomes 0, as all below.
        high: Value that becomes 255, as all above.
    """

    low: float
    high: float

    def apply(self, values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Return clip(round(255 * (value - low) / (high - low)), 0, 255)."""
        scaled = (values.astype(np.float64) - self.low) * (255.0 / (self.high - self.low))
        stretched: npt.NDArray[np.uint8] = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
        return stretched


def measure_stretch(
    samples: Mapping[str, npt.NDArray[Any]],
    percentiles: tuple[float, float] | None,
    value_range: tuple[float, float] | None,
) -> dict[str, Stretch]:
    """Return the stretch of each band.

    Args:
        samples: Valid values by band; at least one each.
        percentiles: Percentiles that become 0 and 255; None for the default.
        value_range: Values that become 0 and 255 in all bands, in place of percentiles.
    """
    if value_range is not None:
        return {name: Stretch(*value_range) for name in samples}
    stretches: dict[str, Stretch] = {}
    for name, values in samples.items():
        low, high = (float(value) for value in np.percentile(values, percentiles or DEFAULT_PERCENTILES))
        # A band of one value has no spread; any positive one keeps it at 0.
        stretches[name] = Stretch(low, high if high > low else low + 1.0)
    return stretches

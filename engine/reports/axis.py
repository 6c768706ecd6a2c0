"""Round values for the axes of charts."""

from __future__ import annotations

import math


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return evenly spaced round values that enclose a range: steps of 1, 2 or 5 times a power of ten.

    Args:
        low: Smallest value to be shown; finite.
        high: Largest value to be shown, not below `low`; finite.
        most: Largest number of ticks wanted, at least 3.
    """
    if high <= low:
        margin = abs(low) * 0.1 or 1.0
        low, high = low - margin, high + margin
    rough = (high - low) / (most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    for factor in (1, 2, 5, 10, 20):
        step = factor * power
        # A hair less than exact, or 0.3 / 0.1 would already ask for one more step.
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        if last - first < most:
            break
    # A product, not a sum, and rounded: otherwise 0.1 + 0.2 would be labelled 0.30000000000000004.
    digits = max(0, -math.floor(math.log10(step)))
    return [round(index * step, digits) for index in range(first, last + 1)]


def whole_ticks(low: int, high: int, most: int = 9) -> list[int]:
    """Return round whole numbers within a range, and its first one, for an axis of epochs.

    Args:
        low: First whole number.
        high: Last whole number, not below `low`.
        most: Largest number of ticks wanted.
    """
    step = next(
        factor * 10**power
        for power in range(10)
        for factor in (1, 2, 5)
        if (high - low) / (factor * 10**power) <= most - 1
    )
    inner = range(low + step - low % step, high + 1, step)
    # The first value is always named, unless the next one would touch its label.
    return [low, *(value for value in inner if value - low >= step / 2)]


def label(value: float) -> str:
    """Return the text of a tick: no trailing zeros, and no exponent but for very small and very large values."""
    return f"{value:.6g}"

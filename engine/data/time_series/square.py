"""The shape of patches that a season goes with."""

from __future__ import annotations

from engine.errors import InputError

STRIDE = 32


def square_side(smallest: tuple[int, int], largest: tuple[int, int]) -> int:
    """Return the side of patches that are all alike: only of those is the season known to lie in the middle.

    Args:
        smallest: Least height and width of all patches, in pixels.
        largest: Greatest height and width.

    Raises:
        InputError: They are no squares of one size, or their side is no multiple of 32.
    """
    sides = {*smallest, *largest}
    if len(sides) > 1 or max(sides) % STRIDE:
        low, high = (f"{width} x {height}" for height, width in (smallest, largest))
        raise InputError(
            f"The patches are {low if low == high else f'{low} to {high}'} pixels large. A season needs squares of one "
            f"size, a multiple of {STRIDE}.",
            "Extract the patches again, such as with --size 512.",
        )
    return sides.pop()

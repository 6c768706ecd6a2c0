"""What samples of the inputs tell: infrared in the wrong order, heights that are none, surface and terrain swapped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.preparation.heights import ABSURD

# Red of both images comes from one sensor, or from two flights of the same fields; NIR shares far less with it.
CONCLUSIVE = 0.5
ORDER_MARGIN = 0.1
NEARLY_SAME, MUCH_CLOSER = 0.95, 0.25
SAME_IMAGE = 0.995
FEWEST = 2000
NOTABLE_METRES = 1.0
SWAPPED_RATIO = 3.0
SWAPPED_SHARE = 0.02
NEGATIVE_SHARE = 0.05
# In the second percentile: a place without any ground at its own level.
LIFTED_METRES = 10.0
ABOVE_TREES, EVEN_SHARE = 45.0, 0.7
TALL_METRES = 60.0
_ROLES = ("near infrared", "red", "green")


@dataclass(frozen=True)
class Finding:
    """Something a check found.

    Args:
        text: One sentence.
        hint: The way out.
        severe: Whether it makes the output wrong, rather than doubtful.
    """

    text: str
    hint: str = ""
    severe: bool = False


@dataclass(frozen=True)
class OrderCheck:
    """How the bands of a colour-infrared image go together with the orthophoto.

    Args:
        red: Correlation of its red with the orthophoto's red; NaN where there is no spread.
        green: Likewise of green.
        findings: What is wrong with it, or doubtful.
    """

    red: float
    green: float
    findings: tuple[Finding, ...]


def check_order(colours: npt.NDArray[Any], irc: npt.NDArray[Any], numbers: Sequence[int]) -> OrderCheck:
    """Compare the order near infrared, red, green with all other orders of the bands.

    An order is judged by the mean of two correlations: of its red with the orthophoto's red, of its green with the
    orthophoto's green. An order with another infrared band is right instead when it is better by 0.1, or when its
    bands are nearly the orthophoto's own (0.95) and it leaves a quarter of what the expected order leaves to 1. None
    can be told when none reaches 0.5: images of different seasons or badly apart.

    Args:
        colours: Red, green, blue of the orthophoto, shape (3, pixels).
        irc: The colour-infrared bands taken as near infrared, red, green, shape (3, pixels).
        numbers: Their band numbers, for messages.
    """
    table = _correlations(irc, colours)
    red, green = float(table[1, 0]), float(table[2, 1])
    if colours.shape[1] < FEWEST or not np.isfinite(table).any():
        return OrderCheck(red, green, (Finding("Too few pixels to check the order of the infrared bands."),))
    table = np.nan_to_num(table, nan=0.0)
    if min(table[0, 0], table[1, 1], table[2, 2]) > SAME_IMAGE:
        text = "The colour-infrared image is the orthophoto itself: its bands are red, green and blue."
        hint = "Give the image with infrared as irc; IGN writes IRC into the names of its files."
        return OrderCheck(red, green, (Finding(text, hint, True),))
    scores = {order: (table[order[1], 0] + table[order[2], 1]) / 2 for order in permutations(range(3))}
    # Which of the other two is red does not matter: the orthophoto's own is written.
    expected = max(score for order, score in scores.items() if order[0] == 0)
    best = max(scores, key=lambda order: (scores[order], order[0] == 0))
    # Red and green are the second and third of the one, and the first and second of the other.
    swapped = (table[0, 1] + table[1, 2]) / 2
    if swapped >= CONCLUSIVE and _better(swapped, scores[best]):
        text = (
            f"The orthophoto and the colour-infrared image are swapped: the first two bands of irc go together with "
            f"the last two of rgb by {swapped:.3f}."
        )
        return OrderCheck(red, green, (Finding(text, "Give each as the other.", True),))
    if scores[best] < CONCLUSIVE:
        text = (
            f"The order of the infrared bands could not be checked: red and green go together with the orthophoto's "
            f"by {scores[best]:.2f} at best. The images may be of different dates or lie apart."
        )
        return OrderCheck(red, green, (Finding(text),))
    if best[0] != 0 and _better(scores[best], expected):
        fitting = ", ".join(f"{role} is band {numbers[band]}" for role, band in zip(_ROLES, best, strict=True))
        text = (
            f"Band {numbers[0]} of the colour-infrared image is not infrared: its other bands go together with the "
            f"orthophoto's red and green by {expected:.3f}, those of another order by {scores[best]:.3f} ({fitting})."
        )
        return OrderCheck(red, green, (Finding(text, f"Give --infrared-band {numbers[best[0]]}.", True),))
    return OrderCheck(red, green, ())


def _better(score: float, expected: float) -> bool:
    return score > expected + ORDER_MARGIN or (score > NEARLY_SAME and 1 - score < MUCH_CLOSER * (1 - expected))


def check_infrared_alone(colours: npt.NDArray[Any], infrared: npt.NDArray[Any]) -> list[Finding]:
    """Return findings on infrared of its own: that it is one of the orthophoto's bands."""
    if colours.shape[1] < FEWEST:
        return []
    row = _correlations(infrared[None], colours)[0]
    for name, correlation in zip(("red", "green", "blue"), row, strict=True):
        if correlation > SAME_IMAGE:
            hint = "Name the right band with --infrared-band, or give another file."
            return [
                Finding(f"The infrared band is the orthophoto's {name} (correlation {correlation:.3f}).", hint, True)
            ]
    return []


def check_heights(metres: npt.NDArray[np.float64], *, difference: bool, unit_told: bool) -> list[Finding]:
    """Return findings on heights above ground.

    Args:
        metres: Samples of the height above ground, shape (heights,).
        difference: Whether they are surface minus terrain, rather than one model's.
        unit_told: Whether the files tell their unit.
    """
    if metres.size < FEWEST:
        return []
    below = float((metres < -NOTABLE_METRES).mean())
    above = float((metres > NOTABLE_METRES).mean())
    if difference and below > SWAPPED_SHARE and below > SWAPPED_RATIO * above:
        text = (
            f"The surface lies more than {NOTABLE_METRES:g} m below the terrain on {below:.0%} of the pixels looked "
            f"at, and above it on {above:.0%}: dsm and dtm are swapped."
        )
        return [Finding(text, "Give the surface model (MNS) as dsm and the terrain model (MNT) as dtm.", True)]
    low, upper, high = (float(value) for value in np.percentile(metres, (2, 98, 99)))
    if low > LIFTED_METRES:
        # A forest without a gap is high everywhere too, but neither as high nor as even as land is.
        severe = low > ABOVE_TREES or low > EVEN_SHARE * upper
        what = (
            "one of the models is offset or in another unit"
            if difference
            else "it looks like the height of the terrain"
        )
        text = f"Almost all heights above ground are over {low:.0f} m: {what}."
        hint = "Check the models' vertical reference." if difference else "Give surface and terrain as dsm and dtm."
        return [Finding(text, hint, severe)]
    found = []
    if below > NEGATIVE_SHARE:
        text = (
            f"The {'surface lies below the terrain' if difference else 'height is negative'} by more than "
            f"{NOTABLE_METRES:g} m on {below:.0%} of the pixels looked at."
        )
        found.append(Finding(text))
    if TALL_METRES < high <= ABSURD and not unit_told:
        text = (
            f"One in a hundred heights above ground is over {high:.0f} m. No file tells its unit, and metres are "
            "assumed; this is a guess, but if the models are in feet, give --height-unit foot."
        )
        found.append(Finding(text))
    if high < NOTABLE_METRES / 2:
        found.append(
            Finding(f"Hardly any height above ground reaches {NOTABLE_METRES / 2:g} m: the elevation says little.")
        )
    return found


def correlation(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> float:
    """Return Pearson's correlation of two samples, NaN where one has no spread."""
    return float(_correlations(first[None], second[None])[0, 0])


def _correlations(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the correlation of each row of one array with each row of another."""
    centred = []
    for rows in (first.astype(np.float64), second.astype(np.float64)):
        rows = rows - rows.mean(axis=1, keepdims=True)
        length = np.sqrt((rows**2).sum(axis=1, keepdims=True))
        centred.append(rows / np.where(length > 0, length, np.nan))
    table: npt.NDArray[np.float64] = centred[0] @ centred[1].T
    return table

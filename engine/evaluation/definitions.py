"""Rules by which a confusion matrix becomes figures: which pixels and classes count, and what an absent class does.

Averages of one matrix differ by several points between these rules, so every figure names its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.errors import RequestError
from engine.evaluation.confusion import ConfusionMatrix, Counts
from engine.nomenclature import LandCoverClass

CHALLENGE_CLASSES = 12


@dataclass(frozen=True)
class Reduced:
    """The part of a confusion matrix that a definition looks at.

    Args:
        classes: The n classes that get figures.
        counts: int64 of shape (m, m), m >= n: rows truth, columns prediction; the first n are `classes`, what follows
            counts as errors of these and gets no figures of its own.
    """

    classes: tuple[LandCoverClass, ...]
    counts: Counts


@dataclass(frozen=True)
class Definition:
    """A named rule.

    Args:
        name: As in requests and reports.
        text: The rule, in sentences for a report.
        source: Where it is laid down.
        reduce: Picks the pixels and classes that count.
        zero: Whether a figure without a value (0 / 0) is 0.
        averaged: Which classes the means are taken over: `all`; those `present` in the truth; or those with a
            `defined` IoU, which takes in classes that were predicted but are not there.
    """

    name: str
    text: str
    source: str
    reduce: Callable[[ConfusionMatrix], Reduced]
    zero: bool
    averaged: str


def _strict(matrix: ConfusionMatrix) -> Reduced:
    channels = matrix.nomenclature.enabled_channels
    classes = len(channels)
    counts = matrix.counts[list(channels)]
    square = np.zeros((classes + 1, classes + 1), dtype=np.int64)
    square[:classes, :classes] = counts[:, list(channels)]
    square[:classes, classes] = counts.sum(axis=1) - square[:classes, :classes].sum(axis=1)
    return Reduced(matrix.nomenclature.enabled, square)


def _ign(matrix: ConfusionMatrix) -> Reduced:
    channels = list(matrix.nomenclature.enabled_channels)
    return Reduced(matrix.nomenclature.enabled, matrix.counts[np.ix_(channels, channels)])


def _challenge(matrix: ConfusionMatrix) -> Reduced:
    classes = matrix.nomenclature.classes
    if len(classes) <= CHALLENGE_CLASSES:
        raise RequestError(
            f"The definition 'challenge12' needs more than {CHALLENGE_CLASSES} classes, not {len(classes)}.",
            "Use the definition 'strict'.",
        )
    counts = matrix.counts[:-1]  # pixels without truth are no class "other"
    other = np.minimum(np.arange(len(classes) + 1), CHALLENGE_CLASSES)
    folded = np.zeros((CHALLENGE_CLASSES + 1, CHALLENGE_CLASSES + 1), dtype=np.int64)
    np.add.at(folded, (other[:-1, None], other[None, :]), counts)
    return Reduced(classes[:CHALLENGE_CLASSES], folded)


DEFINITIONS = {
    item.name: item
    for item in (
        Definition(
            "strict",
            "Pixels whose truth is unlabelled or a disabled class are ignored. Every other pixel counts, and one "
            "predicted as anything else, a disabled class and nodata included, is a miss. Classes absent from the "
            "truth are left out of the means and named.",
            "this project",
            _strict,
            zero=False,
            averaged="present",
        ),
        Definition(
            "ign",
            "Rows and columns of disabled classes are deleted: a pixel predicted as a disabled class is dropped, not a "
            "miss. Figures without a value are 0, and the means are taken over all remaining classes, so that a class "
            "absent from the truth counts as 0.",
            "IGN, FLAIR-1 (metrics.py) and FLAIR-HUB (metrics_core.py)",
            _ign,
            zero=True,
            averaged="all",
        ),
        Definition(
            "ign-present",
            "As 'ign', but classes absent from the truth are left out of the means, as in the averages printed on "
            "IGN's model cards.",
            "IGN, cards of the FLAIR-INC models",
            _ign,
            zero=True,
            averaged="present",
        ),
        Definition(
            "challenge12",
            "All classes from the 13th on become one class 'other', which gets no figure but counts in the errors of "
            "the first twelve. The means are taken over those of the twelve that are in the truth or were predicted. "
            "Unlabelled pixels are ignored.",
            "FLAIR #2 challenge, leaderboard",
            _challenge,
            zero=False,
            averaged="defined",
        ),
    )
}
"""The default comes first."""


def definition_named(name: str) -> Definition:
    """Return a definition by its name.

    Raises:
        RequestError: There is none of that name.
    """
    if name not in DEFINITIONS:
        raise RequestError(
            f"There is no definition of scores named '{name}'.", f"Known ones: {', '.join(DEFINITIONS)}."
        )
    return DEFINITIONS[name]

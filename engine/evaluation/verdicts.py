"""Which pairs of true and predicted codes are right, wrong, or not counted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.evaluation.confusion import ConfusionMatrix
from engine.evaluation.definitions import definition_named
from engine.nomenclature import Nomenclature

IGNORED, RIGHT, WRONG = 0, 1, 2


def verdict_table(nomenclature: Nomenclature, definition: str) -> npt.NDArray[np.uint8]:
    """Return the verdict on every pair of codes under a definition.

    The definition itself is asked, pair by pair, so that a map of errors can never tell another story than its figures.

    Args:
        nomenclature: The classes.
        definition: Name of a rule, see `engine.evaluation.definitions.DEFINITIONS`.

    Returns:
        uint8 of shape (256, 256), true code by predicted code: `IGNORED`, `RIGHT` or `WRONG`.

    Raises:
        RequestError: There is no such definition, or it does not suit the classes.
    """
    rule = definition_named(definition)
    classes = len(nomenclature.classes)
    verdicts = np.zeros((classes + 1, classes + 1), dtype=np.uint8)
    for place in np.ndindex(verdicts.shape):
        one = np.zeros(verdicts.shape, dtype=np.int64)
        one[place] = 1
        matrix = ConfusionMatrix(nomenclature)
        matrix.add_matrix(one)
        counts = rule.reduce(matrix).counts
        verdicts[place] = RIGHT if np.trace(counts) else WRONG if counts.any() else IGNORED
    indices = np.full(256, classes)
    for index, item in enumerate(nomenclature.classes):
        indices[item.code] = index
    table: npt.NDArray[np.uint8] = verdicts[np.ix_(indices, indices)]
    return table

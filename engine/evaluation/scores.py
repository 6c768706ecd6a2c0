"""Figures from a confusion matrix: IoU, precision, recall, F-score, accuracy, kappa.

All are fractions of 1. NaN stands for a figure that has no value, such as the recall of a class that is nowhere in the
truth; `Scores.to_dict` writes it as None, since JSON knows no NaN.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.evaluation.confusion import ConfusionMatrix, Counts
from engine.evaluation.definitions import Definition, definition_named

Figures = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ClassScores:
    """Figures of one class; all NaN for a class that the definition leaves out of the means.

    Args:
        code: Code in class rasters.
        name: English name.
        color: `#rrggbb`.
        iou: TP / (TP + FP + FN), 0 to 1; NaN where the class is neither true nor predicted anywhere.
        precision: TP / (TP + FP), 0 to 1; 0 where the class is true but never predicted, NaN where it is neither.
        recall: TP / (TP + FN), 0 to 1; NaN where the class is absent from the truth.
        fscore: 2 TP / (2 TP + FP + FN), the harmonic mean of precision and recall; NaN as `iou`.
        truth_pixels: Pixels of this class among those that count.
        predicted_pixels: Pixels predicted as this class among those that count.
        present: Whether the class is anywhere in the truth that counts.
    """

    code: int
    name: str
    color: str
    iou: float
    precision: float
    recall: float
    fscore: float
    truth_pixels: int
    predicted_pixels: int
    present: bool


@dataclass(frozen=True)
class Scores:
    """Figures of a whole matrix; NaN where no pixel counts.

    Args:
        definition: Name of the rule, see `engine.evaluation.definitions`.
        classes: The classes that have figures, in channel order.
        miou: Arithmetic mean of the classes' IoU, 0 to 1, over the classes that the rule names.
        overall_accuracy: Share of pixels whose class is right, 0 to 1.
        fscore: Mean of the classes' F-scores, 0 to 1.
        precision: Mean of the classes' precisions, 0 to 1.
        recall: Mean of the classes' recalls, 0 to 1.
        kappa: Cohen's kappa, -1 to 1: agreement beyond chance. NaN where chance alone agrees everywhere.
        absent: Names of classes that are nowhere in the truth.
        pixels: Number of pixels that count.
    """

    definition: str
    classes: tuple[ClassScores, ...]
    miou: float
    overall_accuracy: float
    fscore: float
    precision: float
    recall: float
    kappa: float
    absent: tuple[str, ...]
    pixels: int

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values that JSON can hold: None in place of NaN."""
        values = asdict(self)
        values["classes"] = [_without_nan(item) for item in values["classes"]]
        values["absent"] = list(self.absent)
        return _without_nan(values)


def score(matrix: ConfusionMatrix, definition: str = "strict") -> Scores:
    """Return the figures of a matrix.

    Args:
        matrix: Pixel counts.
        definition: Name of a rule, see `engine.evaluation.definitions.DEFINITIONS`.

    Raises:
        RequestError: There is no such definition, or it does not suit the matrix' classes.
    """
    rule = definition_named(definition)
    reduced = rule.reduce(matrix)
    number = len(reduced.classes)
    right = np.diagonal(reduced.counts)[:number]
    truth = reduced.counts.sum(axis=1)[:number]
    predicted = reduced.counts.sum(axis=0)[:number]
    # Never predicting a class must not look better than predicting it wrongly: 0 as in scikit-learn, not 0 / 0.
    precision = np.where((predicted == 0) & (truth > 0), 0.0, _ratio(right, predicted))
    figures = {
        "iou": _ratio(right, truth + predicted - right),
        "precision": precision,
        "recall": _ratio(right, truth),
        "fscore": _ratio(2 * right, truth + predicted),
    }
    if rule.zero:
        figures = {name: np.nan_to_num(values) for name, values in figures.items()}
    counted = _averaged(rule, truth, figures["iou"])
    # What a mean leaves out has no figures either: the figures shown are those that give the mean.
    figures = {name: np.where(counted, values, np.nan) for name, values in figures.items()}
    means = {name: _mean(values) for name, values in figures.items()}
    classes = tuple(
        ClassScores(
            code=item.code,
            name=item.name,
            color=item.color,
            truth_pixels=int(truth[index]),
            predicted_pixels=int(predicted[index]),
            present=bool(truth[index] > 0),
            **{name: float(values[index]) for name, values in figures.items()},
        )
        for index, item in enumerate(reduced.classes)
    )
    pixels = int(reduced.counts.sum())
    return Scores(
        definition=rule.name,
        classes=classes,
        miou=means["iou"],
        overall_accuracy=int(np.trace(reduced.counts)) / pixels if pixels else math.nan,
        fscore=means["fscore"],
        precision=means["precision"],
        recall=means["recall"],
        kappa=_kappa(reduced.counts),
        absent=tuple(item.name for item in classes if not item.present),
        pixels=pixels,
    )


def _ratio(numerator: Counts, denominator: Counts) -> Figures:
    """Return the quotients, NaN where the denominator is 0."""
    result = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result


def _averaged(rule: Definition, truth: Counts, iou: Figures) -> npt.NDArray[np.bool_]:
    """Return, for each class, whether the means are taken over it."""
    if rule.averaged == "all":
        return np.ones(truth.shape, dtype=np.bool_)
    return truth > 0 if rule.averaged == "present" else ~np.isnan(iou)


def _mean(values: Figures) -> float:
    """Return the mean of those figures that have a value, NaN if none has."""
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else math.nan


def _kappa(counts: Counts) -> float:
    """Return Cohen's kappa (J. Cohen, 1960): (observed - expected) / (1 - expected) agreement.

    Args:
        counts: int64 of shape (m, m).
    """
    # As floats: products of pixel counts of a large raster leave 64 bits.
    shares = counts / max(int(counts.sum()), 1)
    expected = float(shares.sum(axis=1) @ shares.sum(axis=0))
    observed = float(np.trace(shares))
    return (observed - expected) / (1 - expected) if counts.any() and expected < 1 else math.nan


def _without_nan(values: dict[str, Any]) -> dict[str, Any]:
    return {key: None if isinstance(item, float) and math.isnan(item) else item for key, item in values.items()}

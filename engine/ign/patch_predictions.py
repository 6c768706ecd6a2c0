"""Predictions of patches and their figures, in the files that FLAIR-1's tool writes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio

from engine.data.pairs import Pair
from engine.data.patch_file import read_header, read_image, read_mask
from engine.errors import Cancelled, InputError
from engine.evaluation.confusion import ConfusionMatrix
from engine.evaluation.scores import Scores, score
from engine.nomenclature import Nomenclature
from engine.rasters.disk import WRITE_ERRORS, output_error
from engine.text_file import write_whole

Predict = Callable[[npt.NDArray[Any]], npt.NDArray[np.uint8]]
STRIDE = 32
AVERAGES = ("mIoU", "Overall Accuracy", "Fscore", "Precision", "Recall")


def prediction_path(folder: Path, image: Path) -> Path:
    """Return the file of an image's prediction."""
    return folder / f"PRED_{image.name}"


def predict_patch(pair: Pair, numbers: tuple[int, ...], predict: Predict, folder: Path, *, placed: bool) -> None:
    """Write the prediction of a patch: uint8 class indices from 0.

    Args:
        pair: The patch; its mask is not looked at.
        numbers: Bands to read.
        predict: Maps raw values (1, bands, H, W), sides multiples of 32, to indices (1, H, W).
        folder: Where it goes.
        placed: Whether it gets the image's CRS and place.

    Raises:
        InputError: The image cannot be read.
        OutputError: The file cannot be written.
    """
    header = read_header(pair.image)
    if max(numbers) > header.bands:
        raise InputError(f"'{pair.image}' has {header.bands} bands, so there is no band {max(numbers)}.")
    pixels = read_image(pair.image, numbers)
    if pixels.dtype != np.uint8:
        pixels = pixels.astype(np.float32)
    pad = [(0, 0), *((0, -side % STRIDE) for side in pixels.shape[1:])]
    indices = predict(np.pad(pixels, pad, mode="symmetric")[np.newaxis])[0, : header.height, : header.width]
    place = {"crs": header.crs, "transform": header.transform} if placed else {}
    path = prediction_path(folder, pair.image)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with rasterio.open(
            partial,
            "w",
            driver="GTiff",
            count=1,
            dtype="uint8",
            height=header.height,
            width=header.width,
            compress="lzw",
            **place,
        ) as target:
            target.write(indices, 1)
        partial.replace(path)
    except WRITE_ERRORS as error:
        raise output_error(path, error) from error
    finally:
        partial.unlink(missing_ok=True)


def count_predictions(
    pairs: tuple[Pair, ...], folder: Path, nomenclature: Nomenclature, cancelled: threading.Event
) -> ConfusionMatrix:
    """Count the predictions of patches against their masks, whose values are codes.

    Raises:
        InputError: A mask or a prediction is missing, or they differ in size.
        Cancelled: `cancelled` was set.
    """
    matrix = ConfusionMatrix(nomenclature)
    for pair in pairs:
        if cancelled.is_set():
            raise Cancelled
        truth = read_mask(pair.mask)
        predicted = read_mask(prediction_path(folder, pair.image))
        if truth.shape != predicted.shape:
            raise InputError(f"'{pair.mask}' and the prediction of '{pair.image.name}' differ in size.")
        # Values beyond 255 are of no class; cut to 8 bits they might become one.
        codes = np.where((truth >= 0) & (truth <= 255), truth, 0).astype(np.uint8)
        matrix.add_codes(codes, np.where(predicted < 255, predicted + 1, 0).astype(np.uint8))
    return matrix


def write_metrics(matrix: ConfusionMatrix, folder: Path) -> Scores:
    """Write `confmat.npy`, all outputs, and `metrics.json`, classes that have a weight; return the figures.

    The definition is `ign`: a class absent from the truth counts as 0 in the means.

    Raises:
        InputError: No pixel of the masks has a class that counts.
        OutputError: The files cannot be written.
    """
    figures = score(matrix, "ign")
    if not figures.pixels:
        raise InputError("No pixel of the test masks has a class with a weight.", "Check test_csv and classes.")
    means = (figures.miou, figures.overall_accuracy, figures.fscore, figures.precision, figures.recall)
    values = {
        "Avg_metrics_name": list(AVERAGES),
        "Avg_metrics": [100 * value for value in means],
        "classes": [item.name for item in figures.classes],
        "per_class_iou": [100 * item.iou for item in figures.classes],
        "per_class_fscore": [100 * item.fscore for item in figures.classes],
        "per_class_precision": [100 * item.precision for item in figures.classes],
        "per_class_recall": [100 * item.recall for item in figures.classes],
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "confmat.npy", matrix.counts[:-1, :-1])
    except OSError as error:
        raise output_error(folder / "confmat.npy", error) from error
    write_whole(folder / "metrics.json", json.dumps(values))
    return figures

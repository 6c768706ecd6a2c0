"""From the raw values of a window to codes, confidence and probabilities on the model grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from engine.errors import OutOfMemoryError
from engine.inference.predictor import Prediction, Predictor
from engine.inference.views import View
from engine.nomenclature import Nomenclature
from engine.rasters.plan import STRIDE
from engine.rasters.windows import PixelWindow

# Side of the windows that are blended; they overlap by half.
BLENDED_SIDE = 512
# Context kept around the parts of a window that does not fit into memory.
PART_MARGIN = 64
SMALLEST_PART = 128
# Quarter turns, and whether left and right are changed after them.
SYMMETRIES = tuple(product(range(4), (False, True)))

Values = npt.NDArray[np.generic]


@dataclass(frozen=True)
class WindowClassifier:
    """Predicts windows whole, blended or over all symmetries, stepping down when memory runs out.

    Args:
        predictor: Network on a device; with `blend`, `augment` or `wants_probabilities` its head gives probabilities.
        nomenclature: Classes of the network.
        blend: Blend windows of 512 that overlap by half with a Hann weight.
        augment: Average the probabilities over the 8 symmetries of a square.
        report: Told once when memory ran out and windows are predicted in parts.
    """

    predictor: Predictor
    nomenclature: Nomenclature
    blend: bool
    augment: bool
    report: Callable[[str], None]

    @property
    def averages(self) -> bool:
        """Whether probabilities are averaged, so that the predictor must give them."""
        return self.blend or self.augment

    def classify(self, images: Values, windows: Sequence[PixelWindow] = ()) -> Prediction:
        """Classify a batch of windows.

        Args:
            images: (N, C, H, W) raw values; H and W multiples of 32. With `blend`, windows lie on
                multiples of half a blended window in the model grid.
            windows: Where each lies on the model grid, for a network that looks at more than the image.

        Returns:
            The prediction with codes always filled, and confidence and probabilities as far as they are at hand.

        Raises:
            OutOfMemoryError: Not even the smallest part of a window fits into memory.
        """
        views = [View(window) for window in windows]
        prediction = self._blended(images, views) if self.blend else self._augmented(images, views)
        if prediction.probabilities is None:
            return prediction
        return decide(prediction.probabilities, self.nomenclature)

    def _blended(self, images: Values, views: Sequence[View]) -> Prediction:
        count, _, height, width = images.shape
        side_y, side_x = min(BLENDED_SIDE, height), min(BLENDED_SIDE, width)
        weight = np.outer(hann(side_y), hann(side_x)).astype(np.float32)
        total: npt.NDArray[np.float32] = np.zeros(
            (count, len(self.nomenclature.enabled), height, width), dtype=np.float32
        )
        weights = np.zeros((height, width), dtype=np.float32)
        for rows, columns in product(_half_steps(height, side_y), _half_steps(width, side_x)):
            part = self._augmented(images[:, :, rows, columns], _parts(views, rows, columns)).probabilities
            if part is None:
                raise TypeError("Blending needs a predictor that gives probabilities.")
            total[:, :, rows, columns] += part * weight
            weights[rows, columns] += weight
        mean: npt.NDArray[np.float32] = (total / weights).astype(np.float32)
        return Prediction(probabilities=mean)

    def _augmented(self, images: Values, views: Sequence[View]) -> Prediction:
        if not self.augment:
            return self._in_parts(images, views)
        total: npt.NDArray[np.float32] | None = None
        for (turned, back), turn in zip(symmetries(), SYMMETRIES, strict=True):
            part = self._in_parts(turned(images), [view.turned(*turn) for view in views]).probabilities
            if part is None:
                raise TypeError("Averaging needs a predictor that gives probabilities.")
            total = back(part).copy() if total is None else total + back(part)
        mean: npt.NDArray[np.float32] = np.asarray(total, dtype=np.float32) / np.float32(8)
        return Prediction(probabilities=mean)

    def _in_parts(self, images: Values, views: Sequence[View]) -> Prediction:
        """Predict a batch; when memory runs out, one by one, then in ever smaller parts."""
        try:
            return self.predictor.predict(images, views) if views else self.predictor.predict(images)
        except MemoryError as error:
            count, _, height, width = images.shape
            self.report("Memory ran out; going on in smaller steps.")
            if count > 1:
                single = [slice(index, index + 1) for index in range(count)]
                return _stacked([self._in_parts(images[one], views[one]) for one in single], 0)
            if max(height, width) <= SMALLEST_PART + 2 * PART_MARGIN:
                raise OutOfMemoryError(
                    f"A window of {width} x {height} pixels does not fit into the memory of '{self.predictor.device}'.",
                    "Close other programs, or use --device cpu or a smaller model.",
                ) from error
        down = height >= width
        first, second = _halves(height if down else width)
        axis = 2 if down else 3
        parts = []
        for taken, kept in (first, second):
            rows, columns = (taken, slice(None)) if down else (slice(None), taken)
            part = self._in_parts(images[:, :, rows, columns], _parts(views, rows, columns))
            parts.append(_cut(part, kept, axis - 4))
        return _stacked(parts, axis - 4)


def decide(probabilities: npt.NDArray[np.float32], nomenclature: Nomenclature) -> Prediction:
    """Return codes and confidence for probabilities.

    Args:
        probabilities: (N, K, H, W), 0 to 1, over the enabled classes.
        nomenclature: Classes.
    """
    codes = np.array([item.code for item in nomenclature.enabled], dtype=np.uint8)
    highest = np.rint(probabilities.max(axis=1) * 100).clip(0, 100).astype(np.uint8)
    return Prediction(codes[probabilities.argmax(axis=1)], highest, probabilities)


def hann(size: int) -> npt.NDArray[np.float64]:
    """Return a periodic Hann window of shape (size,): copies shifted by half its size add up to 1.

    It is 0 nowhere, so that an image's edge pixels keep a weight.
    """
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(size) + 0.5) / size), dtype=np.float64)


Turn = Callable[[Values], Values]


def symmetries() -> Iterator[tuple[Turn, Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]]]:
    """Yield the 8 symmetries of a square over the last two axes, each with its inverse."""
    for quarters, mirrored in SYMMETRIES:

        def turn(values: Values, quarters: int = quarters, mirrored: bool = mirrored) -> Values:
            turned = np.rot90(values, quarters, axes=(-2, -1))
            return turned[..., ::-1] if mirrored else turned

        def back(
            values: npt.NDArray[np.float32], quarters: int = quarters, mirrored: bool = mirrored
        ) -> npt.NDArray[np.float32]:
            straight = values[..., ::-1] if mirrored else values
            return np.rot90(straight, -quarters, axes=(-2, -1))

        yield turn, back


def _parts(views: Sequence[View], rows: slice, columns: slice) -> list[View]:
    return [view.part(rows, columns) for view in views]


def _half_steps(length: int, side: int) -> Iterator[slice]:
    for start in range(0, max(length - side, 0) + 1, side // 2):
        yield slice(start, start + side)


def _halves(length: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Cut a length in two parts with context; for each, what to take and which of it to keep."""
    middle = length // 2 // STRIDE * STRIDE
    return (
        (slice(0, middle + PART_MARGIN), slice(0, middle)),
        (slice(middle - PART_MARGIN, length), slice(PART_MARGIN, length - middle + PART_MARGIN)),
    )


def _cut(prediction: Prediction, kept: slice, axis: int) -> Prediction:
    index = (Ellipsis, kept, slice(None)) if axis == -2 else (Ellipsis, kept)
    codes, confidence, probabilities = prediction.codes, prediction.confidence, prediction.probabilities
    return Prediction(
        None if codes is None else codes[index],
        None if confidence is None else confidence[index],
        None if probabilities is None else probabilities[index],
    )


def _stacked(parts: list[Prediction], axis: int) -> Prediction:
    codes = [part.codes for part in parts if part.codes is not None]
    confidence = [part.confidence for part in parts if part.confidence is not None]
    probabilities = [part.probabilities for part in parts if part.probabilities is not None]
    return Prediction(
        np.concatenate(codes, axis) if codes else None,
        np.concatenate(confidence, axis) if confidence else None,
        np.concatenate(probabilities, axis) if probabilities else None,
    )

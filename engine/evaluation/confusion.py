"""Counts which class was predicted where which class is true."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.errors import InputError
from engine.nomenclature import Nomenclature
from engine.text_file import write_whole

Counts = npt.NDArray[np.int64]
_CHUNK = 1 << 20
"""Pixels that are looked up at once: the temporary arrays stay below 10 MB and within a CPU's cache."""
_CORNER = "truth / predicted"
_REST_ROW = "ignored"
_REST_COLUMN = "nothing"


class ConfusionMatrix:
    """Pixel counts, one row per true class and one column per predicted class, in channel order.

    Disabled classes have their row and column like all others: what they mean is up to a definition of scores
    (`engine.evaluation.scores`). One last row counts the pixels whose truth is to be ignored, one last column those
    that were predicted as nothing (nodata) or as something outside the nomenclature.

    Args:
        nomenclature: K classes in channel order.
    """

    def __init__(self, nomenclature: Nomenclature) -> None:
        self.nomenclature = nomenclature
        classes = len(nomenclature.classes)
        self._counts: Counts = np.zeros((classes + 1, classes + 1), dtype=np.int64)
        # All codes, also of disabled classes: other than `code_to_index`, which serves training.
        codes = np.full(256, classes, dtype=np.uint16)
        for index, item in enumerate(nomenclature.classes):
            codes[item.code] = index
        self._of_codes = codes
        self._of_indices = np.minimum(np.arange(256), classes).astype(np.uint16)

    @property
    def counts(self) -> Counts:
        """The matrix, int64 of shape (K + 1, K + 1); a copy."""
        counts: Counts = self._counts.copy()
        return counts

    def add_codes(self, truth: npt.NDArray[np.uint8], predicted: npt.NDArray[np.uint8]) -> None:
        """Count pixels of two class rasters.

        Args:
            truth: Codes, uint8 of any shape; 0 (unlabelled) and codes of no class go to the last row.
            predicted: Codes, uint8 of the same shape; 0 (nodata) and codes of no class go to the last column.

        Raises:
            ValueError: The arrays are not uint8 or not of one shape.
        """
        self._add(truth, predicted, self._of_codes)

    def add_indices(self, truth: npt.NDArray[np.uint8], predicted: npt.NDArray[np.uint8]) -> None:
        """Count pixels of training indices.

        Args:
            truth: Channel numbers, uint8 of any shape; 255 (ignored) and all above K - 1 go to the last row.
            predicted: Channel numbers, uint8 of the same shape; all above K - 1 go to the last column.

        Raises:
            ValueError: The arrays are not uint8 or not of one shape.
        """
        self._add(truth, predicted, self._of_indices)

    def add_matrix(self, counts: npt.NDArray[np.integer]) -> None:
        """Add a matrix that was counted elsewhere, such as on a GPU.

        Args:
            counts: Whole numbers of shape (K + 1, K + 1), laid out as this matrix.

        Raises:
            ValueError: It has another shape, no whole numbers, or negative ones.
        """
        if counts.shape != self._counts.shape or not np.issubdtype(counts.dtype, np.integer):
            raise ValueError(f"Expected whole numbers of shape {self._counts.shape}, not {counts.dtype} {counts.shape}")
        if counts.min() < 0:
            raise ValueError("Counts must not be negative")
        self._counts += counts.astype(np.int64)

    def merge(self, other: ConfusionMatrix) -> None:
        """Add the counts of another matrix.

        Raises:
            ValueError: It counts other classes.
        """
        if other.nomenclature.codes != self.nomenclature.codes:
            raise ValueError("The two matrices count different classes")
        self.add_matrix(other._counts)

    def to_csv(self, path: Path) -> None:
        """Write the matrix as a table that spreadsheets open: a row per true class, a column per predicted class.

        Raises:
            OutputError: The file could not be written; an earlier one is as it was.
        """
        labels = [f"{item.code} {item.name}" for item in self.nomenclature.classes]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([_CORNER, *labels, _REST_COLUMN])
        for label, row in zip([*labels, _REST_ROW], self._counts.tolist(), strict=True):
            writer.writerow([label, *row])
        write_whole(path, text.getvalue())

    @staticmethod
    def from_csv(path: Path, nomenclature: Nomenclature) -> ConfusionMatrix:
        """Read a matrix that `to_csv` wrote.

        Args:
            path: The table.
            nomenclature: The classes that it counts; their codes are compared, their names are not.

        Raises:
            InputError: The file cannot be read, is no such table, or counts other classes.
        """
        hint = "Give a table that an evaluation wrote, and the classes that it was made with."
        try:
            with path.open(encoding="utf-8-sig", newline="") as stream:
                rows = list(csv.reader(stream))
            labels = rows[0][1:-1]
            if [row[0] for row in rows] != [_CORNER, *labels, _REST_ROW] or rows[0][-1] != _REST_COLUMN:
                raise ValueError("its labels are others")
            codes = tuple(int(label.split(" ", 1)[0]) for label in labels)
            counts = np.array([[int(cell) for cell in row[1:]] for row in rows[1:]], dtype=np.int64)
        except OSError as error:
            raise InputError(f"The confusion matrix '{path}' cannot be read: {error.strerror}.", hint) from error
        except (ValueError, IndexError, OverflowError, csv.Error) as error:
            raise InputError(f"'{path}' is no confusion matrix: {error}.", hint) from error
        if codes != nomenclature.codes:
            raise InputError(f"'{path}' counts the classes {codes}, not {nomenclature.codes}.", hint)
        matrix = ConfusionMatrix(nomenclature)
        try:
            matrix.add_matrix(counts)
        except ValueError as error:
            raise InputError(f"'{path}' is no confusion matrix: {error}.", hint) from error
        return matrix

    def _add(
        self, truth: npt.NDArray[np.uint8], predicted: npt.NDArray[np.uint8], lookup: npt.NDArray[np.uint16]
    ) -> None:
        if truth.shape != predicted.shape:
            raise ValueError(f"Truth and prediction differ in shape: {truth.shape} and {predicted.shape}")
        if truth.dtype != np.uint8 or predicted.dtype != np.uint8:
            raise ValueError(f"Truth and prediction must be uint8, not {truth.dtype} and {predicted.dtype}")
        size = len(self._counts)
        # At most 255 classes: a pair fits into 16 bits.
        rows = lookup * np.uint16(size)
        for true_part, predicted_part in _chunks(truth, predicted):
            pairs = rows[true_part] + lookup[predicted_part]
            self._counts += np.bincount(pairs, minlength=size * size).reshape(size, size)


def _chunks(
    first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]
) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]]:
    """Yield flat pieces of two arrays of one shape, pixel beside pixel; views where both lie alike in memory."""
    if not first.size:
        return
    with np.nditer([first, second], flags=["external_loop", "buffered"], buffersize=_CHUNK) as pieces:
        for piece in pieces:
            yield piece[0], piece[1]

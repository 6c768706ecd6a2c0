"""The words of an evaluation for what the readers of labels say about labels and images."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from engine.errors import InputError
from engine.events import Reporter

# A word inside a file's name, such as labels.tif, is none.
_WORD = re.compile(r"--label-layer|(?<![\w./-])(?:[Ll]abels?|[Ii]mages?|Extract them)(?![\w-]|\.\w)")
_WORDS = {
    "--label-layer": "--truth-layer",
    "Labels": "Truth labels",
    "Label": "Truth label",
    "labels": "truth labels",
    "label": "truth label",
    "images": "predictions",
    "image": "prediction",
    "Images": "Predictions",
    "Image": "Prediction",
    "Extract them": "Evaluate them",
}


def rephrased(text: str) -> str:
    """Return a sentence with "truth labels" for labels and "prediction" for image; what is quoted stays as it is."""
    parts = re.split(r"('[^']*')(?![a-z])", text)
    parts[::2] = [_WORD.sub(lambda found: _WORDS[found[0]], part) for part in parts[::2]]
    return "".join(parts)


@contextmanager
def speaking_of_truth() -> Iterator[None]:
    """Let errors inside speak of truth and prediction.

    Raises:
        InputError: One was raised inside.
    """
    try:
        yield
    except InputError as error:
        raise InputError(rephrased(error.message), rephrased(error.hint)) from error


class TruthReporter:
    """Passes everything on, in the words of an evaluation.

    Args:
        reporter: Who is told.
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def progress(self, fraction: float, text: str = "", eta: float | None = None) -> None:
        """See `Reporter`."""
        self._reporter.progress(fraction, text, eta)

    def log(self, text: str) -> None:
        """See `Reporter`."""
        self._reporter.log(rephrased(text))

    def warning(self, text: str) -> None:
        """See `Reporter`."""
        self._reporter.warning(rephrased(text))

    def result(self, values: dict[str, Any]) -> None:
        """See `Reporter`."""
        self._reporter.result(values)

    def error(self, kind: str, message: str, hint: str = "") -> None:
        """See `Reporter`."""
        self._reporter.error(kind, message, hint)

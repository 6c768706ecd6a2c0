"""Readers of an image and its labels, for several threads."""

from __future__ import annotations

import threading
from contextlib import ExitStack

from engine.extraction.labels import LabelReader, Labels
from engine.rasters.reader import RasterReader
from engine.rasters.source import RasterSource


class Readers:
    """Readers of an image and its labels, one pair for each thread that asks; a context manager.

    Args:
        source: The image.
        labels: Its labels.
    """

    def __init__(self, source: RasterSource, labels: Labels) -> None:
        self._source = source
        self._labels = labels
        self._own = threading.local()
        self._mutex = threading.Lock()
        self._stack = ExitStack()

    def __enter__(self) -> Readers:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def get(self) -> tuple[RasterReader, LabelReader]:
        """Return the readers of the calling thread."""
        if not hasattr(self._own, "pair"):
            with self._mutex:
                image = self._stack.enter_context(self._source.reader())
                labels = self._labels.reader()
                self._stack.callback(labels.close)
            self._own.pair = (image, labels)
        pair: tuple[RasterReader, LabelReader] = self._own.pair
        return pair

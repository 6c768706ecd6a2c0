"""The same work on many windows, by a few threads with readers of their own."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, TimeoutError
from contextlib import ExitStack
from typing import TypeVar

from engine.errors import Cancelled
from engine.extraction.labels import LabelReader, Labels
from engine.rasters.reader import RasterReader
from engine.rasters.source import RasterSource

_POLL_SECONDS = 0.1
_AHEAD = 3

Item = TypeVar("Item")
Result = TypeVar("Result")


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


def each(
    work: Callable[[Item], Result], items: Iterable[Item], cancelled: threading.Event
) -> Iterator[tuple[Item, Result]]:
    """Yield each item with the result of the work on it, in order; few are held at a time.

    Args:
        work: Is called in several threads.
        items: Taken as they are needed.
        cancelled: Set to stop: work that has begun is finished, none is begun.

    Raises:
        Cancelled: `cancelled` was set.
    """
    workers = max(1, min(8, os.cpu_count() or 1))
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="patches")
    try:
        for item in items:
            waiting.append((item, pool.submit(work, item)))
            if len(waiting) > _AHEAD * workers:
                yield _next(waiting, cancelled)
        while waiting:
            yield _next(waiting, cancelled)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _next(waiting: deque[tuple[Item, Future[Result]]], cancelled: threading.Event) -> tuple[Item, Result]:
    item, future = waiting.popleft()
    while not cancelled.is_set():
        try:
            return item, future.result(timeout=_POLL_SECONDS)
        except TimeoutError:
            if future.done():
                # The work itself may raise such an error.
                return item, future.result()
    raise Cancelled

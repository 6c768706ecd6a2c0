"""The same work on many windows, by a few threads."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, TimeoutError
from typing import TypeVar

from engine.errors import Cancelled

_POLL_SECONDS = 0.1
_AHEAD = 3

Item = TypeVar("Item")
Result = TypeVar("Result")


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
    pool = ThreadPoolExecutor(workers, thread_name_prefix="windows")
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

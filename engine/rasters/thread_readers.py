"""One reader for each thread that asks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Generic, TypeVar

Reader = TypeVar("Reader")


class ThreadReaders(Generic[Reader]):
    """Readers that are opened when a thread first asks, and closed together; a context manager.

    Args:
        make: Opens one.
    """

    def __init__(self, make: Callable[[], AbstractContextManager[Reader]]) -> None:
        self._make = make
        self._own = threading.local()
        self._mutex = threading.Lock()
        self._stack = ExitStack()

    def __enter__(self) -> ThreadReaders[Reader]:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def get(self) -> Reader:
        """Return the reader of the calling thread."""
        if not hasattr(self._own, "reader"):
            with self._mutex:
                self._own.reader = self._stack.enter_context(self._make())
        reader: Reader = self._own.reader
        return reader

"""The wish to stop, and what to say when it is followed."""

from __future__ import annotations

import threading
import time

from engine.errors import EngineError

_POLL_SECONDS = 0.1


class Cancellation(threading.Event):
    """Set to stop a command.

    Attributes:
        note: What the command leaves behind when it is ended before it can say so itself; empty for nothing.
        failure: What went wrong in another process, where that is why this one has to stop.
    """

    def __init__(self) -> None:
        super().__init__()
        self.note = ""
        self.failure: EngineError | None = None


class Either(threading.Event):
    """Is set by itself, or where another event is."""

    def __init__(self, other: threading.Event) -> None:
        super().__init__()
        self._other = other

    def is_set(self) -> bool:
        """See `threading.Event`."""
        return super().is_set() or self._other.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """See `threading.Event`."""
        end = float("inf") if timeout is None else time.monotonic() + timeout
        while not self.is_set() and (left := end - time.monotonic()) > 0:
            self._other.wait(min(left, _POLL_SECONDS))
        return self.is_set()

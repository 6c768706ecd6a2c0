"""How fast patches are done, and how long the rest will take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from engine.events import Reporter


class Pace:
    """Counts patches and tells of progress; time in which none can be done does not count.

    Args:
        reporter: Is told; its whole bar is filled.
        patches: All patches.
        there: Those that an earlier run has done.
    """

    def __init__(self, reporter: Reporter, *, patches: int, there: int) -> None:
        self._reporter = reporter
        self._patches, self._there = patches, there
        self._new = 0
        self._began = time.monotonic()

    def tell(self, more: int, text: str) -> None:
        """Add patches that were done just now."""
        self._new += more
        left = None
        if self._new > 0:
            left = (time.monotonic() - self._began) / self._new * (self._patches - self._there - self._new)
        self._reporter.progress((self._there + self._new) / max(1, self._patches), text, left)

    def skip(self, patches: int) -> None:
        """Leave patches out that will not be done."""
        self._patches = max(self._there + self._new, self._patches - patches)

    @contextmanager
    def paused(self, text: str) -> Iterator[None]:
        """Do something else meanwhile."""
        self.tell(0, text)
        began = time.monotonic()
        yield
        self._began += time.monotonic() - began

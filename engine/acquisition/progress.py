"""How far a download is, how fast, and how long it will take."""

from __future__ import annotations

import threading
import time
from collections import deque

from engine.acquisition.sizes import readable
from engine.events import Reporter

_WINDOW_SECONDS = 20.0


class DownloadProgress:
    """Counts bytes; `add` is safe to call from several threads.

    Args:
        total: Bytes of all that is wanted.
        there: Bytes of it that are there already.
        reporter: Receives the progress.
    """

    def __init__(self, total: int, there: int, reporter: Reporter) -> None:
        self._total = max(total, 1)
        self._done = there
        self._reporter = reporter
        self._mutex = threading.Lock()
        self._recent: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])
        self.fetched = 0
        """Bytes that came over the line."""

    def add(self, count: int) -> None:
        """Count bytes that have come."""
        with self._mutex:
            self.fetched += count
            self._done += count

    def take_back(self, count: int) -> None:
        """Count bytes that have to come again."""
        with self._mutex:
            self._done -= count

    def tell(self, what: str) -> None:
        """Report share, amount, rate and the time left at the rate of the last seconds."""
        now = time.monotonic()
        with self._mutex:
            fetched, done = self.fetched, self._done
        self._recent.append((now, fetched))
        while len(self._recent) > 2 and now - self._recent[1][0] > _WINDOW_SECONDS:
            self._recent.popleft()
        since, before = self._recent[0]
        rate = (fetched - before) / (now - since) if now - since > 0.5 else 0.0
        left = max(self._total - done, 0)
        shown = f", {readable(rate)}/s" if rate else ""
        self._reporter.progress(
            min(0.99 * done / self._total, 0.99),
            f"{what}, {readable(min(done, self._total))} of {readable(self._total)}{shown}",
            left / rate if rate > 0 else None,
        )

"""How far a classification is, how fast it goes, and how long it will take."""

from __future__ import annotations

import threading
import time

from engine.events import Reporter


class RunProgress:
    """Counts pixels of the output; safe to use from several threads.

    Args:
        total: Pixels in all.
        start: Progress of the whole command when this begins, 0 to 1.
        end: Progress when it is done.
        reporter: Told after each tile.
    """

    def __init__(self, total: int, start: float, end: float, reporter: Reporter) -> None:
        self._total = total
        self._start = start
        self._end = end
        self._reporter = reporter
        self._done = 0
        self._worked = 0
        self._began = time.monotonic()
        self._counting = threading.Lock()
        self.note = ""
        """Said behind the rate, such as how many workers there are."""

    def advance(self, pixels: int, *, worked: bool) -> None:
        """Count pixels as done, and report.

        Args:
            pixels: Pixels of the output.
            worked: Whether they were predicted; what was there already, or is empty, says nothing of the time left.
        """
        with self._counting:
            self._report(pixels, worked)

    def _report(self, pixels: int, worked: bool) -> None:
        self._done += pixels
        self._worked += pixels if worked else 0
        elapsed = time.monotonic() - self._began
        share = self._done / self._total
        rate = self._worked / elapsed if elapsed > 0 else 0.0
        eta = (self._total - self._done) / rate if self._worked else None
        text = f"{self._done / 1e6:,.1f} of {self._total / 1e6:,.1f} Mpx"
        if self._worked:
            text += f", {rate / 1e6:.2f} Mpx/s"
        self._reporter.progress(self._start + (self._end - self._start) * share, text + self.note, eta)

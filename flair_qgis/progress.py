"""Progress of a child process, shown in QGIS."""

from __future__ import annotations

import re
import time
from typing import Optional

from qgis.core import QgsApplication, QgsProcessingFeedback
from qgis.PyQt.QtCore import QCoreApplication, QThread

from .i18n import tr

BEAT = 0.3
TEXT_SECONDS = 1.0
TEXT_SHARE = 0.02
COLUMN_GAP = re.compile(r" {2,}")
SHOWN_GAP = "\u2002\u2002"


class Progress:
    """Maps a child's progress to a part of the progress bar, and keeps the bar alive.

    Without a call to setProgress, qgis_process does not notice an interrupt, and a change under a tenth of a per cent
    is not passed on: so the value steps back and forth by a tenth while nothing new arrives.

    Args:
        feedback: Where it is shown.
        start: Per cent at the child's 0.
        end: Per cent at the child's 1.
    """

    def __init__(self, feedback: QgsProcessingFeedback, start: float = 0.0, end: float = 100.0) -> None:
        self._feedback = feedback
        self._start, self._end = start, end
        self._value = start
        self._text = ""
        self._began = time.monotonic()
        self._told = -TEXT_SECONDS
        self._last = 0.0
        self._stepped = False

    def report(self, fraction: float, text: str = "", eta: Optional[float] = None) -> None:
        """Show progress.

        Args:
            fraction: Share that is done, 0 to 1.
            text: What is being done.
            eta: Seconds left, None while unknown.
        """
        self._value = self._start + (self._end - self._start) * min(max(fraction, 0.0), 1.0)
        self._set(self._value)
        left = "" if eta is None or fraction >= 1 else tr("{duration} left").format(duration=duration(eta))
        shown = ", ".join(part for part in (text, left) if part)
        now = time.monotonic()
        # Each text becomes a line of the log: the longer a run, the fewer of them.
        due = now - self._told >= max(TEXT_SECONDS, TEXT_SHARE * (now - self._began))
        if shown and shown != self._text and (due or fraction >= 1):
            self._told = now
            self._text = shown
            self._feedback.setProgressText(shown)

    def beat(self) -> None:
        """Repeat the last value when it is due; call it several times a second."""
        if time.monotonic() - self._last < BEAT:
            return
        self._stepped = not self._stepped
        step = 0.1 if self._value < 99.9 else -0.1
        self._set(self._value + (step if self._stepped else 0.0))
        _notice_signals()

    def _set(self, value: float) -> None:
        self._last = time.monotonic()
        self._feedback.setProgress(value)


def for_the_log(text: str) -> str:
    """Return a line for the log: a window runs spaces together, which would hide the columns of a table."""
    if QgsApplication.platform() == "qgis_process":
        return text
    return COLUMN_GAP.sub(SHOWN_GAP, text)


def _notice_signals() -> None:
    # qgis_process looks for an interrupt every 2 s only; a window's events must not be handled from within an algorithm
    if QgsApplication.platform() == "qgis_process" and QThread.currentThread() == QgsApplication.instance().thread():
        QCoreApplication.processEvents()


def duration(seconds: float) -> str:
    """Return a duration as a person says it: `8 s`, `3 min 05 s`, `2 h 10 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"

"""What the engine tells whoever started it: progress, log, warning, result, error.

In a pipe these are JSON lines on a private copy of file descriptor 1; on a
terminal, a progress bar and plain sentences on stderr.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, TextIO


class Reporter(Protocol):
    """Receiver of events. Implementations are safe to call from several threads."""

    def progress(self, fraction: float, text: str = "", eta: float | None = None) -> None:
        """Report work done.

        Args:
            fraction: Share of the whole command that is done, 0 to 1.
            text: What is being done, with a rate where there is one.
            eta: Seconds left, or None while unknown.
        """

    def log(self, text: str) -> None:
        """Report a fact worth keeping."""

    def warning(self, text: str) -> None:
        """Report something suspicious that did not stop the work."""

    def result(self, values: dict[str, Any]) -> None:
        """Report the outputs; the last event of a command that succeeded."""

    def error(self, kind: str, message: str, hint: str = "") -> None:
        """Report the failure; the last event of a command that failed."""


class JsonReporter:
    """Writes each event as one line of JSON."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._last_progress = 0.0

    def _write(self, event: str, **values: Any) -> None:
        line = json.dumps({"event": event, **values}, ensure_ascii=False)
        with self._lock:
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (BrokenPipeError, ValueError):
                return

    def progress(self, fraction: float, text: str = "", eta: float | None = None) -> None:
        """See `Reporter`; at most ten a second are sent, the last one always."""
        now = time.monotonic()
        if fraction < 1 and now - self._last_progress < 0.1:
            return
        self._last_progress = now
        self._write(
            "progress",
            fraction=round(min(max(fraction, 0.0), 1.0), 5),
            text=text,
            eta=None if eta is None else round(eta, 1),
        )

    def log(self, text: str) -> None:
        """See `Reporter`."""
        self._write("log", text=text)

    def warning(self, text: str) -> None:
        """See `Reporter`."""
        self._write("warning", text=text)

    def result(self, values: dict[str, Any]) -> None:
        """See `Reporter`."""
        self._write("result", values=values)

    def error(self, kind: str, message: str, hint: str = "") -> None:
        """See `Reporter`."""
        self._write("error", kind=kind, message=message, hint=hint)


class ConsoleReporter:
    """Shows a progress bar and plain messages on stderr, results on stdout."""

    BAR = 24

    def __init__(self, err: TextIO | None = None, out: TextIO | None = None) -> None:
        self._err = err or sys.stderr
        self._out = out or sys.stdout
        self._lock = threading.Lock()
        self._terminal = self._err.isatty()
        self._bar_shown = False
        self._last_progress = float("-inf")

    def _line(self, text: str) -> None:
        with self._lock:
            if self._bar_shown:
                self._err.write("\r\033[K")
                self._bar_shown = False
            self._err.write(text + "\n")
            self._err.flush()

    def progress(self, fraction: float, text: str = "", eta: float | None = None) -> None:
        """See `Reporter`; a bar on a terminal, a line every ten seconds elsewhere."""
        now = time.monotonic()
        if fraction < 1 and now - self._last_progress < (0.1 if self._terminal else 10.0):
            return
        self._last_progress = now
        left = "" if eta is None else f", {format_duration(eta)} left"
        if not self._terminal:
            self._line(f"{fraction:4.0%} {text}{left}")
            return
        done = round(min(max(fraction, 0.0), 1.0) * self.BAR)
        with self._lock:
            bar = "#" * done + "." * (self.BAR - done)
            self._err.write(f"\r\033[K[{bar}] {fraction:4.0%} {text}{left}")
            if fraction >= 1:
                self._err.write("\n")
            self._bar_shown = fraction < 1
            self._err.flush()

    def log(self, text: str) -> None:
        """See `Reporter`."""
        self._line(text)

    def warning(self, text: str) -> None:
        """See `Reporter`."""
        self._line(f"Warning: {text}")

    def result(self, values: dict[str, Any]) -> None:
        """See `Reporter`."""
        with self._lock:
            if self._bar_shown:
                self._err.write("\n")
                self._bar_shown = False
            for key, value in values.items():
                if isinstance(value, (str, int, float)):
                    self._out.write(f"{key}: {value}\n")
            self._out.flush()

    def error(self, kind: str, message: str, hint: str = "") -> None:
        """See `Reporter`."""
        del kind
        self._line(f"Error: {message}" + (f" {hint}" if hint else ""))


class SilentReporter:
    """Drops everything: for a question asked twice."""

    def progress(self, fraction: float, text: str = "", eta: float | None = None) -> None:
        """Drop it."""

    def log(self, text: str) -> None:
        """Drop it."""

    def warning(self, text: str) -> None:
        """Drop it."""

    def result(self, values: dict[str, Any]) -> None:
        """Drop it."""

    def error(self, kind: str, message: str, hint: str = "") -> None:
        """Drop it."""


class FurtherReporter(SilentReporter):
    """Says on stderr what went wrong in a process of a run other than the first, which says all else.

    Args:
        name: What this process is called.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def error(self, kind: str, message: str, hint: str = "") -> None:
        """See `Reporter`; without words where the first process has them."""
        if message and kind != "cancelled":
            print(f"{self._name}: {message} {hint}".rstrip(), file=sys.stderr, flush=True)


def timed_progress(reporter: Reporter) -> Callable[[float, str], None]:
    """Return a function that reports the share done and a text, with the time left as it went so far."""
    began = time.monotonic()

    def tell(share: float, text: str) -> None:
        spent = time.monotonic() - began
        reporter.progress(share, text, spent / share * (1 - share) if share > 0 and spent > 1 else None)

    return tell


def format_duration(seconds: float) -> str:
    """Return a duration as a person says it: `8 s`, `3 min 05 s`, `2 h 10 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def private_stdout() -> TextIO:
    """Return a private copy of stdout, and point file descriptor 1 at stderr.

    Libraries that print, in Python or in C, can then not break the event stream.
    """
    # Names of files that are no valid text would otherwise lose the event that speaks of them.
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="backslashreplace", newline="\n")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return channel

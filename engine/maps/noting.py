"""Warnings that are shown again in a report."""

from __future__ import annotations

from typing import Any

from engine.events import Reporter


class Noting:
    """Passes everything on, and remembers the warnings.

    Args:
        reporter: Who is told.

    Attributes:
        notes: The warnings.
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self.notes: list[str] = []

    def progress(self, fraction: float, text: str = "", eta: float | None = None) -> None:
        """See `Reporter`."""
        self._reporter.progress(fraction, text, eta)

    def log(self, text: str) -> None:
        """See `Reporter`."""
        self._reporter.log(text)

    def warning(self, text: str) -> None:
        """See `Reporter`."""
        self.notes.append(text)
        self._reporter.warning(text)

    def result(self, values: dict[str, Any]) -> None:
        """See `Reporter`."""
        self._reporter.result(values)

    def error(self, kind: str, message: str, hint: str = "") -> None:
        """See `Reporter`."""
        self._reporter.error(kind, message, hint)

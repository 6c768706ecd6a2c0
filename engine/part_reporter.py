"""Progress of a part of the work as progress of the whole."""

from __future__ import annotations

from typing import Any

from engine.events import Reporter


class PartReporter:
    """Passes everything on; shares of the part become shares of the whole.

    Args:
        reporter: Who is told.
        start: Share of the whole at which the part begins, 0 to 1.
        width: Share that it takes.
    """

    def __init__(self, reporter: Reporter, start: float, width: float) -> None:
        self._reporter, self._start, self._width = reporter, start, width

    def progress(self, fraction: float, text: str = "", eta: float | None = None) -> None:
        """See `Reporter`."""
        self._reporter.progress(self._start + self._width * fraction, text, eta)

    def log(self, text: str) -> None:
        """See `Reporter`."""
        self._reporter.log(text)

    def warning(self, text: str) -> None:
        """See `Reporter`."""
        self._reporter.warning(text)

    def result(self, values: dict[str, Any]) -> None:
        """See `Reporter`."""
        self._reporter.result(values)

    def error(self, kind: str, message: str, hint: str = "") -> None:
        """See `Reporter`."""
        self._reporter.error(kind, message, hint)

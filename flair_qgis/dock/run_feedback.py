"""What an algorithm tells while it runs, brought to the window's thread."""

from __future__ import annotations

from collections import deque
from typing import Deque, List

from qgis.core import QgsProcessingFeedback
from qgis.PyQt.QtCore import pyqtSignal

LONGEST_LOG = 5000


class RunFeedback(QgsProcessingFeedback):
    """Keeps the log of a run and sends on what it is doing.

    Its methods are called from the run's thread; a signal reaches the window's thread by Qt's queue.
    """

    told = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__(False)
        self._lines: Deque[str] = deque(maxlen=LONGEST_LOG)
        self._errors: List[str] = []

    @property
    def log(self) -> str:
        """All that was told, a line each."""
        return "\n".join(self._lines)

    @property
    def problem(self) -> str:
        """The last error; empty where there was none."""
        return self._errors[-1] if self._errors else ""

    def setProgressText(self, text: str) -> None:
        self._lines.append(text)
        self.told.emit(text)

    def reportError(self, error: str, fatalError: bool = False) -> None:
        self._lines.append(error)
        self._errors.append(error)

    def pushWarning(self, warning: str) -> None:
        self._lines.append(warning)

    def pushInfo(self, info: str) -> None:
        self._lines.append(info)

    def pushCommandInfo(self, info: str) -> None:
        self._lines.append(info)

    def pushDebugInfo(self, info: str) -> None:
        self._lines.append(info)

    def pushConsoleInfo(self, info: str) -> None:
        self._lines.append(info)

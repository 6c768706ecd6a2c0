"""An algorithm that runs as a task of QGIS, started through Processing."""

from __future__ import annotations

import html
import time
from typing import Any, ClassVar, Dict, List, Optional, Set, Tuple

from qgis.core import QgsApplication, QgsProcessingAlgRunnerTask, QgsTask
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from ..i18n import tr
from ..progress import duration
from .run_feedback import RunFeedback
from .run_history import HistoryEntry


class BackgroundRun(QObject):
    """One run of an algorithm; it goes on whatever becomes of the widgets that show it.

    Args:
        algorithm: Identifier, such as `flair:classify`.
        parameters: Values of its parameters.
        remember: Whether it is noted in the history, and its layers are added to the project.
    """

    progressed = pyqtSignal(float)
    told = pyqtSignal(str)
    ended = pyqtSignal(bool)

    # nobody else may hold it while it runs
    _running: ClassVar[Set[BackgroundRun]] = set()

    def __init__(self, algorithm: str, parameters: Dict[str, Any], remember: bool = True) -> None:
        super().__init__()
        from processing.tools.dataobjects import createContext

        self._algorithm = QgsApplication.processingRegistry().createAlgorithmById(algorithm)
        self.parameters = parameters
        self._remember = remember
        self._feedback = RunFeedback()
        self._feedback.progressChanged.connect(self.progressed)
        self._feedback.told.connect(self.told)
        self._context = createContext(self._feedback)
        self._task: Optional[QgsProcessingAlgRunnerTask] = None
        self._entry: Optional[HistoryEntry] = None
        self._began = 0.0
        self._over = False
        self.results: Dict[str, Any] = {}
        self.seconds = 0.0

    @property
    def cancelled(self) -> bool:
        """Whether it was asked to stop."""
        return self._feedback.isCanceled()

    @property
    def problem(self) -> str:
        """Why it failed; empty where nothing was said."""
        return self._feedback.problem

    @property
    def log(self) -> str:
        """All that was told, and how to repeat the run in a shell."""
        repeat = f"\n\n{tr('The same in a shell:')}\n{self._entry.command}" if self._entry else ""
        return self._feedback.log + repeat

    def check(self) -> Tuple[bool, str]:
        """Return whether it can start, and else why not."""
        able, why = self._algorithm.canExecute()
        if not able:
            return False, why
        valid, message = self._algorithm.checkParameterValues(self.parameters, self._context)
        return bool(valid), str(message)

    def start(self) -> None:
        """Start, and return at once; `ended` comes once, also after a start that failed."""
        self._running.add(self)
        self._began = time.monotonic()
        if self._remember:
            self._entry = HistoryEntry(self._algorithm, self.parameters, self._context)
        more: List[Any] = []
        if not self._remember and hasattr(QgsTask.Flag, "Hidden"):
            # from 3.26 on QGIS need not speak of it
            more = [QgsTask.Flag.Hidden | QgsTask.Flag.CanCancel]
        self._task = QgsProcessingAlgRunnerTask(self._algorithm, self.parameters, self._context, self._feedback, *more)
        if self._task.isCanceled():
            QTimer.singleShot(0, lambda: self._end(False, {}))
            return
        self._task.executed.connect(self._end)
        # a task that was cancelled before its turn came says nothing else
        self._task.taskTerminated.connect(lambda: QTimer.singleShot(0, lambda: self._end(False, {})))
        QgsApplication.taskManager().addTask(self._task)

    def cancel(self) -> None:
        """Ask it to stop."""
        self._feedback.cancel()
        if self._task is not None:
            self._task.cancel()

    def _end(self, successful: bool, results: Dict[str, Any]) -> None:
        if self._over:
            return
        self._over = True
        self._task = None
        self.seconds = time.monotonic() - self._began
        self.results = dict(results)
        if successful and self._remember:
            successful = self._load_layers()
        self._feedback.pushInfo(tr("Ended after {duration}.").format(duration=duration(self.seconds)))
        if self._entry is not None:
            self._entry.close(self.results, html.escape(self._feedback.log).replace("\n", "<br/>"))
        self._running.discard(self)
        self.ended.emit(bool(successful))

    def _load_layers(self) -> bool:
        from processing.gui.Postprocessing import handleAlgorithmResults

        return bool(handleAlgorithmResults(self._algorithm, self._context, self._feedback, parameters=self.results))

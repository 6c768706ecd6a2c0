"""Runs the programs of a set-up: each line goes to the log file and to QGIS."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import IO, List, Mapping, Sequence

from qgis.core import QgsProcessingFeedback

from .child_process import ChildProcess
from .errors import failure
from .i18n import tr
from .paths import without_user
from .progress import Progress
from .proxy import without_credentials

POLL = 0.1


class SetupLog:
    """Keeps what the programs said.

    Args:
        stream: Log file, opened for text.
        path: Where it lies, for messages.
        feedback: Where lines are shown and cancelling is asked.
    """

    def __init__(self, stream: IO[str], path: Path, feedback: QgsProcessingFeedback) -> None:
        self._stream = stream
        self.path = path
        self.feedback = feedback

    def say(self, text: str) -> None:
        """Write a line to the log and show it."""
        text = without_user(without_credentials(text))
        self._stream.write(text + "\n")
        self._stream.flush()
        self.feedback.pushConsoleInfo(text)

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path, progress: Progress, title: str
    ) -> None:
        """Run a program to its end.

        Args:
            arguments: Program and its arguments.
            environment: Its whole environment.
            folder: Its working folder.
            progress: Part of the progress bar that it may use.
            title: What it does, for the progress text.

        Raises:
            QgsProcessingException: It cannot be started, failed or was cancelled.
        """
        progress.report(0, title)
        self.say("$ " + subprocess.list2cmdline(list(arguments)))
        try:
            child = ChildProcess(arguments, environment, folder)
        except OSError as error:
            raise failure(
                tr("{program} cannot be started: {reason}.").format(
                    program=Path(arguments[0]).name, reason=error.strerror or error
                )
            ) from error
        last: List[str] = []
        seen = 0
        try:
            while not child.finished():
                if self.feedback.isCanceled():
                    child.stop()
                    self.say(tr("Cancelled."))
                    raise failure(tr("Cancelled."))
                for line in child.lines(POLL):
                    seen += 1
                    self._line(line, last)
                    # how many lines will come is not known: each goes a part of the way that is left
                    progress.report(1 - 0.97**seen, title)
                progress.beat()
            code = child.close()
            for line in child.lines(0):
                self._line(line, last)
        except BaseException:
            child.stop(grace=0)
            raise
        if code != 0:
            raise failure(
                tr("{title} failed: {reason}").format(title=title, reason=" ".join(last[-3:]) or code),
                tr("The whole log is in {path}.").format(path=without_user(str(self.path))),
            )
        progress.report(1, title)

    def _line(self, line: str, last: List[str]) -> None:
        if line.strip():
            self.say(line)
            last.append(without_user(without_credentials(line.strip())))
            del last[:-10]

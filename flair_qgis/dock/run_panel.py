"""Third step: start the classification, watch it, end it."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QGroupBox, QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from ..i18n import tr
from .background_run import BackgroundRun
from .run_message import announce
from .texts import show_text, text_label


class RunPanel(QGroupBox):
    """Runs flair:classify in the background and shows how far it is.

    Args:
        iface: QGIS's interface.
        parent: Widget around it.
    """

    wanted = pyqtSignal()
    more_wanted = pyqtSignal()
    ended = pyqtSignal(bool)

    def __init__(self, iface: Any, parent: Optional[QWidget] = None) -> None:
        super().__init__(tr("3. Land-cover map"), parent)
        self._iface = iface
        self.run: Optional[BackgroundRun] = None
        self.last: Optional[BackgroundRun] = None
        self._blocked = ""
        self.classify = QPushButton(tr("Classif&y"))
        self.cancel = QPushButton(tr("C&ancel"))
        self.more = QPushButton(tr("More options…"))
        self.log = QPushButton(tr("Show lo&g"))
        for name, button, words in (
            ("classify", self.classify, tr("Start the classification in the background")),
            ("cancel", self.cancel, tr("End the classification")),
            ("more", self.more, tr("Open the dialog with all options, filled in with these values")),
            ("log", self.log, tr("Show what the last run told")),
        ):
            button.setObjectName(name)
            button.setAccessibleName(words)
            button.setToolTip(words)
        self._bar = QProgressBar()
        self._bar.setObjectName("progress")
        self._bar.setAccessibleName(tr("Progress of the classification"))
        self._text = text_label("run_text")
        self._arrange()
        self.classify.clicked.connect(lambda _=False: self.wanted.emit())
        self.more.clicked.connect(lambda _=False: self.more_wanted.emit())
        self.cancel.clicked.connect(lambda _=False: self._cancel())
        self.log.clicked.connect(lambda _=False: self._show_log())
        self._update()

    def stops(self) -> List[QWidget]:
        """Return where the Tab key stops, in order."""
        return [self.classify, self.cancel, self.more, self.log]

    def block(self, why: str) -> None:
        """Say what is missing before a run can start; empty: nothing."""
        self._blocked = why
        if self.run is None:
            self._text.setText(why)
        self._update()

    def start(self, parameters: Dict[str, Any]) -> None:
        """Start flair:classify, or say why it cannot.

        Args:
            parameters: Values of its parameters.
        """
        if self.run is not None:
            return
        run = BackgroundRun("flair:classify", parameters)
        able, why = run.check()
        if not able:
            self._text.setText(why)
            self._update()
            return
        self.run = self.last = run
        run.progressed.connect(self._show_progress)
        run.told.connect(self._text.setText)
        run.ended.connect(self._ended)
        self._bar.setValue(0)
        self._text.setText(tr("Starting…"))
        self._update()
        self.cancel.setFocus()
        run.start()

    def stop(self) -> None:
        """End a run that is under way, without a word."""
        if self.run is not None:
            self.run.ended.disconnect(self._ended)
            self.run.cancel()
            self.run = None

    def _arrange(self) -> None:
        first, second = QHBoxLayout(), QHBoxLayout()
        first.addWidget(self.classify)
        first.addWidget(self.cancel)
        second.addWidget(self.more)
        second.addWidget(self.log)
        layout = QVBoxLayout(self)
        layout.addLayout(first)
        layout.addLayout(second)
        layout.addWidget(self._bar)
        layout.addWidget(self._text)

    def _cancel(self) -> None:
        if self.run is not None:
            self.cancel.setEnabled(False)
            self._text.setText(tr("Cancelling…"))
            self.run.cancel()

    def _show_progress(self, value: float) -> None:
        self._bar.setValue(int(value))

    def _show_log(self) -> None:
        if self.last is not None:
            show_text(self._iface, tr("Log of the classification"), self.last.log)

    def _ended(self, successful: bool) -> None:
        run, self.run = self.run, None
        if run is None:
            return
        words = tr("Done.") if successful else run.problem or tr("Cancelled.")
        self._text.setText(words)
        had_focus = self.cancel.hasFocus() or not self.cancel.isEnabled()
        self._update()
        if had_focus and self.isVisible():
            self.classify.setFocus()
        announce(self._iface, run, successful)
        self.ended.emit(successful)

    def _update(self) -> None:
        running = self.run is not None
        self.classify.setVisible(not running)
        self.classify.setEnabled(not self._blocked)
        self.cancel.setVisible(running)
        self.cancel.setEnabled(running)
        self._bar.setVisible(running)
        self.log.setVisible(self.last is not None)
        self._text.setVisible(bool(self._text.text()))

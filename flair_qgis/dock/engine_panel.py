"""First step: is there an engine, and what can it compute with."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any, List, Optional

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QGridLayout, QGroupBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ..algorithm_dialogs import open_dialog
from ..i18n import tr
from .background_run import BackgroundRun
from .engine_report import EngineState, read_report
from .texts import show_text, text_label

ICON_SIZE = 16
SHOWN_PARTS = 3


class EnginePanel(QGroupBox):
    """Looks for the engine in the background, offers to set it up, and shows devices and memory.

    Args:
        iface: QGIS's interface.
        parent: Widget around it.
    """

    state_changed = pyqtSignal()

    def __init__(self, iface: Any, parent: Optional[QWidget] = None) -> None:
        super().__init__(tr("1. Engine"), parent)
        self._iface = iface
        self._run: Optional[BackgroundRun] = None
        self.state: Optional[EngineState] = None
        self._mark = QLabel()
        self._mark.setFixedSize(ICON_SIZE, ICON_SIZE)
        self._status = text_label("engine_status")
        self._details = text_label("engine_details")
        self._again = QPushButton(tr("Chec&k again"))
        self._again.setObjectName("engine_again")
        self._set_up = QPushButton(tr("Set up the e&ngine…"))
        self._set_up.setObjectName("engine_set_up")
        self._report = QPushButton(tr("&Full report"))
        self._report.setObjectName("engine_report")
        self._report.setEnabled(False)
        for button, words in (
            (self._again, tr("Check the engine again")),
            (self._set_up, tr("Open the dialog that sets up the engine")),
            (self._report, tr("Show versions, devices and paths, to copy into a question")),
        ):
            button.setAccessibleName(words)
            button.setToolTip(words)
        self._arrange()
        self._again.clicked.connect(lambda _=False: self.check())
        self._set_up.clicked.connect(lambda _=False: self.set_up())
        self._report.clicked.connect(lambda _=False: self._show_report())
        self._show("", tr("Not checked yet."), "")

    @property
    def checking(self) -> bool:
        """Whether the engine is being looked for."""
        return self._run is not None

    def stops(self) -> List[QWidget]:
        """Return where the Tab key stops, in order."""
        return [self._again, self._report, self._set_up]

    def check(self) -> None:
        """Look for the engine in the background; `state_changed` tells the end."""
        if self._run is not None:
            return
        self._again.setEnabled(False)
        self._show("mIconWarning.svg" if self.state and not self.state.works else "", tr("Checking the engine…"), "")
        self._run = BackgroundRun("flair:diagnostics", {}, remember=False)
        self._run.ended.connect(self._checked)
        self._run.start()
        self.state_changed.emit()

    def set_up(self) -> None:
        """Open the dialog of flair:setupengine; the engine is looked for again after its run."""
        dialog = open_dialog(self._iface, "flair:setupengine")
        if dialog is not None:
            dialog.algorithmFinished.connect(lambda successful, _: self.check() if successful else None)

    def stop(self) -> None:
        """End a check that is under way."""
        if self._run is not None:
            self._run.ended.disconnect(self._checked)
            self._run.cancel()
            self._run = None

    def add_model(self, name: str) -> None:
        """Note that a model of the catalogue lies on this computer from now on."""
        if self.state is not None and name not in self.state.models:
            self.state = self.state._replace(models=self.state.models | {name})
            self.state_changed.emit()

    def _arrange(self) -> None:
        first = QHBoxLayout()
        first.addWidget(self._mark, 0, Qt.AlignmentFlag.AlignTop)
        first.addWidget(self._status, 1)
        buttons = QGridLayout()
        buttons.addWidget(self._again, 0, 0)
        buttons.addWidget(self._report, 0, 1)
        buttons.addWidget(self._set_up, 1, 0, 1, 2)
        layout = QVBoxLayout(self)
        layout.addLayout(first)
        layout.addWidget(self._details)
        layout.addLayout(buttons)

    def _checked(self, successful: bool) -> None:
        run, self._run = self._run, None
        self._again.setEnabled(True)
        if run is None:
            return
        if successful:
            self.state = read_report(str(run.results.get("REPORT") or ""))
        else:
            self.state = EngineState(False, problem=run.problem or tr("The engine could not be checked."))
        self._report.setEnabled(bool(self.state.report))
        self._show_state(self.state)
        self.state_changed.emit()

    def _show_state(self, state: EngineState) -> None:
        if not state.works:
            where = tr("Python: {path}").format(path=shortened(state.python)) if state.python else ""
            self._show("mIconWarning.svg", state.problem, where)
            return
        lines: List[str] = [
            tr("Python: {path} ({origin})").format(path=shortened(state.python), origin=origin_words(state.origin))
        ]
        if state.devices:
            lines.append(tr("Computes on: {devices}").format(devices="; ".join(state.devices)))
        if state.memory_gb is not None:
            lines.append(tr("Free memory: {memory} GB").format(memory=f"{state.memory_gb:g}"))
        self._show(
            "mIconSuccess.svg",
            tr("The engine works (version {version}).").format(version=state.version),
            "\n".join(lines),
        )

    def _show(self, icon: str, status: str, details: str) -> None:
        self._mark.setVisible(bool(icon))
        if icon:
            self._mark.setPixmap(QgsApplication.getThemeIcon(f"/{icon}").pixmap(ICON_SIZE, ICON_SIZE))
        self._status.setText(status)
        self._details.setText(details)
        self._details.setToolTip(self.state.python if self.state else "")
        self._details.setVisible(bool(details))

    def _show_report(self) -> None:
        if self.state is not None:
            show_text(self._iface, tr("Report of the engine"), self.state.report)


def shortened(path: str) -> str:
    """Return the end of a path, which can be shown in a narrow place."""
    parts = PurePath(path).parts
    return path if len(parts) <= SHOWN_PARTS else f"…/{'/'.join(parts[-SHOWN_PARTS:])}"


def origin_words(origin: str) -> str:
    """Return in words who names the engine's Python."""
    return {
        "setting": tr("named by the option"),
        "variable": tr("named by the environment variable"),
        "managed": tr("made by Set up the engine"),
        "checkout": tr("in the plugin's folder"),
    }.get(origin, origin)

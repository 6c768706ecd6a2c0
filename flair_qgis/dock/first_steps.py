"""The panel for a first use: engine, image and model, map."""

from __future__ import annotations

from typing import Any

from qgis.gui import QgsDockWidget
from qgis.PyQt.QtCore import QSize, Qt
from qgis.PyQt.QtGui import QShowEvent
from qgis.PyQt.QtWidgets import QScrollArea, QVBoxLayout, QWidget

from ..algorithm_dialogs import open_dialog
from ..i18n import tr
from .engine_panel import EnginePanel
from .run_form import RunForm
from .run_panel import RunPanel
from .tab_order import set_tab_order


class UprightScrollArea(QScrollArea):
    """Scrolls up and down only: it is never narrower than what it holds."""

    def __init__(self) -> None:
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def minimumSizeHint(self) -> QSize:
        """As wide as the content and a scroll bar."""
        hint = super().minimumSizeHint()
        frame = 2 * self.frameWidth() + self.verticalScrollBar().sizeHint().width()
        return QSize(self.widget().minimumSizeHint().width() + frame, hint.height())


class FirstStepsDock(QgsDockWidget):
    """Leads from nothing to a first map; everything is done by the algorithms. Closing it ends no run.

    Args:
        iface: QGIS's interface.
    """

    def __init__(self, iface: Any) -> None:
        super().__init__(tr("FLAIR land cover"), iface.mainWindow())
        self.setObjectName("FlairFirstSteps")
        self._iface = iface
        self.engine = EnginePanel(iface)
        self.form = RunForm(iface)
        self.runs = RunPanel(iface)
        content = QWidget()
        layout = QVBoxLayout(content)
        for panel in (self.engine, self.form, self.runs):
            layout.addWidget(panel)
        layout.addStretch(1)
        area = UprightScrollArea()
        area.setWidget(content)
        self.setWidget(area)
        set_tab_order([*self.engine.stops(), *self.form.stops(), *self.runs.stops()])
        self.engine.state_changed.connect(self._engine_changed)
        self.form.changed.connect(self._say_what_is_missing)
        self.runs.wanted.connect(lambda: self.runs.start(self.form.parameters()))
        self.runs.more_wanted.connect(lambda: open_dialog(self._iface, "flair:classify", self.form.parameters()))
        self.runs.ended.connect(self._run_ended)
        self._say_what_is_missing()

    def bring_up(self) -> None:
        """Show the panel, and let the keyboard begin with the choice of an image."""
        self.show()
        self.raise_()
        self.form.image.setFocus()

    def showEvent(self, event: QShowEvent) -> None:
        """Look for the engine when the panel is first shown."""
        super().showEvent(event)
        if self.engine.state is None:
            self.engine.check()

    def stop(self) -> None:
        """End what is under way, because the panel goes away for good."""
        self.engine.stop()
        self.runs.stop()

    def _engine_changed(self) -> None:
        state = self.engine.state
        if state is not None and state.works:
            self.form.model.mark(state.models)
        self._say_what_is_missing()

    def _say_what_is_missing(self) -> None:
        self.runs.block(self._missing())

    def _missing(self) -> str:
        state = self.engine.state
        if state is not None and not state.works and not self.engine.checking:
            return tr("The engine is missing or does not work: see 1.")
        return self.form.missing()

    def _run_ended(self, successful: bool) -> None:
        name = self.runs.last.parameters.get("MODEL_NAME") if self.runs.last else None
        if successful and name:
            self.engine.add_model(name)

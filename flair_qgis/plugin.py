"""The plugin: adds the provider, the menu and the panel for a first use."""

from __future__ import annotations

from typing import Any, Optional

from qgis.core import Qgis, QgsApplication
from qgis.PyQt.QtCore import Qt, QUrl
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import QPushButton

from .algorithm_dialogs import open_dialog
from .documentation import documentation
from .errors import first_sentence
from .i18n import tr
from .provider import FlairProvider


class FlairPlugin:
    """What QGIS loads.

    Args:
        iface: QGIS's interface, None without a window.
    """

    def __init__(self, iface: Any) -> None:
        self._iface = iface
        self._provider: Optional[FlairProvider] = None
        self._menu: Any = None
        self._dock: Any = None

    def initProcessing(self) -> None:
        """Register the provider; all that qgis_process calls."""
        self._provider = FlairProvider()
        QgsApplication.processingRegistry().addProvider(self._provider)

    def initGui(self) -> None:
        """Register the provider and the menu."""
        from .raster_menu import RasterMenu

        self.initProcessing()
        self._menu = RasterMenu(self._iface, self._open_algorithm)
        self._menu.fill(self._provider, self.show_first_steps, self._open_documentation)

    def unload(self) -> None:
        """Take everything out again."""
        if self._dock is not None:
            self._dock.stop()
            self._iface.removeDockWidget(self._dock)
            self._dock.deleteLater()
            self._dock = None
        if self._menu is not None:
            self._menu.remove()
            self._menu = None
        if self._provider is not None:
            QgsApplication.processingRegistry().removeProvider(self._provider)
            self._provider = None

    def show_first_steps(self) -> None:
        """Show the panel for a first use."""
        from .dock.first_steps import FirstStepsDock

        if self._dock is None:
            self._dock = FirstStepsDock(self._iface)
            self._iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self._dock)
        self._dock.bring_up()

    def _open_algorithm(self, identifier: str) -> None:
        algorithm = QgsApplication.processingRegistry().algorithmById(identifier)
        able, why = algorithm.canExecute() if algorithm is not None else (False, identifier)
        if able:
            open_dialog(self._iface, identifier)
            return
        bar = self._iface.messageBar()
        message = bar.createMessage(tr("FLAIR land cover"), first_sentence(why))
        button = QPushButton(tr("First steps…"))
        button.clicked.connect(lambda _=False: self.show_first_steps())
        message.layout().addWidget(button)
        bar.pushWidget(message, Qgis.MessageLevel.Warning)

    def _open_documentation(self) -> None:
        QDesktopServices.openUrl(QUrl(documentation()))

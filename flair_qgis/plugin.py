"""The plugin: adds the provider, and one entry to the Raster menu."""

from __future__ import annotations

from qgis.core import QgsApplication
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAction

from .i18n import tr
from .paths import resources
from .provider import FlairProvider


class FlairPlugin:
    """What QGIS loads.

    Args:
        iface: QGIS's interface, None without a window.
    """

    def __init__(self, iface) -> None:
        self._iface = iface
        self._provider = None
        self._action = None

    def initProcessing(self) -> None:
        """Register the provider; all that qgis_process calls."""
        self._provider = FlairProvider()
        QgsApplication.processingRegistry().addProvider(self._provider)

    def initGui(self) -> None:
        """Register the provider and the menu entry."""
        self.initProcessing()
        icon = QIcon(str(resources() / "icons" / "flair.svg"))
        self._action = QAction(icon, tr("Classify land cover…"), self._iface.mainWindow())
        self._action.triggered.connect(self._open_dialog)
        self._iface.addPluginToRasterMenu(tr("FLAIR land cover"), self._action)

    def unload(self) -> None:
        """Take everything out again."""
        if self._action is not None:
            self._iface.removePluginRasterMenu(tr("FLAIR land cover"), self._action)
            self._action.deleteLater()
            self._action = None
        if self._provider is not None:
            QgsApplication.processingRegistry().removeProvider(self._provider)
            self._provider = None

    def _open_dialog(self) -> None:
        import processing

        processing.execAlgorithmDialog("flair:classify", {})

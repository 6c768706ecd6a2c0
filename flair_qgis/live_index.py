"""The index of kilometric sheets as a layer: a map of the run while it goes on, and of the delivery afterwards."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Dict, List, Optional

from qgis.core import QgsProcessingContext, QgsProject, QgsVectorLayer
from qgis.PyQt.QtCore import QCoreApplication, QObject, QThread, QTimer, pyqtSignal

from .i18n import tr

LAYER = "sheets"
REDRAWN_EVERY_MS = 3000
_LOOKED_FOR_EVERY_MS = 500
# An algorithm may be deleted before what it asked for has happened on the main thread.
_living: List[LiveIndex] = []


def index_path(output: str) -> Path:
    """Return the index that the engine writes beside a mosaic of sheets."""
    return Path(output).with_name(f"{Path(output).stem}_sheets.gpkg")


def index_source(path: Path) -> str:
    """Return the index as QGIS names a layer in a GeoPackage."""
    return f"{path}|layername={LAYER}"


def load_index(path: Path, context: QgsProcessingContext) -> None:
    """Let QGIS load an index with the other results; it brings its own style."""
    title = tr("Sheets")
    details = QgsProcessingContext.LayerDetails(title, context.project(), title)
    context.addLayerToLoadOnCompletion(index_source(path), details)


class LiveIndex(QObject):
    """Adds an index to the project as soon as the engine has begun it, and redraws it until the run ends.

    Made on the main thread; `begin` and `end` may be called from any.

    Args:
        project: Where the layer goes.

    Attributes:
        shown: Whether the layer is in the project.
    """

    _begun = pyqtSignal(str)
    _ended = pyqtSignal()

    def __init__(self, project: QgsProject) -> None:
        super().__init__()
        self.shown = False
        self._project = project
        self._path: Optional[Path] = None
        self._since = 0.0
        self._layer_id = ""
        self._timer = QTimer(self)
        self._timer.setInterval(_LOOKED_FOR_EVERY_MS)
        self._timer.timeout.connect(self._look)
        self._begun.connect(self._begin)
        self._ended.connect(self._end)

    @classmethod
    def of(cls, context: QgsProcessingContext) -> Optional[LiveIndex]:
        """Return one for the project of a run in QGIS's window; None where there is nobody to look at it."""
        application = QCoreApplication.instance()
        project = context.project()
        on_main = application is not None and QThread.currentThread() == application.thread()
        return cls(project) if on_main and project is not None and project is QgsProject.instance() else None

    def begin(self, path: Path) -> None:
        """Look out for an index that a run is about to begin."""
        _living.append(self)
        self._begun.emit(str(path))

    def end(self) -> None:
        """Draw it a last time, and then leave it alone."""
        self._ended.emit()

    def _begin(self, path: str) -> None:
        self._path, self._since = Path(path), time.time()
        self._timer.start()

    def _look(self) -> None:
        if self._path is None or not self._changed():
            return
        self._timer.stop()
        source = index_source(self._path)
        layers: Dict[str, Any] = self._project.mapLayers()
        known = [layer for layer in layers.values() if layer.source() == source]
        layer = known[0] if known else QgsVectorLayer(source, tr("Sheets"), "ogr")
        if not layer.isValid():
            self._timer.start()
            return
        if not known:
            self._project.addMapLayer(layer)
        self._layer_id = layer.id()
        self.shown = True
        layer.setAutoRefreshInterval(REDRAWN_EVERY_MS)
        layer.setAutoRefreshEnabled(True)

    def _changed(self) -> bool:
        """Whether the engine of this run has written it; an earlier delivery's may lie there."""
        paths = [self._path, Path(f"{self._path}-wal")]
        # Clocks of network folders and of this computer differ a little.
        return any(path.is_file() and path.stat().st_mtime >= self._since - 2 for path in paths if path)

    def _end(self) -> None:
        self._timer.stop()
        # The person may have removed it meanwhile.
        layer = self._project.mapLayer(self._layer_id)
        if layer is not None:
            layer.setAutoRefreshEnabled(False)
            layer.triggerRepaint()
        if self in _living:
            _living.remove(self)

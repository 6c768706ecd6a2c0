"""Second step: what is to be classified, with what, and where the map goes."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from qgis.core import QgsMapLayerProxyModel, QgsProcessing, QgsProcessingOutputLayerDefinition, QgsProject
from qgis.gui import QgsFileWidget, QgsMapLayerComboBox
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QFormLayout, QGroupBox, QLabel, QRadioButton, QVBoxLayout, QWidget

from ..i18n import tr
from .model_choice import ModelChoice
from .tab_order import file_stops


class RunForm(QGroupBox):
    """Image, model, part and output file.

    Args:
        iface: QGIS's interface.
        parent: Widget around it.
    """

    changed = pyqtSignal()

    def __init__(self, iface: Any, parent: Optional[QWidget] = None) -> None:
        super().__init__(tr("2. Image and model"), parent)
        self._canvas = iface.mapCanvas()
        self.image = QgsMapLayerComboBox()
        self.image.setObjectName("image")
        self.image.setFilters(QgsMapLayerProxyModel.Filter.RasterLayer)
        self.image.setAccessibleName(tr("Image"))
        self.model = ModelChoice()
        self.whole = QRadioButton(tr("Whole layer"))
        self.whole.setObjectName("whole")
        self.whole.setChecked(True)
        self.shown = QRadioButton(tr("What the map shows"))
        self.shown.setObjectName("shown")
        self.output = QgsFileWidget()
        self.output.setObjectName("output")
        self.output.setStorageMode(QgsFileWidget.StorageMode.SaveFile)
        self.output.setFilter("GeoTIFF (*.tif)")
        self.output.setDialogTitle(tr("Save the land-cover map"))
        self.output.lineEdit().setPlaceholderText(tr("Temporary file"))
        self.output.lineEdit().setAccessibleName(tr("Save to"))
        self._arrange()
        self.image.layerChanged.connect(lambda _: self._image_changed())
        self.model.changed.connect(self.changed)
        self.shown.toggled.connect(lambda _: self.changed.emit())
        self.output.fileChanged.connect(lambda _: self.changed.emit())
        self._image_changed()

    def stops(self) -> List[QWidget]:
        """Return where the Tab key stops, in order."""
        return [self.image, *self.model.stops(), self.whole, self.shown, *file_stops(self.output)]

    def missing(self) -> str:
        """Return what is still to be chosen; empty when all is there."""
        if self.image.currentLayer() is None:
            return tr("Add an aerial image to the project: Layer > Add Layer > Add Raster Layer.")
        return self.model.missing()

    def parameters(self) -> Dict[str, Any]:
        """Return the parameters of flair:classify."""
        layer = self.image.currentLayer()
        target = self.output.filePath().strip() or QgsProcessing.TEMPORARY_OUTPUT
        output = QgsProcessingOutputLayerDefinition(target, QgsProject.instance())
        output.destinationName = tr("Land cover of {name}").format(name=layer.name() if layer else "")
        values: Dict[str, Any] = {"INPUT": [layer.id()] if layer else [], **self.model.parameters(), "OUTPUT": output}
        if self.shown.isChecked():
            values["EXTENT"] = self._shown_extent()
        return values

    def _shown_extent(self) -> str:
        box = self._canvas.extent()
        crs = self._canvas.mapSettings().destinationCrs()
        name = f" [{crs.authid()}]" if crs.isValid() and crs.authid() else ""
        return f"{box.xMinimum()},{box.xMaximum()},{box.yMinimum()},{box.yMaximum()}{name}"

    def _arrange(self) -> None:
        part = QWidget()
        choices = QVBoxLayout(part)
        choices.setContentsMargins(0, 0, 0, 0)
        choices.addWidget(self.whole)
        choices.addWidget(self.shown)
        layout = QFormLayout(self)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for title, field, buddy in (
            (tr("&Image"), self.image, self.image),
            (tr("Model to &use"), self.model, self.model.names),
            (tr("E&xtent"), part, self.whole),
            (tr("Save &to"), self.output, self.output.lineEdit()),
        ):
            label = QLabel(title)
            label.setBuddy(buddy)
            layout.addRow(label, field)

    def _image_changed(self) -> None:
        layer = self.image.currentLayer()
        if layer is not None:
            self.model.suggest(layer.bandCount())
        self.changed.emit()

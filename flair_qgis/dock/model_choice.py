"""Choice of a model: a name of the catalogue, marked where it lies on this computer, or a file."""

from __future__ import annotations

from pathlib import Path
from typing import AbstractSet, Any, Dict, List, Optional

from qgis.core import QgsApplication, QgsProcessingException
from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QComboBox, QVBoxLayout, QWidget

from ..catalogue import catalogue
from ..i18n import tr
from ..model_file import ModelDescription, read_model_file
from .tab_order import file_stops
from .texts import text_label

NAME_WIDTH = 16  # characters; a longer name is shown in full when the list opens


class ModelChoice(QWidget):
    """Picks a model.

    Args:
        parent: Widget around it.
    """

    changed = pyqtSignal()

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._on_disk: Optional[AbstractSet[str]] = None
        self._chosen_by_hand = False
        self.names = QComboBox()
        self.names.setObjectName("model_name")
        self.names.setAccessibleName(tr("Model"))
        self.names.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.names.setMinimumContentsLength(NAME_WIDTH)
        for name in catalogue():
            self.names.addItem(name, name)
        self.names.addItem(tr("A model file…"), "")
        self.file = QgsFileWidget()
        self.file.setObjectName("model_file")
        self.file.setAccessibleName(tr("Model file"))
        self.file.lineEdit().setAccessibleName(tr("Model file"))
        self.file.setStorageMode(QgsFileWidget.StorageMode.GetFile)
        self.file.setFilter(tr("Model files") + " (*.safetensors *.pth *.ckpt)")
        self._note = text_label("model_note")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.names, self.file, self._note):
            layout.addWidget(widget)
        self.setFocusProxy(self.names)
        self.names.activated.connect(lambda _: self._note_choice())
        self.names.currentIndexChanged.connect(lambda _: self._update())
        self.file.fileChanged.connect(lambda _: self._update())
        self._update()

    @property
    def name(self) -> str:
        """Name in the catalogue; empty when a file is wanted."""
        return str(self.names.currentData() or "")

    def stops(self) -> List[QWidget]:
        """Return where the Tab key stops, in order."""
        return [self.names, *file_stops(self.file)]

    def parameters(self) -> Dict[str, Any]:
        """Return the parameters of flair:classify that the choice stands for."""
        return {"MODEL_NAME": self.name} if self.name else {"MODEL": self.file.filePath()}

    def missing(self) -> str:
        """Return what is still to be chosen; empty when all is there."""
        if self.name:
            return ""
        path = self.file.filePath().strip()
        if not path:
            return tr("Choose a model file.")
        return "" if Path(path).is_file() else tr("There is no model file {path}.").format(path=path)

    def mark(self, on_disk: AbstractSet[str]) -> None:
        """Mark the models of the catalogue that lie on this computer."""
        self._on_disk = on_disk
        here, elsewhere = QgsApplication.getThemeIcon("/mIconSuccess.svg"), QIcon()
        for row in range(self.names.count()):
            name = self.names.itemData(row)
            if name:
                self.names.setItemIcon(row, here if name in on_disk else elsewhere)
                words = _place(catalogue()[name], name in on_disk)
                self.names.setItemData(row, f"{name}, {words}", Qt.ItemDataRole.AccessibleTextRole)
                self.names.setItemData(row, words, Qt.ItemDataRole.ToolTipRole)
        self._update()

    def suggest(self, bands: int) -> None:
        """Choose a model for an image, unless a person has chosen one.

        Args:
            bands: Number of the image's bands.
        """
        if self._chosen_by_hand:
            return
        fitting = [name for name, model in catalogue().items() if len(model.bands) == bands]
        ready = [name for name in fitting if name in (self._on_disk or ())]
        for name in (ready or fitting)[:1]:
            self.names.setCurrentIndex(self.names.findData(name))

    def _note_choice(self) -> None:
        self._chosen_by_hand = True

    def _update(self) -> None:
        self.file.setVisible(not self.name)
        self._note.setText(self._words())
        self._note.setVisible(bool(self._note.text()))
        self.changed.emit()

    def _words(self) -> str:
        model = catalogue().get(self.name) if self.name else self._described()
        if model is None:
            return ""
        lines = [tr("Bands: {bands}").format(bands=", ".join(model.bands))]
        if self.name and self._on_disk is not None:
            lines.append(_place(model, self.name in self._on_disk))
        if model.licence:
            lines.append(tr("Licence: {licence}").format(licence=model.licence))
        return "\n".join(lines)

    def _described(self) -> Optional[ModelDescription]:
        if self.missing():
            return None
        try:
            return read_model_file(Path(self.file.filePath()))
        except QgsProcessingException:
            return None  # told in full when the run is to start


def _place(model: ModelDescription, here: bool) -> str:
    if here:
        return tr("on this computer")
    if model.size_mb:
        return tr("to be downloaded once, {size} MB").format(size=f"{model.size_mb:.0f}")
    return tr("to be downloaded once")

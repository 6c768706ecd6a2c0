"""The chains for the graphical modeler that come with the plugin, as algorithms of the toolbox."""

from __future__ import annotations

from pathlib import Path
from typing import List

from qgis.core import QgsProcessingModelAlgorithm
from qgis.PyQt.QtGui import QIcon

from .documentation import help_page
from .groups import numbered_title
from .i18n import tr
from .i18n import tr as in_language  # of texts that stand in files
from .paths import resources


class ShippedModel(QgsProcessingModelAlgorithm):
    """A model file of the plugin, under a stable name.

    Args:
        path: The file (`.model3`).
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self.fromFile(str(path))
        self.setSourceFilePath(str(path))
        for item in [*self.parameterDefinitions(), *self.outputDefinitions()]:
            item.setDescription(in_language(item.description()))
        for item in self.parameterDefinitions():
            item.setHelp(in_language(item.help()))
        self.setHelpContent({part: in_language(text) for part, text in self.helpContent().items()})

    def createInstance(self) -> ShippedModel:
        return ShippedModel(self._path)

    def name(self) -> str:
        return self._path.stem.replace("_", "")

    def displayName(self) -> str:
        # spelled out, so that the translations can be checked
        titles = {
            "classify_and_count": tr("Classify, polygonise and count"),
            "compare_two_years": tr("Compare two years"),
            "prepare_and_classify": tr("Prepare and classify"),
            "train_on_my_area": tr("Train on my area"),
        }
        return titles.get(self._path.stem, super().displayName())

    def icon(self) -> QIcon:
        return QIcon(self.svgIconPath())

    def svgIconPath(self) -> str:
        return str(resources() / "icons" / "chain.svg")

    def helpUrl(self) -> str:
        return help_page(self.name())

    def group(self) -> str:
        return numbered_title(self.groupId())

    def groupId(self) -> str:
        return "chains"

    def tags(self) -> List[str]:
        return tr("chain,workflow,model,land cover,flair").split(",")


def shipped_models() -> List[ShippedModel]:
    """Return all of them, in the order of their files; their steps have to be in Processing's registry by then."""
    return [ShippedModel(path) for path in sorted((resources() / "models3").glob("*.model3"))]

"""The menu Raster > FLAIR land cover: all algorithms in the order of work, first steps and documentation."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Tuple

from qgis.core import QgsProcessingAlgorithm
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAction

from .groups import ORDER, group_title
from .i18n import tr
from .paths import resources
from .provider import FlairProvider


def grouped(provider: FlairProvider) -> List[Tuple[str, List[QgsProcessingAlgorithm]]]:
    """Return the provider's algorithms by title of their group, both in the order of work."""
    groups: Dict[str, List[QgsProcessingAlgorithm]] = {name: [] for name in ORDER}
    for name in provider.order:
        algorithm = provider.algorithm(name)
        if algorithm is not None:
            groups.setdefault(algorithm.groupId(), []).append(algorithm)
    return [(group_title(name), items) for name, items in groups.items() if items]


class RasterMenu:
    """Entries of the plugin in the menu Raster.

    Args:
        iface: QGIS's interface.
        start: Called with the identifier of the algorithm that was chosen.
    """

    def __init__(self, iface: Any, start: Callable[[str], None]) -> None:
        self._iface = iface
        self._start = start
        self._actions: List[QAction] = []

    def fill(self, provider: FlairProvider, first_steps: Callable[[], None], read_on: Callable[[], None]) -> None:
        """Add all entries.

        Args:
            provider: Whose algorithms are listed.
            first_steps: Called when a person asks for the panel for a first use.
            read_on: Called when a person asks for the documentation.
        """
        self._add_entry("firststeps", tr("First steps…"), first_steps)
        for title, algorithms in grouped(provider):
            self._add_heading(title)
            for algorithm in algorithms:
                self._add_algorithm(algorithm)
        self._add_heading("")
        self._add_entry("documentation", tr("Documentation"), read_on)

    def remove(self) -> None:
        """Take all entries out again, and with the last one the menu itself."""
        for action in self._actions:
            self._iface.removePluginRasterMenu(tr("FLAIR land cover"), action)
            action.deleteLater()
        self._actions = []

    def _add_algorithm(self, algorithm: QgsProcessingAlgorithm) -> None:
        identifier = algorithm.id()
        action = QAction(algorithm.icon(), algorithm.displayName() + "…", self._iface.mainWindow())
        action.setObjectName(f"flair_{algorithm.name()}")
        action.setToolTip(algorithm.shortDescription())
        action.triggered.connect(lambda _=False: self._start(identifier))
        self._add(action)

    def _add_entry(self, name: str, title: str, chosen: Callable[[], None]) -> None:
        action = QAction(QIcon(str(resources() / "icons" / f"{name}.svg")), title, self._iface.mainWindow())
        action.setObjectName(f"flair_{name}")
        action.triggered.connect(lambda _=False: chosen())
        self._add(action)

    def _add_heading(self, title: str) -> None:
        # styles that show no headings draw a line
        action = QAction(title, self._iface.mainWindow())
        action.setSeparator(True)
        self._add(action)

    def _add(self, action: QAction) -> None:
        self._iface.addPluginToRasterMenu(tr("FLAIR land cover"), action)
        self._actions.append(action)

"""The order in which the Tab key goes through the panel."""

from __future__ import annotations

from typing import List, Sequence

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtWidgets import QToolButton, QWidget


def set_tab_order(stops: Sequence[QWidget]) -> None:
    """Let the Tab key go through widgets in the given order."""
    for number in range(1, len(stops)):
        QWidget.setTabOrder(stops[number - 1], stops[number])


def file_stops(widget: QgsFileWidget) -> List[QWidget]:
    """Return the stops inside a choice of a file: its text and its button, which Qt does not order by itself."""
    buttons = [button for button in widget.findChildren(QToolButton) if button.parent() is widget]
    return [widget.lineEdit(), *buttons]

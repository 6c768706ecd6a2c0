"""Running text: in labels, and in a window to read and copy it."""

from __future__ import annotations

from typing import Any

from qgis.gui import QgsMessageViewer
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QLabel


def text_label(name: str) -> QLabel:
    """Return an empty label for running text that can be selected, also with the keyboard."""
    label = QLabel()
    label.setObjectName(name)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(
        Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
    )
    # only what can be acted on is a stop of the Tab key
    label.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
    return label


def show_text(iface: Any, title: str, text: str) -> QgsMessageViewer:
    """Show a text to read and copy in a window of its own."""
    viewer = QgsMessageViewer(iface.mainWindow())
    viewer.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    viewer.setTitle(title)
    viewer.setMessageAsPlainText(text)
    viewer.resize(720, 480)
    viewer.show()
    return viewer

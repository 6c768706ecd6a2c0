"""Opens the dialogs of algorithms beside the window, as the toolbox does."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from qgis.core import QgsApplication
from qgis.gui import QgsMapTool
from qgis.PyQt.QtWidgets import QDialog

_OPEN: List[QDialog] = []


def open_dialog(iface: Any, algorithm: str, parameters: Optional[Dict[str, Any]] = None) -> Optional[QDialog]:
    """Open the dialog of an algorithm and return at once.

    Args:
        iface: QGIS's interface.
        algorithm: Identifier, such as `flair:classify`.
        parameters: Values that the dialog begins with.

    Returns:
        The dialog, which deletes itself when it is closed and nothing runs; None where there is no such algorithm.
    """
    import processing

    if QgsApplication.processingRegistry().algorithmById(algorithm) is None:
        return None
    dialog = processing.createAlgorithmDialog(algorithm, parameters or {})
    if dialog is None:
        return None
    canvas = iface.mapCanvas()
    before = canvas.mapTool()
    # not `finished`, which is a method of these dialogs
    dialog.rejected.connect(lambda: _give_back(canvas, before))
    # a dialog whose Python half is lost runs nothing
    _OPEN.append(dialog)
    dialog.destroyed.connect(lambda: _forget(dialog))
    dialog.show()
    return dialog


def _forget(dialog: QDialog) -> None:
    if dialog in _OPEN:
        _OPEN.remove(dialog)


def _give_back(canvas: Any, tool: Optional[QgsMapTool]) -> None:
    # an extent that was drawn on the map leaves its tool behind
    if tool is not None and canvas.mapTool() is not tool:
        canvas.setMapTool(tool)

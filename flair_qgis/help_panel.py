"""The help beside the parameters in an algorithm's dialog."""

from __future__ import annotations

from functools import cache
from html import escape
from pathlib import Path
from typing import List

from qgis.core import QgsProcessingAlgorithm, QgsProcessingParameterDefinition
from qgis.PyQt.QtCore import QBuffer, QByteArray, QIODevice, Qt
from qgis.PyQt.QtGui import QImage

from .i18n import tr
from .paths import plugin_root

PICTURES = ("docs", "images", "algorithms")
"""Folder of the pictures, which are part of the zip as well."""
# Pixels that the panel offers in a dialog as it opens, beside a scroll bar.
WIDTH = 215


def help_panel(algorithm: QgsProcessingAlgorithm, text: str) -> str:
    """Return the help as QGIS shows it: what an algorithm does, with a picture and an example, inputs, outputs.

    Args:
        algorithm: The algorithm.
        text: What it does, and an example, as paragraphs of HTML.
    """
    advanced = QgsProcessingParameterDefinition.Flag.FlagAdvanced
    inputs = [item for item in algorithm.parameterDefinitions() if not item.isDestination()]
    usual = [_described(item.description(), item.help()) for item in inputs if not item.flags() & advanced]
    folded = [_described(item.description(), item.help()) for item in inputs if item.flags() & advanced]
    first, end, rest = text.partition("</p>")
    parts = [first, end, picture(algorithm.name()), rest]
    parts += _section(tr("Inputs"), usual) + _section(tr("Advanced parameters"), folded)
    parts += _section(tr("Outputs"), [_described(item.description(), "") for item in algorithm.outputDefinitions()])
    return "".join(parts)


def picture(name: str) -> str:
    """Return the picture of an algorithm as HTML, an empty text where there is none.

    Args:
        name: Name of the algorithm without the provider's.
    """
    return _narrow(plugin_root().joinpath(*PICTURES, f"{name}.png"))


@cache
def _narrow(path: Path) -> str:
    """Return a picture as wide as the panel, which itself would leave out pixels, and letters with them."""
    image = QImage(str(path))
    if image.isNull():
        return ""
    narrow = image.scaledToWidth(WIDTH, Qt.TransformationMode.SmoothTransformation)
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    narrow.save(buffer, "PNG")
    return f'<p><img src="data:image/png;base64,{bytes(data.toBase64()).decode()}"></p>'


def _section(title: str, lines: List[str]) -> List[str]:
    return [f"<h3>{escape(title)}</h3>", *lines] if lines else []


def _described(title: str, text: str) -> str:
    return f"<p><b>{escape(title)}</b>{f'<br>{escape(text)}' if text else ''}</p>"

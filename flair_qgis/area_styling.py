"""Polygons in the colour of the class that covers most of them."""

from __future__ import annotations

from collections import deque
from typing import Any, ClassVar, Deque, Mapping, Sequence

from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsFillSymbol,
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsRendererCategory,
    QgsVectorLayer,
)

from .class_names import shown_name

FIELD = "largest_code"


def largest_class_renderer(classes: Sequence[Mapping[str, Any]]) -> QgsCategorizedSymbolRenderer:
    """Return a renderer with the given classes.

    Args:
        classes: Each with `code`, `name` and `color` (`#rrggbb`).
    """
    categories = [
        QgsRendererCategory(
            int(item["code"]),
            QgsFillSymbol.createSimple(
                {"color": str(item["color"]), "outline_color": "#404040", "outline_width": "0.2"}
            ),
            shown_name(str(item["name"])),
        )
        for item in classes
    ]
    return QgsCategorizedSymbolRenderer(FIELD, categories)


class AreaStylePostProcessor(QgsProcessingLayerPostProcessorInterface):
    """Colours polygons of areas once QGIS has loaded them; one instance a layer.

    QGIS keeps a pointer only, so Python has to keep the object; see `StylePostProcessor`.
    """

    _alive: ClassVar[Deque[AreaStylePostProcessor]] = deque(maxlen=256)

    def __init__(self) -> None:
        super().__init__()
        self.classes: Sequence[Mapping[str, Any]] = ()
        AreaStylePostProcessor._alive.append(self)

    def postProcessLayer(
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        if isinstance(layer, QgsVectorLayer) and layer.fields().indexOf(FIELD) >= 0:
            layer.setRenderer(largest_class_renderer(self.classes))
            layer.setOpacity(0.8)
            layer.triggerRepaint()

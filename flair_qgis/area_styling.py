"""Polygons in the colour of the class that covers most of them."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsVectorLayer,
)

from .polygon_styling import class_renderer
from .styling import LayerPostProcessor

FIELD = "largest_code"


def largest_class_renderer(classes: Sequence[Mapping[str, Any]]) -> QgsCategorizedSymbolRenderer:
    """Return a renderer with the given classes; see `class_renderer`."""
    return class_renderer(classes, FIELD, "#404040", 0.2)


class AreaStylePostProcessor(LayerPostProcessor):
    """Colours polygons of areas once QGIS has loaded them."""

    def postProcessLayer(
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        if isinstance(layer, QgsVectorLayer) and layer.fields().indexOf(FIELD) >= 0:
            layer.setRenderer(largest_class_renderer(self.classes))
            layer.setOpacity(0.8)
            layer.triggerRepaint()

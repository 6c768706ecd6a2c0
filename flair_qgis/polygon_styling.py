"""Class polygons in the colours of their classes."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Sequence

from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsFillSymbol,
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsRendererCategory,
    QgsVectorLayer,
)

from .class_names import shown_name
from .styling import LayerPostProcessor

FIELD = "code"


def class_renderer(
    classes: Sequence[Mapping[str, Any]], field: str = FIELD, outline: Optional[str] = None, width: float = 0.1
) -> QgsCategorizedSymbolRenderer:
    """Return a renderer with the given classes.

    Args:
        classes: Each with `code`, `name` and `color` (`#rrggbb`).
        field: Field that holds the code.
        outline: Colour of outlines; default: that of their polygon.
        width: Width of outlines in millimetres.
    """
    categories: List[QgsRendererCategory] = []
    for item in classes:
        color = str(item["color"])
        look = {"color": color, "outline_color": outline or color, "outline_width": str(width)}
        categories.append(
            QgsRendererCategory(int(item["code"]), QgsFillSymbol.createSimple(look), shown_name(str(item["name"])))
        )
    return QgsCategorizedSymbolRenderer(field, categories)


class PolygonStylePostProcessor(LayerPostProcessor):
    """Colours class polygons once QGIS has loaded them."""

    def postProcessLayer(
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        if not isinstance(layer, QgsVectorLayer) or layer.fields().indexOf(FIELD) < 0:
            return
        # a file that was replaced while QGIS showed it
        layer.reload()
        done = False
        if self.style is not None and self.style.is_file():
            _, done = layer.loadNamedStyle(str(self.style))
            _translate(layer)
        if not done:
            layer.setRenderer(class_renderer(self.classes))
        layer.triggerRepaint()
        layer.emitStyleChanged()


def _translate(layer: QgsVectorLayer) -> None:
    # the engine writes styles in English
    renderer = layer.renderer()
    if isinstance(renderer, QgsCategorizedSymbolRenderer):
        for number, category in enumerate(renderer.categories()):
            renderer.updateCategoryLabel(number, shown_name(category.label()))

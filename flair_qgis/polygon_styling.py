"""Class polygons in the colours of their classes."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any, ClassVar, Deque, Mapping, Optional, Sequence

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

FIELD = "code"


def class_renderer(classes: Sequence[Mapping[str, Any]]) -> QgsCategorizedSymbolRenderer:
    """Return a renderer with the given classes; outlines have the colour of their polygon.

    Args:
        classes: Each with `code`, `name` and `color` (`#rrggbb`).
    """
    categories = [
        QgsRendererCategory(
            int(item["code"]),
            QgsFillSymbol.createSimple(
                {"color": str(item["color"]), "outline_color": str(item["color"]), "outline_width": "0.1"}
            ),
            shown_name(str(item["name"])),
        )
        for item in classes
    ]
    return QgsCategorizedSymbolRenderer(FIELD, categories)


class PolygonStylePostProcessor(QgsProcessingLayerPostProcessorInterface):
    """Colours class polygons once QGIS has loaded them; one instance a layer.

    QGIS keeps a pointer only, so Python has to keep the object; see `StylePostProcessor`.
    """

    _alive: ClassVar[Deque[PolygonStylePostProcessor]] = deque(maxlen=256)

    def __init__(self) -> None:
        super().__init__()
        self.style: Optional[Path] = None
        self.classes: Sequence[Mapping[str, Any]] = ()
        PolygonStylePostProcessor._alive.append(self)

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

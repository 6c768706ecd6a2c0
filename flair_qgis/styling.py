"""How outputs are drawn: legends from the engine's style file or a list of classes, and images in their colours."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any, ClassVar, Deque, Iterable, Mapping, Optional, Sequence

from qgis.core import (
    QgsMapLayer,
    QgsMultiBandColorRenderer,
    QgsPalettedRasterRenderer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsRasterDataProvider,
    QgsRasterLayer,
)
from qgis.PyQt.QtGui import QColor

from .class_names import shown_name
from .i18n import tr


def paletted_renderer(
    provider: QgsRasterDataProvider, classes: Iterable[Mapping[str, Any]], band: int = 1
) -> QgsPalettedRasterRenderer:
    """Return a renderer with exactly the given classes.

    Args:
        provider: Data of the layer to be drawn.
        classes: Each with `code` (pixel value), `name` and `color` (`#rrggbb`).
        band: Number of the band that holds the codes.
    """
    entries = [
        QgsPalettedRasterRenderer.Class(int(item["code"]), QColor(str(item["color"])), shown_name(str(item["name"])))
        for item in classes
    ]
    return QgsPalettedRasterRenderer(provider, band, entries)


def apply_style(layer: QgsMapLayer, style: Optional[Path], classes: Sequence[Mapping[str, Any]] = ()) -> bool:
    """Give a raster layer its legend.

    Args:
        layer: Layer to be drawn.
        style: Style file of QGIS (`.qml`), or None.
        classes: Classes to use when there is no usable style file.

    Returns:
        Whether the layer was given a legend.
    """
    if not isinstance(layer, QgsRasterLayer) or not layer.isValid():
        return False
    done = False
    if style is not None and style.is_file():
        _, done = layer.loadNamedStyle(str(style))
        _translate(layer)
    if not done and classes:
        layer.setRenderer(paletted_renderer(layer.dataProvider(), classes))
        done = True
    if done:
        layer.triggerRepaint()
        layer.emitStyleChanged()
    return done


def _translate(layer: QgsRasterLayer) -> None:
    # the engine writes styles in English
    renderer = layer.renderer()
    if not isinstance(renderer, QgsPalettedRasterRenderer):
        return
    old = renderer.classes()
    new = [QgsPalettedRasterRenderer.Class(item.value, item.color, shown_name(item.label)) for item in old]
    if [item.label for item in new] != [item.label for item in old]:
        (band,) = renderer.usesBands()
        layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), band, new))


def show_colours(layer: QgsMapLayer) -> bool:
    """Draw an image of 8 bits in red, green and blue, as they stand in the file.

    QGIS itself may stretch the values, or take a fourth band for transparency.

    Args:
        layer: Layer whose first three bands are red, green and blue.

    Returns:
        Whether it is drawn so.
    """
    if not isinstance(layer, QgsRasterLayer) or not layer.isValid() or layer.bandCount() < 3:
        return False
    layer.setRenderer(QgsMultiBandColorRenderer(layer.dataProvider(), 1, 2, 3))
    layer.triggerRepaint()
    layer.emitStyleChanged()
    return True


class LayerPostProcessor(QgsProcessingLayerPostProcessorInterface):
    """One instance a layer.

    QGIS keeps a pointer only, so Python has to keep the object: the last ones stay alive here, which outlives the
    algorithm whatever QGIS does with that.
    """

    _alive: ClassVar[Deque[LayerPostProcessor]] = deque(maxlen=256)

    def __init__(self) -> None:
        super().__init__()
        LayerPostProcessor._alive.append(self)
        self.style: Optional[Path] = None
        self.classes: Sequence[Mapping[str, Any]] = ()

    def attach(self, context: QgsProcessingContext, path: str, result: Mapping[str, Any]) -> None:
        """Let QGIS call it for an output that it will load.

        Args:
            context: Where QGIS was told of the output.
            path: The output.
            result: Values of the engine's result: of a `style` beside another file than the output, and `classes`.
        """
        if not context.willLoadLayerOnCompletion(path):
            return
        self.style = Path(result["style"]) if result.get("style") else Path(path).with_suffix(".qml")
        self.classes = result.get("classes") or ()
        context.layerToLoadOnCompletionDetails(path).setPostProcessor(self)


class StylePostProcessor(LayerPostProcessor):
    """Styles an output once QGIS has loaded it."""

    def postProcessLayer(
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        # a file that was replaced while QGIS showed it
        layer.reload()
        if not apply_style(layer, self.style, self.classes):
            feedback.pushWarning(tr("The legend could not be loaded; the file itself carries the colours."))


class PicturePostProcessor(LayerPostProcessor):
    """Draws an image in its colours once QGIS has loaded it."""

    def postProcessLayer(
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        show_colours(layer)

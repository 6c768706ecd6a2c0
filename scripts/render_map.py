# ruff: noqa: E402 - the profile has to be chosen before QGIS is imported
"""Draw a map with QGIS: an image beside its land cover, with legend, scale bar and title.

Runs in a Python that has PyQGIS: /usr/bin/python3 scripts/render_map.py IMAGE LANDCOVER OUTPUT.png
"""

from __future__ import annotations

import argparse
import atexit
import os
import shutil
import sys
import tempfile
from typing import Any

# before QGIS is imported: no window, and no trace of or in the user's profile
PROFILE = tempfile.mkdtemp(prefix="flair_map_")
atexit.register(shutil.rmtree, PROFILE, ignore_errors=True)
os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ["QGIS_CUSTOM_CONFIG_PATH"] = PROFILE
os.environ.setdefault("XDG_RUNTIME_DIR", PROFILE)

import numpy as np
from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsBilinearRasterResampler,
    QgsContrastEnhancement,
    QgsLayoutExporter,
    QgsLayoutItemLabel,
    QgsLayoutItemLegend,
    QgsLayoutItemMap,
    QgsLayoutItemScaleBar,
    QgsLayoutPoint,
    QgsLayoutSize,
    QgsLegendStyle,
    QgsMapLayerLegendUtils,
    QgsMultiBandColorRenderer,
    QgsPalettedRasterRenderer,
    QgsPrintLayout,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsUnitTypes,
)
from qgis.PyQt.QtGui import QFont

gdal.UseExceptions()

MAP, LEGEND, EDGE, GAP, HEAD, FOOT = 118.0, 54.0, 8.0, 5.0, 16.0, 14.0
"""Lengths on the page in millimetres."""
DPI = 200


def main() -> int:
    """Draw the map and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image")
    parser.add_argument("landcover")
    parser.add_argument("output")
    parser.add_argument("--title", default="Land cover")
    options = parser.parse_args()
    application = QgsApplication([], True)
    application.initQgis()
    try:
        image, landcover = open_image(options.image), open_landcover(options.landcover)
        layout = compose(image, landcover, options.title)
        settings = QgsLayoutExporter.ImageExportSettings()
        settings.dpi = DPI
        if QgsLayoutExporter(layout).exportToImage(options.output, settings) != QgsLayoutExporter.Success:
            print(f"The map could not be written to {options.output}.", file=sys.stderr)
            return 1
        QgsProject.instance().clear()
    except MapError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    finally:
        application.exitQgis()
    return 0


class MapError(Exception):
    """A layer cannot be shown."""


def open_layer(path: str, name: str) -> Any:
    """Return a raster layer that is part of the project."""
    layer = QgsRasterLayer(path, name)
    if not layer.isValid():
        raise MapError(f"QGIS cannot open {path}.")
    QgsProject.instance().addMapLayer(layer)
    return layer


def open_image(path: str) -> Any:
    """Return the image in true colour, sharp when shrunk."""
    layer = open_layer(path, "Image")
    if layer.bandCount() >= 3:
        layer.setRenderer(QgsMultiBandColorRenderer(layer.dataProvider(), 1, 2, 3))
        if layer.dataProvider().dataType(1) != 1:  # more than 8 bits
            layer.setContrastEnhancement(QgsContrastEnhancement.StretchToMinimumMaximum)
    layer.resampleFilter().setZoomedOutResampler(QgsBilinearRasterResampler())
    layer.resampleFilter().setMaxOversampling(4.0)
    return layer


def open_landcover(path: str) -> Any:
    """Return the class raster in the style that lies beside it, with the classes that occur in it."""
    layer = open_layer(path, "Land cover")
    renderer = layer.renderer()
    if not isinstance(renderer, QgsPalettedRasterRenderer):
        raise MapError(f"{path} has no style: its .qml is missing.")
    present = codes_in(path)
    classes = [item for item in renderer.classes() if int(item.value) in present]
    for item in classes:
        item.label = item.label[:1].upper() + item.label[1:]
    layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, classes))
    return layer


def codes_in(path: str) -> list[int]:
    """Return the class codes that occur, read line block by line block."""
    dataset = gdal.Open(path)
    band = dataset.GetRasterBand(1)
    counts = np.zeros(256, dtype=np.int64)
    for row in range(0, dataset.RasterYSize, 1024):
        rows = min(1024, dataset.RasterYSize - row)
        counts += np.bincount(band.ReadAsArray(0, row, dataset.RasterXSize, rows).ravel(), minlength=256)
    return [code for code in range(1, 255) if counts[code]]


def compose(image: Any, landcover: Any, title: str) -> Any:
    """Return the page: both maps over the land cover's extent, beside or below each other, legend at the right."""
    extent = landcover.extent()
    ratio = min(max(extent.height() / extent.width(), 0.2), 1.4)
    stacked = ratio < 0.62
    width = 1.6 * MAP if stacked else MAP
    height = width * ratio
    right, down = (0.0, height + HEAD / 2) if stacked else (width + GAP, 0.0)
    rows = len(landcover.renderer().classes())
    page_width = 2 * EDGE + right + width + GAP + LEGEND
    page_height = EDGE + HEAD + max(down + height, 12.0 + 6.2 * rows) + FOOT + EDGE / 2
    QgsProject.instance().setCrs(landcover.crs())
    layout = QgsPrintLayout(QgsProject.instance())
    layout.initializeDefaults()
    layout.pageCollection().page(0).setPageSize(QgsLayoutSize(page_width, page_height))
    add_text(layout, title, EDGE, EDGE - 2, page_width - 2 * EDGE, 17, bold=True)
    top = EDGE + HEAD
    places = ((image, "Aerial image", EDGE, top), (landcover, "Land cover", EDGE + right, top + down))
    for layer, text, left, upper in places:
        add_text(layout, text, left, upper - 6.5, width, 10)
        shown = add_map(layout, layer, landcover.extent(), left, upper, width, height)
    add_legend(layout, landcover, EDGE + right + width + GAP, top - 2)
    add_scale_bar(layout, shown, EDGE, top + down + height + 2)
    layout.refresh()
    return layout


def add_map(layout: Any, layer: Any, extent: Any, left: float, top: float, width: float, height: float) -> Any:
    """Add a framed map of one layer that shows the whole extent."""
    item = QgsLayoutItemMap(layout)
    item.setFrameEnabled(True)
    item.setCrs(QgsProject.instance().crs())
    item.setLayers([layer])
    layout.addLayoutItem(item)
    item.attemptMove(QgsLayoutPoint(left, top))
    item.attemptResize(QgsLayoutSize(width, height))
    item.setExtent(filled(extent, height / width))
    return item


def filled(extent: Any, ratio: float) -> Any:
    """Return the extent made wider or higher, so that it has so much height for its width."""
    width, height = max(extent.width(), extent.height() / ratio), max(extent.height(), extent.width() * ratio)
    middle = extent.center()
    return QgsRectangle(
        middle.x() - width / 2, middle.y() - height / 2, middle.x() + width / 2, middle.y() + height / 2
    )


def add_text(layout: Any, text: str, left: float, top: float, width: float, size: int, bold: bool = False) -> None:
    """Add one line of text; size in points."""
    item = QgsLayoutItemLabel(layout)
    item.setText(text)
    item.setFont(font(size, bold))
    layout.addLayoutItem(item)
    item.attemptMove(QgsLayoutPoint(left, top))
    item.attemptResize(QgsLayoutSize(width, 0.55 * size))


def add_legend(layout: Any, landcover: Any, left: float, top: float) -> None:
    """Add the classes with their colours."""
    legend = QgsLayoutItemLegend(layout)
    legend.setAutoUpdateModel(False)
    root = legend.model().rootGroup()
    root.clear()
    node = root.addLayer(landcover)
    node.setCustomProperty("legend/title-label", "Classes")
    for style, size, bold in ((QgsLegendStyle.Subgroup, 11, True), (QgsLegendStyle.SymbolLabel, 9, False)):
        legend.setStyleFont(style, font(size, bold))
    # the first row is the band's name, which tells nobody anything
    nodes = legend.model().layerLegendNodes(node)
    first = 1 if len(nodes) > len(landcover.renderer().classes()) else 0
    QgsMapLayerLegendUtils.setLegendNodeOrder(node, list(range(first, len(nodes))))
    legend.model().refreshLayerLegend(node)
    layout.addLayoutItem(legend)
    legend.attemptMove(QgsLayoutPoint(left, top))
    legend.adjustBoxSize()


def add_scale_bar(layout: Any, shown: Any, left: float, top: float) -> None:
    """Add a scale bar that suits the map."""
    bar = QgsLayoutItemScaleBar(layout)
    bar.setStyle("Single Box")
    bar.setLinkedMap(shown)
    bar.setHeight(1.8)
    text = bar.textFormat()
    text.setFont(font(8))
    text.setSize(8)
    bar.setTextFormat(text)
    bar.applyDefaultSize(QgsUnitTypes.DistanceMeters)
    layout.addLayoutItem(bar)
    bar.attemptMove(QgsLayoutPoint(left, top))


def font(size: int, bold: bool = False) -> QFont:
    """Return the page's typeface."""
    chosen = QFont("DejaVu Sans", size)
    chosen.setBold(bold)
    return chosen


if __name__ == "__main__":
    sys.exit(main())

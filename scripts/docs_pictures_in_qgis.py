"""Runs in a QGIS with a window, started by `docs_pictures`: opens what the documentation shows, takes its picture."""

import json
import os
import sys
from pathlib import Path

import processing
from qgis.core import QgsProject
from qgis.PyQt.QtCore import Qt, QUrl
from qgis.PyQt.QtWidgets import QDockWidget, QGraphicsView, QLineEdit, QTreeView
from qgis.utils import iface, plugins

try:
    from qgis.PyQt.QtWebKitWidgets import QWebView
except ImportError:
    QWebView = None

sys.path.insert(0, json.loads(os.environ["FLAIR_WINDOW_RUN"])["inside"])

from window_driver import RUN, Press, arrange_window, pause, picture, report, start, wait_until

MADE = Path(RUN["made"])
SIZE = (1120, 720)


def dialog_picture(algorithm, values, name, height):
    """Open an algorithm's dialog and take its picture."""
    dialog = processing.createAlgorithmDialog(algorithm, values)
    dialog.show()
    # it comes up in the size that it had last
    dialog.resize(820, height)
    pause(0.8)
    picture(dialog, name)
    return dialog


def map_picture(name, extent):
    """Show a part of the map and take the window's picture."""
    for dock in iface.mainWindow().findChildren(QDockWidget):
        dock.setVisible(dock.objectName() == "Layers")
    iface.mapCanvas().setExtent(extent)
    iface.mapCanvas().refresh()
    wait_until(lambda: not iface.mapCanvas().isDrawing(), 40)
    pause(0.8)
    picture(iface.mainWindow(), name)


def show_only(*layers):
    """Tick layers, unfold the first, and hide all others."""
    root = QgsProject.instance().layerTreeRoot()
    for node in root.findLayers():
        node.setItemVisibilityChecked(node.layer() in layers)
        node.setExpanded(node.layer() is layers[0])


def toolbox():
    """Take the picture of the toolbox, unfolded at our algorithms."""
    dock = iface.mainWindow().findChild(QDockWidget, "ProcessingToolbox")
    dock.setVisible(True)
    dock.setFloating(True)
    dock.resize(420, 680)
    dock.findChild(QLineEdit, "searchBox").setText("")
    tree = next(view for view in dock.findChildren(QTreeView) if view.isVisible())
    model = tree.model()
    tree.collapseAll()
    for row in range(model.rowCount()):
        index = model.index(row, 0)
        if index.data() == "FLAIR land cover":
            tree.expandRecursively(index)
            tree.scrollTo(index, QTreeView.ScrollHint.PositionAtTop)
            tree.setCurrentIndex(index)
    pause(0.5)
    picture(dock, "toolbox")
    dock.setVisible(False)


def first_steps():
    """Show the panel for a first use, once it has found the engine."""
    plugin = plugins["flair_land_cover"]
    plugin.show_first_steps()
    dock = iface.mainWindow().findChild(QDockWidget, "FlairFirstSteps")
    dock.setFloating(True)
    dock.resize(440, 640)
    wait_until(lambda: dock.engine.state is not None and not dock.engine.checking)
    pause(0.8)
    picture(dock, "first-steps")
    dock.setVisible(False)


def classify(image):
    """Classify the eastern half by the dialog's button, and return the map's layer."""
    output = str(MADE / "landcover.tif")
    east = image.extent()
    east.setXMinimum(east.center().x())
    values = {"INPUT": [RUN["image"]], "MODEL": RUN["model"], "EXTENT": east, "OUTPUT": output}
    dialog = dialog_picture("flair:classify", values, "classify", 720)
    report["classified"] = Press(dialog).wait()
    dialog.close()
    layer = next(item for item in QgsProject.instance().mapLayers().values() if item.source() == output)
    show_only(layer, image)
    map_picture("map", image.extent())
    return layer


def evaluate(prediction, truth):
    """Hold the map against what is true, and show its errors."""
    folder = str(MADE / "evaluation")
    values = {"PREDICTION": prediction.id(), "TRUTH_RASTER": truth.id(), "OUTPUT": folder}
    dialog = dialog_picture("flair:evaluate", values, "evaluate", 720)
    report["evaluated"] = Press(dialog).wait()
    dialog.close()
    layer = next(item for item in QgsProject.instance().mapLayers().values() if item.source().endswith("errors.tif"))
    show_only(layer)
    map_picture("errors", layer.extent())


def results():
    """Show the viewer of results, and where this QGIS has a web view, the report in it."""
    dock = plugins["processing"].resultsDock
    dock.setVisible(True)
    dock.setFloating(True)
    dock.resize(560, 360)
    dock.treeResults.setCurrentItem(dock.treeResults.topLevelItem(0))
    pause(0.5)
    picture(dock, "results")
    dock.setVisible(False)
    if QWebView is None:
        return
    view = QWebView()
    loaded = []
    view.loadFinished.connect(loaded.append)
    view.resize(1000, 900)
    view.load(QUrl.fromLocalFile(str(MADE / "evaluation" / "report.html")))
    view.show()
    wait_until(lambda: loaded)
    pause(0.5)
    picture(view, "report-in-qgis")
    view.close()


def polygons(landcover):
    """Make polygons of the map, and show some of them."""
    values = {"INPUT": landcover.id(), "MINIMUM_AREA": 25, "OUTPUT": str(MADE / "polygons.gpkg")}
    dialog = processing.createAlgorithmDialog("flair:polygonise", values)
    dialog.show()
    report["polygons"] = Press(dialog).wait()
    dialog.close()
    layer = next(item for item in QgsProject.instance().mapLayers().values() if "polygons.gpkg" in item.source())
    show_only(layer)
    extent = layer.extent()
    extent.scale(0.4)
    map_picture("polygons", extent)


def designer():
    """Show the chain that trains on one's own area in the model designer."""
    from processing.modeler.ModelerDialog import ModelerDialog

    window = ModelerDialog.create()
    window.resize(*SIZE)
    window.show()
    window.loadModel(str(Path(RUN["chain"]) / "train_on_my_area.model3"))
    for dock in window.findChildren(QDockWidget):
        dock.setVisible(False)
    pause(0.5)
    view = window.findChild(QGraphicsView)
    view.fitInView(view.scene().itemsBoundingRect(), Qt.AspectRatioMode.KeepAspectRatio)
    pause(0.5)
    picture(window, "modeler")
    window.setDirty(False)
    window.close()


def main():
    """Go through all that the documentation shows."""
    MADE.mkdir(parents=True, exist_ok=True)
    # the panel shows where it lies
    os.environ["FLAIR_ENGINE_PYTHON"] = RUN["python"]
    image = iface.addRasterLayer(RUN["image"], "Aerial image")
    labels = iface.addVectorLayer(RUN["polygons"], "Labels", "ogr")
    arrange_window()
    iface.mainWindow().resize(*SIZE)
    toolbox()
    first_steps()
    dialog_picture("flair:setupengine", {}, "setup", 420).close()
    dialog_picture(
        "flair:extractpatches", {"IMAGE": [RUN["image"]], "LABELS": labels.id(), "PATCH_SIZE": 256}, "extract", 720
    ).close()
    dialog_picture("flair:train", {"DATA": RUN["patches"], "PRESET": "quick"}, "train", 720).close()
    QgsProject.instance().removeMapLayer(labels.id())
    landcover = classify(image)
    truth = iface.addRasterLayer(RUN["truth"], "Truth")
    evaluate(landcover, truth)
    if RUN["more"]:
        results()
    QgsProject.instance().removeMapLayer(truth.id())
    polygons(landcover)
    show_only(image)
    designer()


start(main)

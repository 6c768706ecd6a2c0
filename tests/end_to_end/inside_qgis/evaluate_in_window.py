"""Runs in a QGIS with a window: opens the dialog of flair:evaluate, presses Run, looks at map, legend and results.

`qgis --code evaluate_in_window.py`, with the settings as JSON in the variable FLAIR_WINDOW_RUN:

- folder: where `window_driver` lies;
- images: files that lie under the map; prediction, truth: rasters; output: folder of results;
- runs: more parameters of each run, one after another;
- pictures: folder for screenshots; report: JSON file to write what was seen to. QGIS is ended afterwards.
"""

import json
import os
import sys
from pathlib import Path

import processing
from processing.core.ProcessingResults import resultsList
from qgis.core import QgsPalettedRasterRenderer, QgsProject
from qgis.utils import iface

sys.path.insert(0, json.loads(os.environ["FLAIR_WINDOW_RUN"])["folder"])

from window_driver import RUN, Press, arrange_window, log_of, pause, picture, report, show, start, wait_until


def evaluate(prediction, truth):
    values = {"PREDICTION": prediction.id(), "TRUTH_RASTER": truth.id(), "OUTPUT": RUN["output"]}
    report["runs"] = []
    for more in RUN["runs"]:
        dialog = show(processing.createAlgorithmDialog("flair:evaluate", {**values, **more}), "dialog")
        report["runs"].append({**Press(dialog).wait(), "log": log_of(dialog)})
        picture(dialog, "log")
        dialog.close()


def pixels_of(layer):
    """Return how many pixels QGIS reads of each value."""
    block = layer.dataProvider().block(1, layer.extent(), layer.width(), layer.height())
    values = bytes(block.data())
    return {str(value): values.count(value) for value in sorted(set(values))}


def look_at_result(prediction):
    errors = str(Path(RUN["output"]) / "errors.tif")
    layers = [layer for layer in QgsProject.instance().mapLayers().values() if layer.source() == errors]
    report["layers"] = []
    for layer in layers:
        renderer = layer.renderer()
        classes = renderer.classes() if isinstance(renderer, QgsPalettedRasterRenderer) else []
        node = QgsProject.instance().layerTreeRoot().findLayer(layer.id())
        node.setExpanded(True)
        rows = iface.layerTreeView().layerTreeModel().layerLegendNodes(node)
        report["layers"].append({
            "name": layer.name(),
            "crs": layer.crs().authid(),
            "type": renderer.type(),
            "classes": [[int(item.value), item.color.name(), item.label] for item in classes],
            "rows": [str(row.data(0)) for row in rows],
            "pixels": pixels_of(layer),
        })  # fmt: skip
    report["results"] = [[item.name, item.filename] for item in resultsList.getResults()]
    for layer in QgsProject.instance().mapLayers().values():
        if layer.source() != errors:
            QgsProject.instance().layerTreeRoot().findLayer(layer.id()).setExpanded(False)
    iface.mapCanvas().setExtent(prediction.extent())
    iface.mapCanvas().refresh()
    wait_until(lambda: not iface.mapCanvas().isDrawing(), 30)
    pause(0.5)
    picture(iface.mainWindow(), "map")


def main():
    for path in RUN["images"]:
        iface.addRasterLayer(path, Path(path).stem)
    truth = iface.addRasterLayer(RUN["truth"], "Truth")
    prediction = iface.addRasterLayer(RUN["prediction"], "Prediction")
    arrange_window()
    for layer in (truth, prediction):
        QgsProject.instance().layerTreeRoot().findLayer(layer.id()).setItemVisibilityChecked(False)
    evaluate(prediction, truth)
    look_at_result(prediction)


start(main)

"""Runs in a QGIS with a window: opens the dialog of flair:classify, presses its buttons, looks at what comes of it.

`qgis --code classify_in_window.py`, with the settings as JSON in the variable FLAIR_WINDOW_RUN:

- folder: where `window_driver` lies;
- image, model, output: files; values: more parameters;
- cancel: press Cancel that many seconds after the run began;
- pictures: folder for screenshots of the dialog and of the window;
- report: JSON file to write what was seen to. QGIS is ended afterwards.
"""

import json
import os
import sys
from pathlib import Path

import processing
from qgis.core import QgsApplication, QgsPalettedRasterRenderer, QgsProject, QgsRasterLayer
from qgis.utils import iface

sys.path.insert(0, json.loads(os.environ["FLAIR_WINDOW_RUN"])["folder"])

from window_driver import RUN, Press, arrange_window, pause, picture, report, show, start, wait_until


def legend_of(layer):
    """Return the renderer's type and classes, and what the layer tree shows."""
    renderer = layer.renderer()
    if not isinstance(renderer, QgsPalettedRasterRenderer):
        return {"type": renderer.type(), "classes": []}
    classes = [[int(item.value), item.color.name(), item.label] for item in renderer.classes()]
    return {"type": renderer.type(), "classes": classes}


def run(dialog):
    """Press Run, perhaps Cancel, and wait for the end."""
    pressed = Press(dialog)
    if RUN.get("cancel") is not None:
        wait_for_progress()
        pause(RUN["cancel"])
        picture(dialog, "running")
        pressed.cancel()
    report.update(pressed.wait())
    picture(dialog, "log")


def wait_for_progress():
    """Wait until the first tile is stored."""
    output = Path(RUN["output"])
    journal = output.with_name(f".{output.name}.flair-work") / "journal.jsonl"
    wait_until(lambda: journal.exists() and journal.stat().st_size > 0)


def look_at_result():
    layers = [layer for layer in QgsProject.instance().mapLayers().values() if layer.source() == RUN["output"]]
    report["loaded"] = len(layers)
    if not layers:
        return
    layer = layers[0]
    report["layer"] = {"name": layer.name(), "crs": layer.crs().authid(), **legend_of(layer)}
    node = QgsProject.instance().layerTreeRoot().findLayer(layer.id())
    node.setExpanded(True)
    rows = iface.layerTreeView().layerTreeModel().layerLegendNodes(node)
    report["layer"]["rows"] = [str(row.data(0)) for row in rows]
    by_hand = QgsRasterLayer(RUN["output"], "by hand")
    report["by_hand"] = legend_of(by_hand)
    iface.mapCanvas().setExtent(layer.extent())
    iface.mapCanvas().refresh()
    wait_until(lambda: not iface.mapCanvas().isDrawing(), 20)
    pause(0.5)
    picture(iface.mainWindow(), "map")


def main():
    iface.addRasterLayer(RUN["image"], "Aerial image")
    arrange_window()
    report["listed"] = [item.id() for item in QgsApplication.processingRegistry().providerById("flair").algorithms()]
    values = {"INPUT": [RUN["image"]], "MODEL": RUN["model"], "OUTPUT": RUN["output"], **RUN.get("values", {})}
    dialog = show(processing.createAlgorithmDialog("flair:classify", values), "dialog")
    run(dialog)
    dialog.close()
    look_at_result()


start(main)

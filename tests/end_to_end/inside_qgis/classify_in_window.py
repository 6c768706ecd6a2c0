"""Runs in a QGIS with a window: opens the dialog of flair:classify, presses its buttons, looks at what comes of it.

`qgis --code classify_in_window.py`, with the settings as JSON in the variable FLAIR_WINDOW_RUN:

- image, model, output: files; values: more parameters;
- cancel: press Cancel that many seconds after the run began;
- pictures: folder for screenshots of the dialog and of the window;
- report: JSON file to write what was seen to. QGIS is ended afterwards.
"""

import json
import os
import time
import traceback
from pathlib import Path

import processing
from qgis.core import QgsApplication, QgsPalettedRasterRenderer, QgsProject, QgsRasterLayer, QgsSettings
from qgis.PyQt.QtCore import QEventLoop, QTimer
from qgis.PyQt.QtWidgets import QApplication, QDialogButtonBox, QDockWidget, QMessageBox
from qgis.utils import iface

RUN = json.loads(os.environ["FLAIR_WINDOW_RUN"])
TICK = 20  # milliseconds
LONGEST = 150.0  # seconds
report = {}


class Ticks:
    """Counts a timer's ticks; the longest gap between two is how long the window did not answer."""

    def __init__(self):
        self.count = 0
        self.gaps = []
        self._last = time.monotonic()
        self._timer = QTimer()
        self._timer.timeout.connect(self._tick)
        self._timer.start(TICK)

    def _tick(self):
        now = time.monotonic()
        self.gaps.append(now - self._last)
        self._last = now
        self.count += 1

    def stop(self):
        self._timer.stop()
        self._tick()


def pause(seconds):
    """Let the window live for a while."""
    loop = QEventLoop()
    QTimer.singleShot(int(seconds * 1000), loop.quit)
    loop.exec()


def wait_until(condition, seconds=LONGEST):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s in vain")
        pause(0.05)


def picture(widget, name):
    if RUN.get("pictures"):
        widget.grab().save(str(Path(RUN["pictures"]) / f"{name}.png"))


def legend_of(layer):
    """Return the renderer's type and classes, and what the layer tree shows."""
    renderer = layer.renderer()
    if not isinstance(renderer, QgsPalettedRasterRenderer):
        return {"type": renderer.type(), "classes": []}
    classes = [[int(item.value), item.color.name(), item.label] for item in renderer.classes()]
    return {"type": renderer.type(), "classes": classes}


def arrange_window():
    """Show map and layers only, in a size that suits a picture."""
    window = iface.mainWindow()
    window.showNormal()
    window.resize(1280, 860)
    for dock in window.findChildren(QDockWidget):
        dock.setVisible(dock.objectName() == "Layers")
    for box in QApplication.topLevelWidgets():
        if isinstance(box, QMessageBox):
            box.close()
    pause(0.3)


def open_dialog():
    values = {"INPUT": [RUN["image"]], "MODEL": RUN["model"], "OUTPUT": RUN["output"], **RUN.get("values", {})}
    dialog = processing.createAlgorithmDialog("flair:classify", values)
    dialog.resize(760, 760)
    dialog.show()
    pause(0.5)
    report["title"] = dialog.windowTitle()
    picture(dialog, "dialog")
    return dialog


def run(dialog):
    """Press Run, wait for the end, and count the ticks meanwhile."""
    finished = []
    dialog.algorithmFinished.connect(lambda successful, results: finished.append((successful, results)))
    ticks = Ticks()
    began = time.monotonic()
    dialog.buttonBox().button(QDialogButtonBox.Ok).click()
    report["dialog_returned_after"] = time.monotonic() - began
    if RUN.get("cancel") is not None:
        wait_for_progress(dialog)
        pause(RUN["cancel"])
        picture(dialog, "running")
        pressed = time.monotonic()
        dialog.cancelButton().click()
        wait_until(lambda: finished)
        report["cancelled_after"] = time.monotonic() - pressed
    else:
        wait_until(lambda: finished)
    ticks.stop()
    report["seconds"] = time.monotonic() - began
    report["ticks"] = ticks.count
    report["longest_gap"] = max(ticks.gaps)
    report["successful"] = bool(finished[0][0])
    report["results"] = {key: value for key, value in finished[0][1].items() if isinstance(value, (str, int, float))}
    pause(0.2)
    picture(dialog, "log")


def wait_for_progress(dialog):
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
    QgsSettings().setValue("/Processing/Configuration/KEEP_DIALOG_OPEN", True)
    iface.addRasterLayer(RUN["image"], "Aerial image")
    arrange_window()
    report["listed"] = [item.id() for item in QgsApplication.processingRegistry().providerById("flair").algorithms()]
    dialog = open_dialog()
    run(dialog)
    dialog.close()
    look_at_result()


def start():
    try:
        main()
    except Exception:
        report["failure"] = traceback.format_exc()
    Path(RUN["report"]).write_text(json.dumps(report))
    # not the menu's Exit, which would ask whether to save
    QgsProject.instance().setDirty(False)
    os._exit(0)


QTimer.singleShot(500, start)

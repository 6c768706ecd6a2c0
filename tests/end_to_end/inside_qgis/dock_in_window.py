"""Runs in a QGIS with a window: opens the plugin's menu and its panel, classifies a layer from the panel.

`qgis --code dock_in_window.py`, with the settings as JSON in the variable FLAIR_WINDOW_RUN:

- folder: where `window_driver` lies;
- image: layer to classify; model, output: files;
- pictures: folder for screenshots; report: JSON file to write what was seen to. QGIS is ended afterwards.
"""

import gc
import json
import os
import sys
import traceback

from qgis import utils
from qgis.core import QgsApplication, QgsProject
from qgis.gui import QgsGui
from qgis.PyQt.QtCore import QCoreApplication, QEvent, QObject, QPoint, Qt, QUrl, pyqtSlot
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QDialog, QDialogButtonBox, QDockWidget, QLabel, QProgressBar, QTreeView
from qgis.utils import iface

sys.path.insert(0, json.loads(os.environ["FLAIR_WINDOW_RUN"])["folder"])

from window_driver import RUN, Ticks, arrange_window, finish, pause, picture, report, start, wait_until

PLUGIN = "flair_land_cover"
MENU = "FLAIR land cover"


def end_with(*exception):
    """End with what a slot raised: QGIS would open a window that waits for somebody."""
    report["failure"] = "".join(traceback.format_exception(*exception))
    finish()


def raster_entries():
    return [action.text() for action in iface.rasterMenu().actions()]


def submenu():
    return next(action.menu() for action in iface.rasterMenu().actions() if action.text() == MENU)


def look_at_menu():
    menu = submenu()
    report["entries"] = [action.text() for action in menu.actions() if not action.isSeparator()]
    menu.popup(iface.mainWindow().mapToGlobal(QPoint(200, 40)))
    pause(0.3)
    picture(menu, "menu")
    menu.close()


def load_and_unload():
    """Take the plugin out and in again, and look at the menu Raster each time."""
    report["with"], report["without"] = [raster_entries()], []
    for _ in range(3):
        utils.unloadPlugin(PLUGIN)
        pause(0.1)
        report["without"].append(raster_entries())
        utils.loadPlugin(PLUGIN)
        utils.startPlugin(PLUGIN)
        pause(0.1)
        report["with"].append(raster_entries())
    report["docks"] = [item.objectName() for item in iface.mainWindow().findChildren(QDockWidget, "FlairFirstSteps")]


def choose(name):
    next(action for action in submenu().actions() if action.objectName() == f"flair_{name}").trigger()


def open_panel():
    choose("firststeps")
    dock = utils.plugins[PLUGIN]._dock
    wait_until(lambda: dock.engine.state is not None)
    report["engine"] = dock.findChild(QLabel, "engine_status").text()
    report["details"] = dock.findChild(QLabel, "engine_details").text()
    pause(0.3)
    picture(iface.mainWindow(), "panel")
    return dock


def classify(dock):
    names = dock.form.model.names
    names.setCurrentIndex(names.findData(""))
    dock.form.model.file.setFilePath(RUN["model"])
    dock.form.output.setFilePath(RUN["output"])
    ticks = Ticks()
    dock.runs.classify.setFocus()
    QTest.keyClick(dock.runs.classify, Qt.Key.Key_Space)
    bar = dock.findChild(QProgressBar, "progress")
    wait_until(lambda: dock.runs.run is None or bar.value() > 0)
    picture(iface.mainWindow(), "running")
    dock.close()
    wait_until(lambda: dock.runs.run is None)
    ticks.stop()
    report["longest_gap"] = max(ticks.gaps)
    dock.bring_up()
    report["end"] = dock.findChild(QLabel, "run_text").text()
    report["message"] = iface.messageBar().currentItem().text()
    report["log"] = dock.runs.last.log
    report["history"] = last_of_history()
    look_at_result()


def last_of_history():
    """Return the call that Processing's history remembers."""
    if hasattr(QgsGui, "historyProviderRegistry"):
        entries = QgsGui.historyProviderRegistry().queryEntries(providerId="processing")
        return max(entries, key=lambda item: item.timestamp).entry["python_command"]
    # QGIS before 3.24
    from processing.core.ProcessingLog import ProcessingLog

    return ProcessingLog.getLogEntries()[-1].text


def look_at_result():
    layers = [layer for layer in QgsProject.instance().mapLayers().values() if layer.source() == RUN["output"]]
    report["layers"] = [[layer.name(), layer.renderer().type()] for layer in layers]
    wait_until(lambda: not iface.mapCanvas().isDrawing(), 20)
    pause(0.5)
    picture(iface.mainWindow(), "map")


class Pages(QObject):
    """Catches the pages that would open in a browser."""

    def __init__(self):
        super().__init__()
        self.opened = []
        for scheme in ("https", "file"):
            QDesktopServices.setUrlHandler(scheme, self, "catch")

    @pyqtSlot(QUrl)
    def catch(self, url):
        self.opened.append(url.toString())


def visible_dialogs():
    return [item for item in QApplication.topLevelWidgets() if isinstance(item, QDialog) and item.isVisible()]


def look_at_dialog():
    """Open a dialog from the menu, of which nobody holds a reference, ask for help, run it, and close it."""
    pages = Pages()
    choose("classify")
    gc.collect()
    pause(0.3)
    dialogs = visible_dialogs()
    report["dialogs"] = [item.windowTitle() for item in dialogs]
    dialog = dialogs.pop()
    picture(dialog, "dialog")
    dialog.buttonBox().button(QDialogButtonBox.StandardButton.Help).click()
    choose("documentation")
    report["pages"] = pages.opened
    gone = []
    dialog.destroyed.connect(lambda: gone.append(True))
    target = RUN["output"].replace("map.tif", "second.tif")
    dialog.setParameters({"INPUT": [RUN["image"]], "MODEL": RUN["model"], "OUTPUT": target})
    dialog.buttonBox().button(QDialogButtonBox.StandardButton.Ok).click()
    # closed while it runs, which ends no run
    dialog.close()
    del dialog
    gc.collect()
    wait_until(lambda: QgsApplication.taskManager().countActiveTasks() == 0)
    wait_until(lambda: gone, 10)
    report["second"] = [layer.source() for layer in QgsProject.instance().mapLayers().values()].count(target)
    report["left_open"] = [item.windowTitle() for item in visible_dialogs()]


def look_at_toolbox():
    toolbox = iface.mainWindow().findChild(QDockWidget, "ProcessingToolbox")
    for dock in iface.mainWindow().findChildren(QDockWidget):
        dock.setVisible(dock is toolbox)
    toolbox.setFloating(True)
    toolbox.resize(420, 860)
    tree = toolbox.findChild(QTreeView)
    model = tree.model()
    rows = [model.index(row, 0) for row in range(model.rowCount())]
    provider = next(index for index in rows if index.data() == MENU)
    tree.expand(provider)
    groups = [model.index(row, 0, provider) for row in range(model.rowCount(provider))]
    report["groups"] = [index.data() for index in groups]
    for index in groups:
        tree.expand(index)
    tree.scrollTo(provider, tree.ScrollHint.PositionAtTop)
    pause(0.5)
    picture(toolbox, "toolbox")


def unload_for_good():
    """Take the plugin out with its panel open, and go on working."""
    dock_name = utils.plugins[PLUGIN]._dock.objectName()
    utils.unloadPlugin(PLUGIN)
    gc.collect()
    iface.addRasterLayer(RUN["image"], "After the end")
    # this script runs inside a slot, and Qt deletes later than that
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect()
    iface.addRasterLayer(RUN["image"], "After all")
    report["docks"] += [item.objectName() for item in iface.mainWindow().findChildren(QDockWidget, dock_name)]


def main():
    sys.excepthook = end_with
    arrange_window()
    load_and_unload()
    look_at_menu()
    iface.addRasterLayer(RUN["image"], "Aerial image")
    dock = open_panel()
    classify(dock)
    look_at_dialog()
    look_at_toolbox()
    unload_for_good()


start(main)

# ruff: noqa: N802 - the names of QGIS
"""A stand-in for QGIS's window: what the plugin asks of its interface, with real widgets."""

import time

from qgis.gui import QgsMapCanvas, QgsMessageBar
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QCoreApplication, QEvent
from qgis.PyQt.QtWidgets import QMainWindow, QMenu


class Interface:
    """Remembers menu and docks as QGIS keeps them."""

    def __init__(self):
        self.window = QMainWindow()
        self.canvas = QgsMapCanvas()
        self.bar = QgsMessageBar(self.window)
        self.menus = {}
        self.docks = []

    def close(self):
        """Delete all widgets now: else Python may collect them while one of them tells of a change."""
        sip.delete(self.window)
        sip.delete(self.canvas)

    def mainWindow(self):
        return self.window

    def mapCanvas(self):
        return self.canvas

    def messageBar(self):
        return self.bar

    def addPluginToRasterMenu(self, name, action):
        self.menus.setdefault(name, QMenu(name, self.window)).addAction(action)

    def removePluginRasterMenu(self, name, action):
        menu = self.menus[name]
        menu.removeAction(action)
        if not menu.actions():
            del self.menus[name]

    def addDockWidget(self, area, dock):
        self.window.addDockWidget(area, dock)
        self.docks.append(dock)

    def removeDockWidget(self, dock):
        self.window.removeDockWidget(dock)
        self.docks.remove(dock)


class HistoryRegistry:
    """The history of QGIS 3.24 and later."""

    def __init__(self):
        self.entries = {}

    def addEntry(self, provider, entry):
        number = len(self.entries) + 1
        self.entries[number] = [provider, dict(entry)]
        return number, True

    def updateEntry(self, number, entry):
        self.entries[number][1] = dict(entry)
        return True


def wait_until(condition, seconds=20):
    """Let events happen until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        QCoreApplication.processEvents()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        time.sleep(0.01)

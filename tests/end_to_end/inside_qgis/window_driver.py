"""What the scripts that run in a QGIS with a window have in common: waiting, pictures, pressing buttons.

`qgis --code SCRIPT` knows no folder to import from: the scripts take it from their settings.
"""

import json
import os
import time
import traceback
from pathlib import Path

from qgis.core import QgsProject, QgsSettings
from qgis.PyQt.QtCore import QEventLoop, QTimer
from qgis.PyQt.QtWidgets import QApplication, QDialogButtonBox, QDockWidget, QMessageBox, QProgressBar, QTextEdit
from qgis.utils import iface

RUN = json.loads(os.environ["FLAIR_WINDOW_RUN"])
TICK = 20  # milliseconds
LONGEST = 150.0  # seconds, on a machine with nothing else to do
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
    seconds *= RUN["patience"]
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s in vain")
        pause(0.05)


def picture(widget, name):
    if RUN.get("pictures"):
        widget.grab().save(str(Path(RUN["pictures"]) / f"{name}.png"))


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


def show(dialog, name):
    """Open a dialog and take its picture."""
    dialog.resize(760, 760)
    dialog.show()
    pause(0.5)
    report["title"] = dialog.windowTitle()
    picture(dialog, name)
    return dialog


def log_of(dialog):
    """Return what stands in the log of an algorithm's dialog."""
    return dialog.findChild(QTextEdit, "txtLog").toPlainText()


def progress_of(dialog):
    """Return what the progress bar shows, in per cent."""
    return dialog.findChild(QProgressBar).value()


def refuse_messages():
    """End QGIS with what a message box says, where one has opened."""
    texts = [box.text() for box in QApplication.topLevelWidgets() if isinstance(box, QMessageBox) and box.isVisible()]
    if texts:
        report["failure"] = f"QGIS asks: {texts}"
        finish()


class Press:
    """Presses Run, and counts a timer's ticks until the algorithm has ended."""

    def __init__(self, dialog):
        self.dialog = dialog
        self._finished = []
        dialog.algorithmFinished.connect(lambda successful, results: self._finished.append((successful, results)))
        self._ticks = Ticks()
        self._began = time.monotonic()
        # a message box would hold up the click for ever
        QTimer.singleShot(1000, refuse_messages)
        dialog.buttonBox().button(QDialogButtonBox.StandardButton.Ok).click()
        self.seen = {"dialog_returned_after": time.monotonic() - self._began}

    def cancel(self):
        """Press Cancel, and wait until the algorithm has ended."""
        pressed = time.monotonic()
        self.dialog.cancelButton().click()
        wait_until(self._ended)
        self.seen["cancelled_after"] = time.monotonic() - pressed

    def _ended(self):
        # 3.40 says nothing of the end when a run was cancelled that would have loaded layers
        return self._finished or not self.dialog.cancelButton().isEnabled()

    def wait(self):
        """Wait for the end and return what was seen."""
        wait_until(self._ended)
        pause(0.2)
        self._ticks.stop()
        successful, results = self._finished[0] if self._finished else (False, {})
        plain = {key: value for key, value in results.items() if isinstance(value, (str, int, float))}
        self.seen.update(
            seconds=time.monotonic() - self._began,
            ticks=self._ticks.count,
            longest_gap=max(self._ticks.gaps),
            successful=bool(successful),
            results=plain,
        )
        pause(0.2)
        return self.seen


def finish():
    """Write the report, and end QGIS."""
    Path(RUN["report"]).write_text(json.dumps(report))
    # not the menu's Exit, which would ask whether to save
    QgsProject.instance().setDirty(False)
    os._exit(0)


def start(main):
    """Run a function once QGIS has started, write the report, and end QGIS."""

    def run():
        try:
            QgsSettings().setValue("/Processing/Configuration/KEEP_DIALOG_OPEN", True)
            # without a desktop, news of tasks that took seconds would cover the plugin's own messages
            QgsSettings().setValue("app/minTaskLengthForSystemNotification", 600)
            main()
        except Exception:
            report["failure"] = traceback.format_exc()
        finish()

    QTimer.singleShot(500, run)

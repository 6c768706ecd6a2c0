"""Runs in a QGIS with a window: opens models in the graphical modeler.

`qgis --code designer_in_window.py`, with the settings as JSON in the variable FLAIR_WINDOW_RUN:

- folder: where `window_driver` lies; chains: model files;
- pictures: folder for screenshots; report: JSON file to write what was seen to. QGIS is ended afterwards.
"""

import json
import os
import sys
from pathlib import Path

from processing.modeler.ModelerDialog import ModelerDialog
from qgis.core import QgsApplication
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QGraphicsView

sys.path.insert(0, json.loads(os.environ["FLAIR_WINDOW_RUN"])["folder"])

from window_driver import RUN, arrange_window, pause, picture, report, start


def design(path):
    """Open a chain in the designer and return what stands in it."""
    designer = ModelerDialog.create()
    designer.loadModel(path)
    designer.resize(1360, 900)
    designer.show()
    pause(0.7)
    view = designer.findChild(QGraphicsView)
    view.fitInView(view.scene().itemsBoundingRect(), Qt.AspectRatioMode.KeepAspectRatio)
    pause(0.3)
    picture(designer, Path(path).stem)
    model = designer.model()
    seen = {
        "title": model.displayName(),
        "valid": list(model.validate()),
        "steps": sorted(child.algorithmId() for child in model.childAlgorithms().values()),
        "boxes": len(view.scene().items()),
    }
    designer.close()
    return seen


def main():
    arrange_window()
    report["chains"] = {Path(path).stem: design(path) for path in RUN["chains"]}
    report["listed"] = [item.id() for item in QgsApplication.processingRegistry().providerById("flair").algorithms()]


start(main)

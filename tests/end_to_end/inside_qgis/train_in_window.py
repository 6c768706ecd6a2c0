"""Runs in a QGIS with a window: extracts, trains, cancels and trains on, by the dialogs' buttons.

`qgis --code train_in_window.py`, with the settings as JSON in the variable FLAIR_WINDOW_RUN:

- folder: where `window_driver` lies;
- image, polygons, data, output, page: files and folders; values: parameters of the training;
- pictures: folder for screenshots; report: JSON file to write what was seen to. QGIS is ended afterwards.
"""

import json
import os
import sys
from pathlib import Path

import processing
from processing.core.ProcessingResults import resultsList
from qgis.core import QgsApplication, QgsProject
from qgis.utils import iface

sys.path.insert(0, json.loads(os.environ["FLAIR_WINDOW_RUN"])["folder"])

from window_driver import (
    RUN,
    Press,
    arrange_window,
    log_of,
    pause,
    picture,
    progress_of,
    report,
    show,
    start,
    wait_until,
)


def results():
    """What the viewer of results lists: names and files."""
    return [[item.name, item.filename] for item in resultsList.getResults()]


def extract():
    """Extract patches from the layers of the project."""
    layer = next(item for item in QgsProject.instance().mapLayers().values() if item.name() == "Labels")
    values = {"IMAGE": [RUN["image"]], "LABELS": layer.id(), "PATCH_SIZE": 128, "OUTPUT": RUN["data"]}
    dialog = show(processing.createAlgorithmDialog("flair:extractpatches", values), "extract")
    report["extract"] = Press(dialog).wait()
    picture(dialog, "extract_log")
    dialog.close()


def train():
    """Train, cancel after the first epoch, and press Run again in the same dialog."""
    values = {"DATA": RUN["data"], "OUTPUT": RUN["output"], "REPORT": RUN["page"], **RUN["values"]}
    dialog = show(processing.createAlgorithmDialog("flair:train", values), "train")
    first = Press(dialog)
    kept = Path(RUN["output"]).with_name("mine_training") / "last.ckpt"
    wait_until(kept.exists)
    pause(0.3)
    report["running"] = {"progress": progress_of(dialog), "log": log_of(dialog)}
    picture(dialog, "train_running")
    first.cancel()
    report["cancelled"] = {**first.wait(), "log": log_of(dialog), "output": Path(RUN["output"]).exists()}
    picture(dialog, "train_cancelled")
    report["results_then"] = results()
    report["again"] = {**Press(dialog).wait(), "log": log_of(dialog), "progress": progress_of(dialog)}
    picture(dialog, "train_log")
    dialog.close()


def main():
    iface.addRasterLayer(RUN["image"], "Aerial image")
    iface.addVectorLayer(RUN["polygons"], "Labels", "ogr")
    arrange_window()
    report["groups"] = {
        item.id(): item.group() for item in QgsApplication.processingRegistry().providerById("flair").algorithms()
    }
    extract()
    train()
    report["results"] = results()
    # QGIS goes on as if nothing had been
    report["after"] = processing.run("native:countpointsinpolygon", {
        "POLYGONS": RUN["polygons"], "POINTS": processing.run(
            "native:centroids", {"INPUT": RUN["polygons"], "OUTPUT": "memory:"}
        )["OUTPUT"], "OUTPUT": "memory:",
    })["OUTPUT"].featureCount()  # fmt: skip


start(main)

"""Runs in a QGIS with a window: prepares an image from the dialog, and opens the shipped chain in the designer.

`qgis --code prepare_in_window.py`, with the settings as JSON in the variable FLAIR_WINDOW_RUN:

- folder: where `window_driver` lies;
- image: layer for the map; values: parameters of flair:prepareinput;
- chain: model file to open in the graphical modeler; model, map: files for a run of it on the same products;
- pictures: folder for screenshots; report: JSON file to write what was seen to. QGIS is ended afterwards.
"""

import json
import os
import sys

import processing
from processing.core.ProcessingResults import resultsList
from processing.modeler.ModelerDialog import ModelerDialog
from qgis.core import QgsMultiBandColorRenderer, QgsProject
from qgis.PyQt.QtWidgets import QGraphicsView
from qgis.utils import iface

sys.path.insert(0, json.loads(os.environ["FLAIR_WINDOW_RUN"])["folder"])

from window_driver import RUN, Press, arrange_window, log_of, pause, picture, report, show, start, wait_until


def prepare():
    """Prepare an image, and look at how it is drawn."""
    dialog = show(processing.createAlgorithmDialog("flair:prepareinput", RUN["values"]), "prepare")
    report["prepare"] = Press(dialog).wait()
    report["log"] = log_of(dialog)
    picture(dialog, "prepare_log")
    dialog.close()
    layers = [item for item in QgsProject.instance().mapLayers().values() if item.source() == RUN["values"]["OUTPUT"]]
    renderer = layers[0].renderer()
    report["layers"] = [item.name() for item in layers]
    report["colours"] = isinstance(renderer, QgsMultiBandColorRenderer) and [
        renderer.redBand(),
        renderer.greenBand(),
        renderer.blueBand(),
        renderer.alphaBand(),
    ]
    report["bands"] = [layers[0].bandName(number) for number in range(1, layers[0].bandCount() + 1)]
    iface.mapCanvas().setExtent(layers[0].extent())
    iface.mapCanvas().refresh()
    wait_until(lambda: not iface.mapCanvas().isDrawing(), 20)
    pause(0.5)
    picture(iface.mainWindow(), "image")


def design():
    """Open the chain in the designer, and in the dialog to run it."""
    designer = ModelerDialog.create()
    designer.loadModel(RUN["chain"])
    designer.resize(1360, 900)
    designer.show()
    pause(1)
    view = designer.findChild(QGraphicsView)
    view.fitInView(view.scene().itemsBoundingRect(), 1)
    pause(0.5)
    picture(designer, "designer")
    model = designer.model()
    report["chain"] = [model.displayName(), sorted(child.description() for child in model.childAlgorithms().values())]
    report["valid"] = list(model.validate())
    report["boxes"] = len(view.scene().items())
    designer.close()
    chain = model.create()
    names = {item.name().rpartition(":")[2]: item.name() for item in chain.parameterDefinitions()}
    values = {name: RUN["values"][name.upper()] for name in ("rgb", "irc", "dsm", "dtm")}
    values.update({"model_file": RUN["model"], names["land_cover"]: RUN["map"]})
    dialog = show(processing.createAlgorithmDialog(chain, values), "chain")
    report["run"] = Press(dialog).wait()
    report["run_log"] = log_of(dialog)
    picture(dialog, "chain_log")
    dialog.close()


def main():
    iface.addRasterLayer(RUN["image"], "Orthophoto")
    arrange_window()
    prepare()
    design()
    report["results"] = [[item.name, item.filename] for item in resultsList.getResults()]
    for name in ("downloadmodel", "downloaddataset", "checkdataset"):
        show(processing.createAlgorithmDialog(f"flair:{name}", {}), name).close()


start(main)

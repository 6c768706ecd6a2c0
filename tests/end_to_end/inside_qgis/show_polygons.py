"""Loads a vector file as QGIS does, says in JSON how it is drawn, and draws it.

Runs in QGIS's Python: `python3 show_polygons.py FILE PICTURE`.
"""

import json
import os
import sys

from qgis.core import QgsApplication, QgsMapRendererParallelJob, QgsMapSettings, QgsVectorLayer
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor


def main(path, picture):
    application = QgsApplication([], False)
    application.initQgis()
    layer = QgsVectorLayer(path, "polygons", "ogr")
    renderer = layer.renderer()
    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setDestinationCrs(layer.crs())
    settings.setBackgroundColor(QColor("#ffffff"))
    settings.setOutputSize(QSize(800, 800))
    settings.setExtent(layer.extent())
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(picture)
    print(
        json.dumps(
            {
                "valid": layer.isValid(),
                "name": layer.dataProvider().uri().table() or layer.name(),
                "crs": layer.crs().authid(),
                "features": layer.featureCount(),
                "renderer": renderer.type(),
                "attribute": renderer.classAttribute() if renderer.type() == "categorizedSymbol" else None,
                "classes": [
                    [int(item.value()), item.label(), item.symbol().color().name()] for item in renderer.categories()
                ]
                if renderer.type() == "categorizedSymbol"
                else [],
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
    # QGIS's own teardown without a window may crash
    sys.stdout.flush()
    os._exit(0)

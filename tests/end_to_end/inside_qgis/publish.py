"""Makes the project that QGIS Server publishes: `python publish.py SCENE_FOLDER PROJECT LIMIT`.

Layers `rgb`, `irc` and `image` (its five bands) of the scene's image, `dsm` and `dtm` of its heights. LIMIT is the
largest side of a picture in pixels.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsMultiBandColorRenderer,
    QgsProject,
    QgsRasterLayer,
)

# Bands of the image that a layer draws as red, green and blue.
DRAWN = {"rgb": (1, 2, 3), "irc": (4, 1, 2), "image": (1, 2, 3)}


def main(scene: Path, target: Path, limit: int) -> None:
    app = QgsApplication([], False)
    app.initQgis()
    project = QgsProject.instance()
    project.setCrs(QgsCoordinateReferenceSystem("EPSG:2154"))
    layers = {}
    for name in (*DRAWN, "dsm", "dtm"):
        file = scene / (f"{name}.tif" if name in ("dsm", "dtm") else "image.tif")
        layer = QgsRasterLayer(str(file), name)
        assert layer.isValid(), file
        if name in DRAWN:
            layer.setRenderer(QgsMultiBandColorRenderer(layer.dataProvider(), *DRAWN[name]))
        project.addMapLayer(layer)
        layers[name] = layer.id()
    project.writeEntry("WMSCrsList", "/", ["EPSG:2154", "EPSG:4326", "EPSG:3857"])
    project.writeEntry("WMSMaxWidth", "/", limit)
    project.writeEntry("WMSMaxHeight", "/", limit)
    project.writeEntry("WCSLayers", "/", list(layers.values()))
    project.writeEntry("WMTSLayers", "Layer", [layers["rgb"]])
    project.writeEntry("WMTSPngLayers", "Layer", [layers["rgb"]])
    project.writeEntry("WMTSGrids", "CRS", ["EPSG:3857"])
    project.writeEntry("WMTSGrids", "Config", ["EPSG:3857,20037508.34,-20037508.34,559082264.028,20"])
    assert project.write(str(target)), target


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))

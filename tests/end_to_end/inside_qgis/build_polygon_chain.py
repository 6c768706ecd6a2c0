# ruff: noqa: E402 - where QGIS and the other script lie has to be said before they are imported
"""Builds a chain as a person does in the graphical modeler: a land-cover map to polygons, and those to one per class.

Runs in QGIS's Python: `python3 build_polygon_chain.py FOLDER PLUGIN_PARENT`. Makes `polygons.model3`.
"""

import os
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), "/usr/share/qgis/python/plugins"]

from build_models import add_parameter, add_step, source
from qgis.core import QgsApplication, QgsProcessingModelAlgorithm, QgsProcessingParameterRasterLayer


def build(path):
    """Write polygonise and dissolve as a chain."""
    model = QgsProcessingModelAlgorithm(path.stem, "tests", "")
    add_parameter(model, QgsProcessingParameterRasterLayer("map", "Map"))
    add_step(
        model,
        "polygonise",
        "flair:polygonise",
        {"INPUT": source("ModelParameter", "map"), "MINIMUM_AREA": source("StaticValue", 50)},
    )
    add_step(
        model,
        "dissolve",
        "native:dissolve",
        {"INPUT": source("ChildOutput", "polygonise", "OUTPUT"), "FIELD": source("StaticValue", ["class"])},
        {"classes": "OUTPUT"},
    )
    if not model.toFile(str(path)):
        raise SystemExit(f"{path} could not be written")


def main(folder, plugins):
    application = QgsApplication([], False)
    application.initQgis()
    from processing.core.Processing import Processing

    Processing.initialize()
    sys.path.insert(0, plugins)
    from flair_land_cover import classFactory

    plugin = classFactory(None)
    plugin.initProcessing()
    build(folder / "polygons.model3")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
    # QGIS's own teardown without a window may crash; the file is written
    sys.stdout.flush()
    os._exit(0)

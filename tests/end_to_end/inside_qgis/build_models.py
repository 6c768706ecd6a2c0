"""Builds chains as a person does in the graphical modeler, and writes them as .model3 files.

Runs in QGIS's Python: `python3 build_models.py FOLDER PLUGIN_PARENT MODEL_FILE`. Makes `fixed.model3`, in which the
model file is part of the chain, `chosen.model3`, in which it is a parameter, and `judged.model3`, which classifies,
evaluates, and writes the mean IoU into a raster.
"""

import sys
from pathlib import Path

sys.path.insert(0, "/usr/share/qgis/python/plugins")

from qgis.core import (
    QgsApplication,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFile,
    QgsProcessingParameterRasterLayer,
)


def source(kind, *values):
    return [getattr(QgsProcessingModelChildParameterSource, f"from{kind}")(*values)]


def add_parameter(model, definition):
    model.addModelParameter(definition, QgsProcessingModelParameter(definition.name()))


def add_step(model, name, algorithm, sources, outputs=None):
    child = QgsProcessingModelChildAlgorithm(algorithm)
    child.setChildId(name)
    child.setDescription(name)
    for parameter, value in sources.items():
        child.addParameterSources(parameter, value)
    made = {}
    for title, output in (outputs or {}).items():
        final = QgsProcessingModelOutput(title, title)
        final.setChildId(name)
        final.setChildOutputName(output)
        made[title] = final
    child.setModelOutputs(made)
    model.addChildAlgorithm(child)


def build(path, model_file):
    """Write clip, classify, count as a chain; `model_file` None makes it a parameter."""
    model = QgsProcessingModelAlgorithm(path.stem, "tests", "")
    add_parameter(model, QgsProcessingParameterRasterLayer("image", "Image"))
    add_parameter(model, QgsProcessingParameterExtent("part", "Part"))
    if model_file is None:
        add_parameter(model, QgsProcessingParameterFile("model", "Model"))
    chosen = source("ModelParameter", "model") if model_file is None else source("StaticValue", model_file)
    add_step(
        model,
        "clip",
        "gdal:cliprasterbyextent",
        {"INPUT": source("ModelParameter", "image"), "PROJWIN": source("ModelParameter", "part")},
    )
    add_step(
        model,
        "classify",
        "flair:classify",
        {"INPUT": source("ChildOutput", "clip", "OUTPUT"), "MODEL": chosen},
        {"land cover": "OUTPUT"},
    )
    add_step(
        model,
        "count",
        "native:rasterlayeruniquevaluesreport",
        {"INPUT": source("ChildOutput", "classify", "OUTPUT"), "BAND": source("StaticValue", 1)},
        {"table": "OUTPUT_TABLE"},
    )
    if not model.toFile(str(path)):
        raise SystemExit(f"{path} could not be written")


def build_judged(path, model_file):
    """Write classify, evaluate, and a step that takes a figure, as a chain."""
    model = QgsProcessingModelAlgorithm(path.stem, "tests", "")
    add_parameter(model, QgsProcessingParameterRasterLayer("image", "Image"))
    add_parameter(model, QgsProcessingParameterRasterLayer("truth", "Truth"))
    add_step(
        model,
        "classify",
        "flair:classify",
        {"INPUT": source("ModelParameter", "image"), "MODEL": source("StaticValue", model_file)},
        {"land cover": "OUTPUT"},
    )
    add_step(
        model,
        "evaluate",
        "flair:evaluate",
        {"PREDICTION": source("ChildOutput", "classify", "OUTPUT"), "TRUTH_RASTER": source("ModelParameter", "truth")},
        {"errors": "ERROR_MAP", "report": "REPORT"},
    )
    add_step(
        model,
        "figure",
        "native:createconstantrasterlayer",
        {
            "EXTENT": source("StaticValue", "0,2,0,2"),
            "TARGET_CRS": source("StaticValue", "EPSG:2154"),
            "PIXEL_SIZE": source("StaticValue", 1),
            "NUMBER": source("ChildOutput", "evaluate", "MIOU"),
        },
        {"raster": "OUTPUT"},
    )
    if not model.toFile(str(path)):
        raise SystemExit(f"{path} could not be written")


def main(folder, plugins, model_file):
    application = QgsApplication([], False)
    application.initQgis()
    from processing.core.Processing import Processing

    Processing.initialize()
    sys.path.insert(0, plugins)
    from flair_land_cover import classFactory

    plugin = classFactory(None)
    plugin.initProcessing()
    build(folder / "fixed.model3", model_file)
    build(folder / "chosen.model3", None)
    build_judged(folder / "judged.model3", model_file)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
    # QGIS's own teardown without a window may crash; the files are written
    sys.stdout.flush()
    import os

    os._exit(0)

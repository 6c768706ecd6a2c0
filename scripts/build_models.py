"""Write the models for QGIS's graphical modeler that the plugin ships, into resources/models3.

Run with the Python that has PyQGIS, after a change here or of an algorithm's parameters:
`QT_QPA_PLATFORM=offscreen /usr/bin/python3 scripts/build_models.py [FOLDER]`. A test compares what it writes with what
is committed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

# the order of attributes in a file follows it
os.environ.setdefault("QT_HASH_SEED", "0")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), "/usr/share/qgis/python/plugins"]

from map_chains import classify_and_count, compare_two_years  # noqa: E402
from model_parts import (  # noqa: E402
    SOURCE,
    Output,
    add_frame,
    add_inputs,
    add_step,
    from_input,
    from_input_or_default,
    number,
    optional,
)
from qgis.core import (  # noqa: E402 - the paths come first
    QgsApplication,
    QgsProcessing,
    QgsProcessingModelAlgorithm,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterFile,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

from flair_qgis.algorithms.train import PRESETS  # noqa: E402
from flair_qgis.catalogue import catalogue  # noqa: E402
from flair_qgis.provider import FlairProvider  # noqa: E402


def train_on_my_area() -> QgsProcessingModelAlgorithm:
    """Return the model from an image and polygons to a map: extract patches, train, classify."""
    model = QgsProcessingModelAlgorithm("Train on my area", "FLAIR land cover", "")
    whole = QgsProcessingParameterNumber.Type.Integer
    polygons = QgsProcessing.SourceType.TypeVectorPolygon
    model_files = "*.safetensors *.pth *.ckpt"
    add_inputs(
        model,
        [
            (QgsProcessingParameterRasterLayer("image", "Aerial image"), 140, 120),
            (QgsProcessingParameterFeatureSource("labels", "Label polygons", [polygons]), 140, 180),
            (optional(QgsProcessingParameterField("class_field", "Field of the class", None, "labels")), 140, 240),
            (optional(QgsProcessingParameterString("classes", "Classes, such as Wald=7,Haus=1")), 140, 300),
            (number("patch_size", "Patch size in pixels", whole, 256, 64, 4096), 140, 360),
            (
                QgsProcessingParameterEnum("preset", "Preset", PRESETS, defaultValue="quick", usesStaticStrings=True),
                140,
                504,
            ),
            (optional(number("epochs", "Epochs (empty: the preset's)", whole, None, 1, 100000)), 140, 564),
            (
                optional(
                    QgsProcessingParameterFile(
                        "start_from", "Start from model file", fileFilter=f"Models ({model_files})"
                    )
                ),
                140,
                624,
            ),
            (
                optional(
                    QgsProcessingParameterRasterLayer("other_image", "Image to classify (empty: the aerial image)")
                ),
                140,
                792,
            ),
        ],
    )
    add_step(
        model,
        "extract",
        "Extract training patches",
        "flair:extractpatches",
        (480, 228),
        {
            "IMAGE": from_input("image"),
            "LABELS": from_input("labels"),
            "CLASS_FIELD": from_input("class_field"),
            "CLASSES": from_input("classes"),
            "PATCH_SIZE": from_input_or_default("patch_size", "256"),
        },
        (Output("table", "Table of classes", "TABLE"),),
    )
    add_step(
        model,
        "train",
        "Train a model",
        "flair:train",
        (480, 540),
        {
            "DATA": SOURCE.fromChildOutput("extract", "OUTPUT"),
            "PRESET": from_input_or_default("preset", "'quick'"),
            "EPOCHS": from_input("epochs"),
            "START_FROM": from_input("start_from"),
        },
        (Output("model", "Model file", "OUTPUT"), Output("report", "Report of the training", "REPORT")),
    )
    add_step(
        model,
        "classify",
        "Classify land cover",
        "flair:classify",
        (480, 792),
        {
            # a model knows no other way to take one input where another is empty
            "INPUT": SOURCE.fromExpression("coalesce(@other_image, @image)"),
            "MODEL": SOURCE.fromChildOutput("train", "OUTPUT"),
        },
        (Output("land_cover", "Land cover", "OUTPUT"),),
    )
    add_frame(model, "1. Cut patches from what you labelled", "#e4f4ea", (10, 48, 920, 360))
    add_frame(model, "2. Learn from them", "#fdf0d5", (10, 432, 920, 240))
    add_frame(model, "3. Map the whole image", "#e3ecf9", (10, 696, 920, 180))
    model.setHelpContent(TRAIN_HELP)
    return model


def prepare_and_classify() -> QgsProcessingModelAlgorithm:
    """Return the model from products as they are delivered to a map: prepare an image, classify it."""
    model = QgsProcessingModelAlgorithm("Prepare and classify", "FLAIR land cover", "")
    rasters = QgsProcessing.SourceType.TypeRaster
    names = list(catalogue())
    add_inputs(
        model,
        [
            (QgsProcessingParameterMultipleLayers("rgb", "Orthophoto", rasters), 140, 120),
            (optional(QgsProcessingParameterMultipleLayers("irc", "Colour-infrared orthophoto", rasters)), 140, 180),
            (optional(QgsProcessingParameterMultipleLayers("dsm", "Surface model", rasters)), 140, 240),
            (optional(QgsProcessingParameterMultipleLayers("dtm", "Terrain model", rasters)), 140, 300),
            (optional(QgsProcessingParameterExtent("extent", "Extent")), 140, 360),
            (
                QgsProcessingParameterEnum(
                    "catalogue_model", "Model", names, defaultValue=ALL_BANDS, usesStaticStrings=True
                ),
                140,
                528,
            ),
            (
                optional(
                    QgsProcessingParameterFile(
                        "model_file",
                        "Model file (wins over the name)",
                        fileFilter="Models (*.safetensors *.pth *.ckpt)",
                    )
                ),
                140,
                588,
            ),
        ],
    )
    add_step(
        model,
        "prepare",
        "Prepare an image",
        "flair:prepareinput",
        (480, 228),
        {
            "RGB": from_input("rgb"),
            "IRC": from_input("irc"),
            "DSM": from_input("dsm"),
            "DTM": from_input("dtm"),
            "EXTENT": from_input("extent"),
        },
        (Output("image", "Prepared image", "OUTPUT"), Output("report", "Report of the image", "REPORT")),
    )
    add_step(
        model,
        "classify",
        "Classify land cover",
        "flair:classify",
        (480, 552),
        {
            "INPUT": SOURCE.fromChildOutput("prepare", "OUTPUT"),
            "MODEL_NAME": from_input_or_default("catalogue_model", f"'{ALL_BANDS}'"),
            "MODEL": from_input("model_file"),
        },
        (Output("land_cover", "Land cover", "OUTPUT"),),
    )
    add_frame(model, "1. One image of what was delivered", "#e4f4ea", (10, 48, 920, 360))
    add_frame(model, "2. Map it", "#e3ecf9", (10, 432, 920, 216))
    model.setHelpContent(PREPARE_HELP)
    return model


# red, green, blue, infrared and elevation: all that the chain can prepare
ALL_BANDS = "FLAIR-INC_rgbie_15cl_resnet34-unet"
TRAIN_HELP = {
    "ALG_DESC": (
        "<p>From an image and polygons that you drew on it to a land-cover map: cuts patches where there are labels, "
        "trains a model on them, and classifies the whole image with it.</p><p>Label some hundred polygons, spread "
        "over the image, of every class that you want to find. The report tells how good the model is; the model file "
        "classifies further images with <i>Classify land cover</i>.</p>"
    ),
    "image": "The image on which the polygons were drawn.",
    "labels": "Polygons with the class in one of their fields. What no polygon covers is not learnt.",
    "class_field": "Field that holds a code or a name of the class; empty: code or class, whichever there is.",
    "classes": (
        "What your classes are in FLAIR's nomenclature, by code or name; 0 leaves a class out. Empty: the field holds "
        "its codes or names."
    ),
    "patch_size": "Side of a patch in pixels, a multiple of 32. Small areas need small patches.",
    "preset": "quick: a small network for a first look, also without a graphics card; fine-tune: for good maps.",
    "epochs": "Passes over the patches: more take longer and learn more.",
    "start_from": "A model whose weights are adapted, such as a published one; few labels are then enough.",
    "other_image": "Another image with the same bands.",
    "extract:table": "How many pixels of each class are in training, validation and test.",
    "train:model": "One file that classifies further images.",
    "train:report": "Curves, figures by class and samples.",
    "classify:land_cover": "Raster of class codes with names and colours.",
}
PREPARE_HELP = {
    "ALG_DESC": (
        "<p>From products as they are delivered to a land-cover map: makes one image of orthophoto, near infrared and "
        "heights, and classifies it.</p><p>The model has to fit what you give: <i>rgbie</i> needs all of it, "
        "<i>rgbi</i> orthophoto and colour-infrared, <i>rgb</i> the orthophoto alone.</p>"
    ),
    "rgb": "Red, green, blue; several layers, such as the tiles of a BD ORTHO, make one mosaic.",
    "irc": "Near infrared, red, green, as IGN delivers it. Needed by models whose name has an i.",
    "dsm": "Digital surface model in metres. With the terrain model, needed by models whose name has an e.",
    "dtm": "Digital terrain model in metres.",
    "extent": "Part to map; empty: all of the orthophoto. Needed for layers that are drawn by a service.",
    "catalogue_model": "A model of the catalogue; it is downloaded once.",
    "model_file": "A model of your own, or a downloaded one.",
    "prepare:image": "The image that is classified: a GeoTIFF of 8 bits whose bands carry their names.",
    "prepare:report": "What was checked: how the bands fit together, holes, odd values.",
    "classify:land_cover": "Raster of class codes with names and colours.",
}
MODELS = {
    "train_on_my_area": train_on_my_area,
    "prepare_and_classify": prepare_and_classify,
    "classify_and_count": classify_and_count,
    "compare_two_years": compare_two_years,
}


def main(folder: Path) -> None:
    """Write all models into a folder."""
    application = QgsApplication([], False)
    application.initQgis()
    from processing.core.Processing import Processing

    Processing.initialize()
    provider = FlairProvider()
    QgsApplication.processingRegistry().addProvider(provider)
    folder.mkdir(parents=True, exist_ok=True)
    for name, build in MODELS.items():
        path = folder / f"{name}.model3"
        model = build()
        valid, problems = model.validate()
        if not valid or not model.toFile(str(path)):
            raise SystemExit(f"{path} could not be made: {'; '.join(problems)}.")
        print(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "resources" / "models3")
    # QGIS's own teardown without a window may crash; the files are written
    sys.stdout.flush()
    os._exit(0)

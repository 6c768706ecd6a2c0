"""The models that go on from a land-cover map: polygons and hectares, and change between two years."""

from __future__ import annotations

from typing import Any

from model_parts import (
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
from qgis.core import (
    QgsProcessing,
    QgsProcessingModelAlgorithm,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterFile,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
)

from flair_qgis.catalogue import catalogue

# what any aerial image has
FEWEST_BANDS = "FLAIR-INC_rgb_15cl_resnet34-unet"
SMALLEST_AREA = 25
SMALLEST_CHANGE = 50


def model_inputs(top: int) -> list[Any]:
    """Return the inputs that choose a model, the first `top` pixels down."""
    name = QgsProcessingParameterEnum(
        "catalogue_model", "Model", list(catalogue()), defaultValue=FEWEST_BANDS, usesStaticStrings=True
    )
    file = QgsProcessingParameterFile(
        "model_file", "Model file (wins over the name)", fileFilter="Models (*.safetensors *.pth *.ckpt)"
    )
    return [(name, 140, top), (optional(file), 140, top + 60)]


def images(name: str, title: str) -> Any:
    """Return the definition of one or several images that make one mosaic."""
    return QgsProcessingParameterMultipleLayers(name, title, QgsProcessing.SourceType.TypeRaster)


def zone_inputs(top: int) -> list[Any]:
    """Return the inputs that choose polygons for figures of their own."""
    polygons = QgsProcessing.SourceType.TypeVectorPolygon
    zones = QgsProcessingParameterFeatureSource("zones", "Communes or parcels", [polygons])
    field = QgsProcessingParameterField("zone_field", "Field of their name", None, "zones")
    return [(optional(zones), 140, top), (optional(field), 140, top + 60)]


def classification(image: str) -> dict[str, Any]:
    """Return the values of a step that classifies one of the images."""
    return {
        "INPUT": from_input(image),
        "MODEL_NAME": from_input_or_default("catalogue_model", f"'{FEWEST_BANDS}'"),
        "MODEL": from_input("model_file"),
        "EXTENT": from_input("extent"),
    }


def classify_and_count() -> QgsProcessingModelAlgorithm:
    """Return the model from an image to polygons and hectares: classify, polygonise, count."""
    model = QgsProcessingModelAlgorithm("Classify, polygonise and count", "FLAIR land cover", "")
    real = QgsProcessingParameterNumber.Type.Double
    smallest = number("minimum_area", "Smallest polygon in m²", real, SMALLEST_AREA, 0, 1000000)
    add_inputs(
        model,
        [
            (images("images", "Aerial images"), 140, 120),
            *model_inputs(180),
            (optional(QgsProcessingParameterExtent("extent", "Extent")), 140, 300),
            (smallest, 140, 492),
            *zone_inputs(684),
        ],
    )
    add_step(
        model,
        "classify",
        "Classify land cover",
        "flair:classify",
        (480, 204),
        classification("images"),
        (Output("land_cover", "Land cover", "OUTPUT"),),
    )
    classified = SOURCE.fromChildOutput("classify", "OUTPUT")
    add_step(
        model,
        "polygonise",
        "Land cover to polygons",
        "flair:polygonise",
        (480, 492),
        {"INPUT": classified, "MINIMUM_AREA": from_input_or_default("minimum_area", str(SMALLEST_AREA))},
        (Output("polygons", "Land-cover polygons", "OUTPUT"),),
    )
    add_step(
        model,
        "count",
        "Areas by class",
        "flair:areastatistics",
        (480, 696),
        {"INPUT": classified, "AREA": from_input("zones"), "AREA_FIELD": from_input("zone_field")},
        (Output("folder", "Folder of tables", "OUTPUT"), Output("report", "Report of areas", "REPORT")),
    )
    add_frame(model, "1. Map the image", "#e3ecf9", (10, 48, 920, 324))
    add_frame(model, "2. Polygons for your drawing", "#fdf0d5", (10, 396, 920, 180))
    add_frame(model, "3. Hectares, of the map as it is", "#e4f4ea", (10, 600, 920, 228))
    model.setHelpContent(COUNT_HELP)
    return model


def compare_two_years() -> QgsProcessingModelAlgorithm:
    """Return the model from two images of one place to what changed: classify both, compare."""
    model = QgsProcessingModelAlgorithm("Compare two years", "FLAIR land cover", "")
    real = QgsProcessingParameterNumber.Type.Double
    smallest = number("minimum_area", "Smallest change in m²", real, SMALLEST_CHANGE, 0, 1000000)
    add_inputs(
        model,
        [
            (images("before", "Images of the earlier year"), 140, 120),
            (images("after", "Images of the later year"), 140, 180),
            *model_inputs(240),
            (optional(QgsProcessingParameterExtent("extent", "Extent")), 140, 360),
            (smallest, 140, 516),
            *zone_inputs(576),
        ],
    )
    for name, title, top in (("before", "the earlier year", 156), ("after", "the later year", 288)):
        add_step(
            model,
            f"classify_{name}",
            f"Classify {title}",
            "flair:classify",
            (480, top),
            classification(name),
            (Output(f"{name}_map", f"Land cover of {title}", "OUTPUT"),),
        )
    add_step(
        model,
        "change",
        "Change between the two",
        "flair:change",
        (480, 552),
        {
            "BEFORE": SOURCE.fromChildOutput("classify_before", "OUTPUT"),
            "AFTER": SOURCE.fromChildOutput("classify_after", "OUTPUT"),
            "MINIMUM_AREA": from_input_or_default("minimum_area", str(SMALLEST_CHANGE)),
            "AREA": from_input("zones"),
            "AREA_FIELD": from_input("zone_field"),
        },
        (
            Output("changes", "Raster of changes", "CHANGE_MAP"),
            Output("folder", "Folder of tables", "OUTPUT"),
            Output("report", "Report of changes", "REPORT"),
        ),
    )
    add_frame(model, "1. Map both years with one model", "#e3ecf9", (10, 48, 920, 372))
    add_frame(model, "2. What became what", "#fdf0d5", (10, 444, 920, 312))
    model.setHelpContent(COMPARE_HELP)
    return model


CHOICE_HELP = {
    "extent": "Part to map; empty: the whole. Needed for layers that are drawn by a service.",
    "catalogue_model": "A model of the catalogue whose bands the images have; it is downloaded once.",
    "model_file": "A model of your own, or a downloaded one.",
    "zones": "Each polygon gets figures of its own; empty: the map as a whole.",
    "zone_field": "Field that names the polygons; empty: name or id, whichever there is, else a number.",
}
COUNT_HELP = {
    "ALG_DESC": (
        "<p>From an aerial image to polygons and hectares: classifies it, makes polygons that share their borders, "
        "and counts the hectares of each class, by communes or parcels if you give some.</p><p>Hectares are counted "
        "on the map itself, before small polygons join a neighbour.</p>"
    ),
    **CHOICE_HELP,
    "images": "One layer, or several that make one mosaic.",
    "minimum_area": "Smaller polygons join a neighbour.",
    "classify:land_cover": "Raster of class codes with names and colours.",
    "polygonise:polygons": "A polygon for each connected area of a class, in the colours of the classes.",
    "count:folder": "Folder with areas.csv and, with polygons, areas.gpkg.",
    "count:report": "Hectares and per cent by class, as a page to print.",
}
COMPARE_HELP = {
    "ALG_DESC": (
        "<p>From images of two years to what changed: classifies both with one model and compares the maps.</p>"
        "<p>Maps of two years also differ where nothing changed, most of all along borders: a smallest change leaves "
        "such specks out. Images of one season and one resolution compare best.</p>"
    ),
    **CHOICE_HELP,
    "before": "One layer, or several that make one mosaic.",
    "after": "The same place later; its grid is the result's.",
    "minimum_area": "Smaller changes are left out.",
    "classify_before:before_map": "Raster of class codes with names and colours.",
    "classify_after:after_map": "Raster of class codes with names and colours.",
    "change:changes": "Each transition has a code: 100 times the class before plus the class after.",
    "change:folder": "Folder with change.csv.",
    "change:report": "A matrix of hectares, gains and losses by class and of sealed ground.",
}

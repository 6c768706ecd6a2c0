"""`flair:classify`: from raster layers and a model to a styled land-cover map."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Optional

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFile,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterString,
)

from ..catalogue import DEFAULT_GROUND_SAMPLING_DISTANCE, catalogue
from ..i18n import tr
from ..image_inputs import ImageInputs
from ..layer_rendering import round_distance
from ..live_index import LiveIndex, index_path, load_index
from ..model_file import ModelDescription
from ..paths import absolute
from ..progress import Progress
from ..styling import StylePostProcessor
from .base import DEVICES, FlairAlgorithm
from .classify_checks import check_output, given_model
from .image_checks import check_layers, parse_bands
from .season_checks import check_season

INPUT = "INPUT"
MODEL_NAME = "MODEL_NAME"
MODEL = "MODEL"
WEIGHTS = "WEIGHTS"
BANDS = "BANDS"
EXTENT = "EXTENT"
AREA = "AREA"
SEASON = "SEASON"
DEVICE = "DEVICE"
PRECISION = "PRECISION"
BLEND = "BLEND"
AUGMENT = "AUGMENT"
WINDOW = "WINDOW"
MARGIN = "MARGIN"
BATCH_SIZE = "BATCH_SIZE"
MEMORY = "MEMORY"
LAYOUT = "LAYOUT"
SHEET_SIZE = "SHEET_SIZE"
NODATA = "NODATA"
GROUND_SAMPLING_DISTANCE = "GROUND_SAMPLING_DISTANCE"
THREADS = "THREADS"
ALLOW_SCALE = "ALLOW_SCALE"
ALLOW_RANGE = "ALLOW_RANGE"
OVERWRITE = "OVERWRITE"
OUTPUT = "OUTPUT"
CONFIDENCE = "CONFIDENCE"
PROBABILITIES = "PROBABILITIES"
PIXELS = "PIXELS"
SECONDS = "SECONDS"

# Pixels around what is classified that the network looks at, as the engine has it.
CONTEXT = 96
PRECISIONS = ["auto", "exact", "half", "int8"]
LAYOUTS = ["single", "sheets"]


class ClassifyAlgorithm(FlairAlgorithm):
    """Classifies raster layers into land-cover classes."""

    NAME = "classify"
    IMAGES = (INPUT,)

    def displayName(self) -> str:
        return tr("Classify land cover")

    def shortDescription(self) -> str:
        return tr("Turns aerial imagery into a land-cover map with a FLAIR model or one of your own.")

    def tags(self) -> List[str]:
        return tr("land cover,classification,segmentation,deep learning,aerial,orthophoto,flair").split(",")

    def help_text(self) -> str:
        return tr(
            "<p>Turns aerial imagery into a land-cover map: a raster of class codes with the names "
            "and colours of the "
            "model's nomenclature.</p>"
            "<p><b>Images.</b> One layer, or several that make one mosaic. Layers drawn by a service (WMS, XYZ) are "
            "copied first, at the model's resolution, for the extent or area you choose.</p>"
            "<p><b>Model.</b> A name from the catalogue, or a model file, which then wins. A "
            "catalogue model whose weights "
            "lie on your disk takes them as Weights.</p>"
            "<p><b>Bands.</b> Told by the file where it says so. Otherwise name them, for example "
            "<code>red=1,green=2,blue=3,infrared=4,elevation=5</code>.</p>"
            "<p><b>Resolution.</b> An image whose pixels differ in size from the model's is "
            "resampled on the fly; the map "
            "comes out on the image's grid.</p>"
            "<p>A run that was interrupted goes on where it was when you start it again with the "
            "same values and the same "
            "output file.</p>"
            "<p><b>Example.</b> <code>qgis_process run flair:classify -- "
            "INPUT=image.tif MODEL=model.safetensors OUTPUT=landcover.tif</code></p>"
        )

    def initAlgorithm(self, configuration: Optional[Dict[str, Any]] = None) -> None:
        self._add_inputs()
        self._add_advanced()
        self.addParameter(QgsProcessingParameterRasterDestination(OUTPUT, tr("Land cover")))
        for name, title in ((CONFIDENCE, tr("Confidence")), (PROBABILITIES, tr("Class probabilities"))):
            self.addParameter(
                QgsProcessingParameterRasterDestination(name, title, optional=True, createByDefault=False)
            )
        self.addOutput(QgsProcessingOutputNumber(PIXELS, tr("Classified pixels")))
        self.addOutput(QgsProcessingOutputNumber(SECONDS, tr("Duration in seconds")))

    def _add_inputs(self) -> None:
        rasters, polygons = QgsProcessing.SourceType.TypeRaster, QgsProcessing.SourceType.TypeVectorPolygon
        names = list(catalogue())
        self.add(
            QgsProcessingParameterMultipleLayers(INPUT, tr("Images"), rasters),
            tr("Aerial images; several make one mosaic."),
        )
        self.add(
            QgsProcessingParameterEnum(
                MODEL_NAME,
                tr("Model"),
                options=names,
                defaultValue=names[0] if names else None,
                optional=True,
                usesStaticStrings=True,
            ),
            tr("A model of the catalogue."),
        )
        model_files = tr("Model files") + " (*.safetensors *.pth *.ckpt)"
        self.add(
            QgsProcessingParameterFile(MODEL, tr("Model file"), optional=True, fileFilter=model_files),
            tr("A model file; it wins over the name."),
        )
        self.add(
            QgsProcessingParameterFile(
                WEIGHTS, tr("Weights of the named model"), optional=True, fileFilter=model_files
            ),
            tr("A checkpoint on your disk for the model of the catalogue."),
        )
        self.add(
            QgsProcessingParameterString(BANDS, tr("Bands"), optional=True),
            tr("Numbers by name, such as red=1,green=2,blue=3,infrared=4; empty: told by the file."),
        )
        self.add(
            QgsProcessingParameterExtent(EXTENT, tr("Extent"), optional=True),
            tr("Part to classify; needed for layers that are drawn by a service."),
        )
        self.add(
            QgsProcessingParameterFeatureSource(AREA, tr("Area"), [polygons], optional=True),
            tr("Polygons that bound the part to classify."),
        )
        self.add(
            QgsProcessingParameterFile(SEASON, tr("Season"), QgsProcessingParameterFile.Behavior.Folder, optional=True),
            tr("Folder of satellite images, for a model that also looks at the season; Prepare a season makes it."),
        )

    def _add_advanced(self) -> None:
        for name, title, options, text in (
            (DEVICE, tr("Device"), DEVICES, tr("What computes; auto takes a GPU when there is one.")),
            (
                PRECISION,
                tr("Precision"),
                PRECISIONS,
                tr(
                    "auto: exact on CPU, half on GPU; exact: 32 bits; half: 16 bits; int8: fastest "
                    "on CPU, nearly the same."
                ),
            ),
            (LAYOUT, tr("Layout"), LAYOUTS, tr("single: one file; sheets: kilometric sheets under a .vrt file.")),
        ):
            enum = QgsProcessingParameterEnum(
                name, title, options=options, defaultValue=options[0], usesStaticStrings=True
            )
            self.add(enum, text, advanced=True)
        real, whole = QgsProcessingParameterNumber.Type.Double, QgsProcessingParameterNumber.Type.Integer
        sheet = QgsProcessingParameterNumber(SHEET_SIZE, tr("Sheet size"), real, defaultValue=1000.0, minValue=0.001)
        self.add(sheet, tr("Side of a sheet in units of the CRS."), advanced=True)
        for name, title, kind, least, most, text in (
            (WINDOW, tr("Window size"), whole, 64, 8192, tr("Side of a tile in pixels; empty: by memory.")),
            (MARGIN, tr("Margin"), whole, 0, 2048, tr("Context around a tile in pixels; empty: by the model.")),
            (BATCH_SIZE, tr("Batch size"), whole, 1, 256, tr("Tiles computed at once; empty: by memory.")),
            (MEMORY, tr("Memory"), real, 0.1, 1e6, tr("Memory that may be used, in GB; empty: what is free.")),
            (THREADS, tr("Threads"), whole, 1, 1024, tr("CPU threads; empty: all cores.")),
        ):
            self.add_number(name, title, text, kind, least, most, advanced=True)
        self.add_ground_sampling_distance(GROUND_SAMPLING_DISTANCE)
        self.add_nodata(NODATA)
        for name, title, default, text in (
            (BLEND, tr("Blend tiles"), False, tr("Weighted overlap of tiles; about 6 times slower.")),
            (AUGMENT, tr("Average over 8 symmetries"), False, tr("Slightly better maps; 8 times slower.")),
            (ALLOW_SCALE, tr("Accept any resolution"), False, tr("Even over 4 times off the model's.")),
            (ALLOW_RANGE, tr("Accept any values"), False, tr("Even outside the range the model was trained on.")),
            (OVERWRITE, tr("Replace an existing output"), True, tr("It is replaced once the new one is complete.")),
        ):
            self.add(QgsProcessingParameterBoolean(name, title, defaultValue=default), text, advanced=True)

    def _check(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> None:
        model = self._model(parameters, context)
        check_season(self.parameterAsFile(parameters, SEASON, context), model)
        bands = parse_bands(self.parameterAsString(parameters, BANDS, context), model)
        layers = self.parameterAsLayerList(parameters, INPUT, context)
        bounded = self.given(parameters, EXTENT) or self.given(parameters, AREA)
        check_layers(layers, model, bands, bounded)
        check_output(parameters.get(OUTPUT), self.parameterAsEnumString(parameters, LAYOUT, context) == "sheets")

    def prepareAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        # Everything that touches layers or the project happens here, on the main thread.
        self._images = ImageInputs(self.parameterAsLayerList(parameters, INPUT, context))
        self._description = self._model(parameters, context)
        if self.given(parameters, EXTENT):
            box = self.parameterAsExtent(parameters, EXTENT, context, self._images.crs)
            self._images.extent = None if box.isNull() else box
        self._images.area = self.area_source(parameters, AREA, context)
        self._images.margin = (
            self.parameterAsInt(parameters, MARGIN, context) if self.given(parameters, MARGIN) else CONTEXT
        )
        self._styles = {name: StylePostProcessor() for name in (OUTPUT, CONFIDENCE)}
        sheets = self.parameterAsEnumString(parameters, LAYOUT, context) == "sheets"
        self._live = LiveIndex.of(context) if sheets else None
        return True

    def processAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Dict[str, Any]:
        options = self._options(parameters, context)
        outputs = {
            name: self.parameterAsOutputLayer(parameters, name, context) for name in (OUTPUT, CONFIDENCE, PROBABILITIES)
        }
        outputs = {name: path for name, path in outputs.items() if path}
        options.update({name.lower(): absolute(path) for name, path in outputs.items()})
        folder = Path(tempfile.mkdtemp(prefix="flair_input_"))
        try:
            known = self._description
            gsd = round_distance(known.ground_sampling_distance) if known else DEFAULT_GROUND_SAMPLING_DISTANCE
            start = self._images.add_to(options, "input", gsd, folder, context, feedback)
            if self._live is not None and context.willLoadLayerOnCompletion(outputs[OUTPUT]):
                self._live.begin(index_path(options["output"]))
            result = self.run_engine("classify", options, feedback, Progress(feedback, start, 100))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            if self._live is not None:
                self._live.end()
        self._style_outputs(outputs, result, context)
        shown = self._live is not None and self._live.shown
        if result.get("index") and not shown and context.willLoadLayerOnCompletion(outputs[OUTPUT]):
            load_index(Path(result["index"]), context)
        values: Dict[str, Any] = dict(outputs)
        values[PIXELS] = int(result.get("pixels") or 0)
        values[SECONDS] = float(result.get("seconds") or 0.0)
        return values

    def _model(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> Optional[ModelDescription]:
        name = self.parameterAsEnumString(parameters, MODEL_NAME, context)
        return given_model(self.parameterAsFile(parameters, MODEL, context), name)

    def _options(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> Dict[str, Any]:
        options = self.plain_options(parameters, context, (MODEL,))
        if not options:
            options = self.plain_options(parameters, context, (WEIGHTS,))
            options["model"] = self.parameterAsEnumString(parameters, MODEL_NAME, context)
        bands = parse_bands(self.parameterAsString(parameters, BANDS, context), self._description)
        if bands:
            options["bands"] = bands
        plain = (SEASON, DEVICE, PRECISION, LAYOUT, BLEND, AUGMENT, ALLOW_SCALE, ALLOW_RANGE, OVERWRITE)
        plain += (SHEET_SIZE, WINDOW, MARGIN, BATCH_SIZE, THREADS, MEMORY, NODATA, GROUND_SAMPLING_DISTANCE)
        options.update(self.plain_options(parameters, context, plain))
        return options

    def _style_outputs(self, outputs: Dict[str, str], result: Dict[str, Any], context: QgsProcessingContext) -> None:
        for name, key in ((OUTPUT, "style"), (CONFIDENCE, "confidence_style")):
            path = outputs.get(name)
            if not path or not context.willLoadLayerOnCompletion(path):
                continue
            style = self._styles[name]
            style.style = Path(result[key]) if result.get(key) else Path(path).with_suffix(".qml")
            if name == OUTPUT and self._description is not None:
                style.classes = self._description.classes
            context.layerToLoadOnCompletionDetails(path).setPostProcessor(style)

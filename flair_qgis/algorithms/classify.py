"""`flair:classify`: from raster layers and a model to a styled land-cover map."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeatureSource,
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
    QgsRasterLayer,
    QgsRectangle,
)

from ..area import area_extent, write_area
from ..catalogue import DEFAULT_GROUND_SAMPLING_DISTANCE, catalogue
from ..errors import failure
from ..i18n import tr
from ..layers import LayerInput, describe_layer, readable_path
from ..model_file import ModelDescription
from ..progress import Progress
from ..styling import StylePostProcessor
from .base import FlairAlgorithm
from .classify_checks import check_images, check_layers, check_output, given_model, parse_bands

INPUT = "INPUT"
MODEL_NAME = "MODEL_NAME"
MODEL = "MODEL"
WEIGHTS = "WEIGHTS"
BANDS = "BANDS"
EXTENT = "EXTENT"
AREA = "AREA"
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

DEVICES = ["auto", "cpu", "cuda", "cuda:1", "cuda:2", "cuda:3", "mps"]
PRECISIONS = ["auto", "exact", "half", "int8"]
LAYOUTS = ["single", "sheets"]
# share of the progress bar for copying layers that are not files
COPY_PART = 30.0


class ClassifyAlgorithm(FlairAlgorithm):
    """Classifies raster layers into land-cover classes."""

    NAME = "classify"

    def displayName(self) -> str:
        return tr("Classify land cover")

    def shortDescription(self) -> str:
        return tr("Turns aerial imagery into a land-cover map with a FLAIR model or one of your own.")

    def tags(self) -> List[str]:
        return tr("land cover,classification,segmentation,deep learning,aerial,orthophoto,flair").split(",")

    def shortHelpString(self) -> str:
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
            (
                GROUND_SAMPLING_DISTANCE,
                tr("Ground sampling distance"),
                real,
                1e-6,
                1e6,
                tr("Metres on the ground per image pixel; empty: told by the file."),
            ),
            (
                NODATA,
                tr("No data value"),
                real,
                None,
                None,
                tr("Image value without meaning; empty: told by the file."),
            ),
        ):
            number = QgsProcessingParameterNumber(name, title, kind, defaultValue=None, optional=True)
            if least is not None:
                number.setMinimum(least)
                number.setMaximum(most)
            self.add(number, text, advanced=True)
        for name, title, default, text in (
            (BLEND, tr("Blend tiles"), False, tr("Weighted overlap of tiles; about 6 times slower.")),
            (AUGMENT, tr("Average over 8 symmetries"), False, tr("Slightly better maps; 8 times slower.")),
            (ALLOW_SCALE, tr("Accept any resolution"), False, tr("Even over 4 times off the model's.")),
            (ALLOW_RANGE, tr("Accept any values"), False, tr("Even outside the range the model was trained on.")),
            (OVERWRITE, tr("Replace an existing output"), True, tr("It is replaced once the new one is complete.")),
        ):
            self.add(QgsProcessingParameterBoolean(name, title, defaultValue=default), text, advanced=True)

    def checkParameterValues(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> Tuple[bool, str]:
        valid, message = super().checkParameterValues(parameters, context)
        try:
            if not valid:
                check_images(parameters.get(INPUT), context)
                return valid, message
            model = self._model(parameters, context)
            bands = parse_bands(self.parameterAsString(parameters, BANDS, context), model)
            layers = self.parameterAsLayerList(parameters, INPUT, context)
            bounded = self.given(parameters, EXTENT) or self.given(parameters, AREA)
            check_layers(layers, model, bands, bounded)
            check_output(parameters.get(OUTPUT), self.parameterAsEnumString(parameters, LAYOUT, context) == "sheets")
        except Exception as error:  # whatever is wrong with the values, the dialog shows it as a sentence
            return False, str(error)
        return True, ""

    def prepareAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        # Everything that touches layers or the project happens here, on the main thread.
        layers = [
            layer
            for layer in self.parameterAsLayerList(parameters, INPUT, context)
            if isinstance(layer, QgsRasterLayer)
        ]
        if not layers:
            raise failure(tr("None of the images can be read."), tr("Check that their sources exist."))
        self._layers: List[LayerInput] = [describe_layer(layer) for layer in layers]
        self._description = self._model(parameters, context)
        crs = self._layers[0].crs
        self._extent: Optional[QgsRectangle] = None
        if self.given(parameters, EXTENT):
            box = self.parameterAsExtent(parameters, EXTENT, context, crs)
            self._extent = None if box.isNull() else box
        self._area: Optional[QgsFeatureSource] = None
        if self.given(parameters, AREA):
            self._area = self.parameterAsSource(parameters, AREA, context)
            if self._area is None:
                raise failure(tr("The area layer cannot be read."), tr("Choose a polygon layer."))
        self._styles = {name: StylePostProcessor() for name in (OUTPUT, CONFIDENCE)}
        return True

    def processAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Dict[str, Any]:
        options = self._options(parameters, context)
        outputs = {
            name: self.parameterAsOutputLayer(parameters, name, context) for name in (OUTPUT, CONFIDENCE, PROBABILITIES)
        }
        outputs = {name: path for name, path in outputs.items() if path}
        options.update({name.lower(): path for name, path in outputs.items()})
        folder = Path(tempfile.mkdtemp(prefix="flair_input_"))
        try:
            start = self._add_images(options, folder, context, feedback)
            result = self.run_engine("classify", options, feedback, Progress(feedback, start, 100))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self._style_outputs(outputs, result, context)
        values: Dict[str, Any] = dict(outputs)
        values[PIXELS] = int(result.get("pixels") or 0)
        values[SECONDS] = float(result.get("seconds") or 0.0)
        return values

    def _model(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> Optional[ModelDescription]:
        name = self.parameterAsEnumString(parameters, MODEL_NAME, context)
        return given_model(self.parameterAsFile(parameters, MODEL, context), name)

    def _options(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> Dict[str, Any]:
        model = self.parameterAsFile(parameters, MODEL, context)
        options: Dict[str, Any] = {
            "model": model or self.parameterAsEnumString(parameters, MODEL_NAME, context),
            "sheet_size": self.parameterAsDouble(parameters, SHEET_SIZE, context),
        }
        weights = self.parameterAsFile(parameters, WEIGHTS, context)
        if weights and not model:
            options["weights"] = weights
        bands = parse_bands(self.parameterAsString(parameters, BANDS, context), self._description)
        if bands:
            options["bands"] = bands
        for name in (DEVICE, PRECISION, LAYOUT):
            options[name.lower()] = self.parameterAsEnumString(parameters, name, context)
        for name in (BLEND, AUGMENT, ALLOW_SCALE, ALLOW_RANGE, OVERWRITE):
            options[name.lower()] = self.parameterAsBool(parameters, name, context)
        for name in (WINDOW, MARGIN, BATCH_SIZE, THREADS):
            if self.given(parameters, name):
                options[name.lower()] = self.parameterAsInt(parameters, name, context)
        for name in (MEMORY, NODATA, GROUND_SAMPLING_DISTANCE):
            if self.given(parameters, name):
                options[name.lower()] = self.parameterAsDouble(parameters, name, context)
        return options

    def _add_images(
        self, options: Dict[str, Any], folder: Path, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> float:
        """Add images, area and extent to the options; return where the progress bar stands afterwards."""
        crs = self._layers[0].crs
        bounds = self._extent
        if self._area is not None:
            area = folder / "area.gpkg"
            write_area(self._area, area, crs, self._extent, context.transformContext(), feedback)
            options["area"] = str(area)
            box = area_extent(area)
            bounds = box if bounds is None else bounds.intersect(box)
        elif self._extent is not None:
            box = self._extent
            corners = (box.xMinimum(), box.xMaximum(), box.yMinimum(), box.yMaximum())
            options["extent"] = ",".join(repr(value) for value in corners)
        copied = [layer for layer in self._layers if layer.path is None]
        gsd = self._description.ground_sampling_distance if self._description else DEFAULT_GROUND_SAMPLING_DISTANCE
        options["input"] = self._readable(copied, bounds, crs, gsd, folder, feedback)
        overrides = {layer.crs_text for layer in self._layers}
        if len(overrides) == 1 and overrides != {None}:
            options["crs"] = overrides.pop()
        return COPY_PART if copied else 0.0

    def _readable(
        self,
        copied: List[LayerInput],
        bounds: Optional[QgsRectangle],
        crs: QgsCoordinateReferenceSystem,
        gsd: float,
        folder: Path,
        feedback: QgsProcessingFeedback,
    ) -> List[str]:
        paths: List[str] = []
        share = COPY_PART / max(1, len(copied))
        done = 0
        for number, layer in enumerate(self._layers):
            progress = Progress(feedback, done * share, (done + 1) * share)
            extent = None if bounds is None else (bounds, crs)
            paths.append(readable_path(layer, extent, gsd, folder / f"image_{number}.tif", feedback, progress))
            done += layer.path is None
        return paths

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

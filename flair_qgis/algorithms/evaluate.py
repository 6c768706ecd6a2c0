"""`flair:evaluate`: from a map and what is true to figures, a report and a map of errors."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Optional

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputFile,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

from ..catalogue import catalogue
from ..errors import failure
from ..i18n import tr
from ..judged_raster import JudgedRaster
from ..label_inputs import describe_label_raster
from ..model_file import read_model_file
from ..paths import absolute
from ..progress import Progress
from ..result_files import check_place, load_instead, named_path, placed
from ..styling import StylePostProcessor
from .base import DEVICES, FlairAlgorithm
from .evaluate_checks import (
    check_field,
    check_idle,
    check_patches,
    check_prediction,
    check_together,
    judges_rasters,
    refuse_error_map,
)
from .extract_checks import check_classes, check_yaml
from .image_checks import check_layers, parse_bands
from .season_checks import check_season_folder
from .season_parameters import add_season
from .train_checks import parse_codes

PREDICTION = "PREDICTION"
TRUTH = "TRUTH"
CLASS_FIELD = "CLASS_FIELD"
TRUTH_RASTER = "TRUTH_RASTER"
CLASSES = "CLASSES"
MODEL = "MODEL"
MODEL_NAME = "MODEL_NAME"
WEIGHTS = "WEIGHTS"
DATA = "DATA"
SPLIT = "SPLIT"
ROOT = "ROOT"
SEASON = "SEASON"
CENTROIDS = "CENTROIDS"
METADATA = "METADATA"
DEFINITION = "DEFINITION"
AREA = "AREA"
AREA_FIELD = "AREA_FIELD"
IMAGE = "IMAGE"
BANDS = "BANDS"
NOMENCLATURE = "NOMENCLATURE"
IGNORE = "IGNORE"
BLOCK = "BLOCK"
SEED = "SEED"
NODATA = "NODATA"
DEVICE = "DEVICE"
THREADS = "THREADS"
OVERWRITE = "OVERWRITE"
OUTPUT = "OUTPUT"
ERROR_MAP = "ERROR_MAP"
REPORT = "REPORT"
PREDICTIONS = "PREDICTIONS"
METRICS = "METRICS"
CONFUSION = "CONFUSION"
MIOU = "MIOU"
OVERALL_ACCURACY = "OVERALL_ACCURACY"
KAPPA = "KAPPA"
FSCORE = "FSCORE"
PIXELS = "PIXELS"
SECONDS = "SECONDS"

DEFINITIONS = ["strict", "ign", "ign-present", "challenge12"]
SPLITS = ["test", "val", "train"]
# Parameters that speak of rasters alone.
IDLE = (CLASS_FIELD, NOMENCLATURE, AREA, AREA_FIELD, IMAGE, BANDS, NODATA)
ALWAYS = (CLASSES, DEFINITION, SEED, THREADS, OVERWRITE)
OF_RASTERS = (CLASS_FIELD, NOMENCLATURE, AREA_FIELD, NODATA, BLOCK)
OF_PATCHES = (DATA, SPLIT, ROOT, SEASON, CENTROIDS, METADATA, DEVICE)
REPORT_FILE, ERRORS_FILE = "report.html", "errors.tif"
BESIDE_ERRORS = (".tif.aux.xml", ".qml")


class EvaluateAlgorithm(FlairAlgorithm):
    """Judges a class raster by its truth, or a model on a data set."""

    NAME = "evaluate"
    GROUP = "evaluation"
    IMAGES = (PREDICTION, TRUTH_RASTER, IMAGE)

    def displayName(self) -> str:
        return tr("Evaluate a map or a model")

    def shortDescription(self) -> str:
        return tr("Compares a land-cover map with what is true, or judges a model on patches: figures and errors.")

    def tags(self) -> List[str]:
        return tr("evaluation,accuracy,validation,confusion matrix,IoU,kappa,F-score,error map,flair").split(",")

    def help_text(self) -> str:
        return tr(
            "<p>Says how good a land-cover map is, or a model: figures, a report with the confusion matrix and the "
            "worst places, and a map of what is right and what is wrong.</p>"
            "<p><b>A map.</b> Choose the class raster as the prediction, and what is true as polygons with the class "
            "in one of their fields, or as a raster of class codes. Both may have another CRS or another grid than "
            "the prediction. What the truth does not cover is not judged. Without a name for the map of errors it "
            "lies in the folder of results, as errors.tif.</p>"
            "<p><b>A model.</b> Choose a model file, or a name of the catalogue, and a data set that <i>Extract "
            "training patches</i> made: the model predicts the patches of one part, by default those for testing.</p>"
            "<p><b>Classes.</b> Empty when the truth holds codes or names of the prediction's classes. Otherwise say "
            "what each of its classes is: <code>Wald=7,Haus=building,unknown=0</code>, where 0 leaves a class out; "
            "or the path of a YAML file of such lines.</p>"
            "<p><b>Definition.</b> What the figures count; they differ by several points. strict: what is not "
            "predicted, or as a disabled class, is missed, and means are taken over the classes of the truth; ign: as "
            "IGN computes its figures, where missing predictions are dropped and a class absent from the truth counts "
            "as 0; ign-present: the same without absent classes, as on IGN's model cards; challenge12: the twelve "
            "classes of the FLAIR #2 challenge. The report gives all of them.</p>"
            "<p><b>Area.</b> Polygons bound the part to judge, and each gets figures of its own in the report.</p>"
            "<p><b>Results.</b> A folder with report.html, metrics.json, confusion.csv and errors.tif; mean IoU, "
            "overall accuracy, kappa and F-score as numbers from 0 to 1, for the steps of a model. An earlier "
            "evaluation in that folder is replaced once the new one is complete; a folder that holds anything else "
            "never is.</p>"
            "<p><b>Example.</b> <code>qgis_process run flair:evaluate -- PREDICTION=map.tif TRUTH=parcels.gpkg "
            "CLASS_FIELD=landuse CLASSES=Wald=7,Haus=1 OUTPUT=evaluation</code></p>"
        )

    def initAlgorithm(self, configuration: Optional[Dict[str, Any]] = None) -> None:
        self._add_rasters()
        self._add_patches()
        self._add_choices()
        self._add_advanced()
        self.addParameter(QgsProcessingParameterFolderDestination(OUTPUT, tr("Folder of results")))
        self.addParameter(QgsProcessingParameterRasterDestination(ERROR_MAP, tr("Map of errors"), optional=True))
        self.addParameter(QgsProcessingParameterFileDestination(REPORT, tr("Report"), "HTML (*.html)", optional=True))
        self.addParameter(
            QgsProcessingParameterFolderDestination(
                PREDICTIONS, tr("Class rasters of the patches"), optional=True, createByDefault=False
            )
        )
        for name, title in (
            (MIOU, tr("Mean IoU, 0 to 1")),
            (OVERALL_ACCURACY, tr("Overall accuracy, 0 to 1")),
            (KAPPA, tr("Kappa")),
            (FSCORE, tr("Mean F-score, 0 to 1")),
            (PIXELS, tr("Judged pixels")),
            (SECONDS, tr("Duration in seconds")),
        ):
            self.addOutput(QgsProcessingOutputNumber(name, title))
        self.addOutput(QgsProcessingOutputFile(METRICS, tr("Figures (JSON)")))
        self.addOutput(QgsProcessingOutputFile(CONFUSION, tr("Confusion matrix (CSV)")))

    def _add_rasters(self) -> None:
        polygons = QgsProcessing.SourceType.TypeVectorPolygon
        self.add(
            QgsProcessingParameterRasterLayer(PREDICTION, tr("Prediction"), optional=True),
            tr("Raster of class codes to judge, as Classify land cover makes it."),
        )
        self.add(
            QgsProcessingParameterFeatureSource(TRUTH, tr("Truth as polygons"), [polygons], optional=True),
            tr("Polygons with the class in one of their fields."),
        )
        self.add(
            QgsProcessingParameterField(
                CLASS_FIELD, tr("Field of the class"), parentLayerParameterName=TRUTH, optional=True
            ),
            tr("Field that holds a code or a name; empty: code or class, whichever there is."),
        )
        self.add(
            QgsProcessingParameterRasterLayer(TRUTH_RASTER, tr("Truth as a raster"), optional=True),
            tr("Raster of class codes, instead of polygons."),
        )
        self.add(
            QgsProcessingParameterString(CLASSES, tr("Classes"), optional=True),
            tr(
                "What the classes of the truth are, such as Wald=7,Haus=1, or a YAML file of lines such as Wald: 7; "
                "0 leaves a class out. Empty: it holds codes or names of the prediction's classes."
            ),
        )

    def _add_patches(self) -> None:
        folder = QgsProcessingParameterFile.Behavior.Folder
        models = tr("Model files") + " (*.safetensors *.pth *.ckpt)"
        self.add(
            QgsProcessingParameterFile(MODEL, tr("Model file"), optional=True, fileFilter=models),
            tr("A model file to judge instead of a prediction."),
        )
        self.add(
            QgsProcessingParameterFile(DATA, tr("Data set"), folder, optional=True),
            tr("Folder of patches to judge the model on."),
        )
        self.add_choice(
            MODEL_NAME, tr("Model"), list(catalogue()), tr("A model of the catalogue."), None, advanced=True
        )
        self.add(
            QgsProcessingParameterFile(WEIGHTS, tr("Weights of the named model"), optional=True, fileFilter=models),
            tr("A checkpoint on your disk for the model of the catalogue."),
            advanced=True,
        )
        part = tr("Part of the data set that the model is judged on.")
        self.add_choice(SPLIT, tr("Part of the data set"), SPLITS, part, SPLITS[0], advanced=True)
        self.add(
            QgsProcessingParameterFile(ROOT, tr("Folder of the images"), folder, optional=True),
            tr("Folder that the paths in the CSV files start from; empty: theirs."),
            advanced=True,
        )
        add_season(
            self,
            SEASON,
            CENTROIDS,
            METADATA,
            tr("Folder of the patches' satellite images, for a model that also looks at the season."),
        )

    def _add_choices(self) -> None:
        rasters, polygons = QgsProcessing.SourceType.TypeRaster, QgsProcessing.SourceType.TypeVectorPolygon
        counted = tr("What the figures count; see the help.")
        self.add_choice(DEFINITION, tr("Definition"), DEFINITIONS, counted, DEFINITIONS[0])
        self.add(
            QgsProcessingParameterFeatureSource(AREA, tr("Area"), [polygons], optional=True),
            tr("Polygons that bound the part to judge; each gets figures of its own."),
        )
        self.add(
            QgsProcessingParameterField(
                AREA_FIELD, tr("Field of the name"), parentLayerParameterName=AREA, optional=True
            ),
            tr("Field that names the polygons of the area; empty: name or id, whichever there is, else a number."),
        )
        self.add(
            QgsProcessingParameterMultipleLayers(IMAGE, tr("Images"), rasters, optional=True),
            tr("Aerial images to show beside the worst places."),
        )

    def _add_advanced(self) -> None:
        real, whole = QgsProcessingParameterNumber.Type.Double, QgsProcessingParameterNumber.Type.Integer
        for name, title, text in (
            (
                BANDS,
                tr("Bands"),
                tr("Numbers by name, such as red=1,green=2,blue=3,infrared=4; empty: told by the file."),
            ),
            (
                NOMENCLATURE,
                tr("Nomenclature"),
                tr("flair, or a YAML file with classes of your own; empty: the prediction's own classes."),
            ),
            (
                IGNORE,
                tr("Classes to ignore"),
                tr("Codes of the truth that are not counted, such as 0,19; empty: the data set's."),
            ),
        ):
            self.add(QgsProcessingParameterString(name, title, optional=True), text, advanced=True)
        block = tr("Side, in pixels, of the blocks from which the intervals of the figures are drawn.")
        self.add_number(BLOCK, tr("Block size"), block, whole, 16, 2048, 512, advanced=True)
        drawn = tr("Another number draws other blocks for the intervals.")
        self.add_number(SEED, tr("Seed"), drawn, whole, 0, 2147483647, 0, advanced=True)
        nothing = tr("Value of the prediction that means nothing; empty: told by the file.")
        self.add_number(NODATA, tr("No data value"), nothing, real, advanced=True)
        computes = tr("What computes; auto takes a GPU when there is one.")
        self.add_choice(DEVICE, tr("Device"), DEVICES, computes, DEVICES[0], advanced=True)
        self.add_number(THREADS, tr("Threads"), tr("CPU threads; empty: all cores."), whole, 1, 1024, advanced=True)
        self.add_overwrite(OVERWRITE)

    def _check(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> bool:
        """Check the values, and return whether rasters are judged."""
        rasters = judges_rasters(
            self.given(parameters, PREDICTION),
            self.given(parameters, TRUTH) + self.given(parameters, TRUTH_RASTER),
            self.given(parameters, MODEL) or self.given(parameters, MODEL_NAME),
            self.given(parameters, DATA),
        )
        check_classes(self.text(parameters, CLASSES, context))
        parse_codes(self.text(parameters, IGNORE, context))
        if rasters:
            self._check_rasters(parameters, context)
        else:
            self._check_patches(parameters, context)
        output = named_path(parameters.get(OUTPUT))
        if output:
            for name, made in ((ERROR_MAP, ERRORS_FILE), (REPORT, REPORT_FILE)):
                check_place(named_path(parameters.get(name)), Path(output) / made)
        return rasters

    def _check_rasters(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> None:
        if self.given(parameters, PREDICTIONS):
            raise failure(
                tr("Class rasters of patches are asked for, but there are no patches."),
                tr("Clear that output, or choose a model and a data set."),
            )
        prediction = self.parameterAsRasterLayer(parameters, PREDICTION, context)
        check_prediction(prediction)
        if self.given(parameters, TRUTH):
            source = self.parameterAsSource(parameters, TRUTH, context)
            check_field(source, self.text(parameters, CLASS_FIELD, context))
            extent, crs = source.sourceExtent(), source.sourceCrs()
        else:
            truth = describe_label_raster(self.parameterAsRasterLayer(parameters, TRUTH_RASTER, context))
            extent, crs = truth.extent, truth.crs
        check_together(prediction, extent, crs, context.transformContext())
        if self.given(parameters, AREA):
            area = self.area_source(parameters, AREA, context)
            check_field(area, self.text(parameters, AREA_FIELD, context))
        nomenclature = self.text(parameters, NOMENCLATURE, context)
        check_yaml(nomenclature)
        bands = parse_bands(self.text(parameters, BANDS, context), None)
        if self.given(parameters, IMAGE):
            check_layers(self.parameterAsLayerList(parameters, IMAGE, context), None, bands, bounded=True)

    def _check_patches(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> None:
        titles = {name: self.parameterDefinition(name).description() for name in IDLE}
        check_idle({title: self.given(parameters, name) for name, title in titles.items()})
        for name in (MODEL, WEIGHTS):
            if self.given(parameters, name):
                read_model_file(Path(self.parameterAsFile(parameters, name, context)).expanduser())
        check_season_folder(self.parameterAsFile(parameters, SEASON, context))
        split = self.parameterAsEnumString(parameters, SPLIT, context)
        check_patches(self.parameterAsFile(parameters, DATA, context), split, SPLITS)
        refuse_error_map(named_path(parameters.get(ERROR_MAP)))

    def prepareAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        # Everything that touches layers or the project happens here, on the main thread. The checks are made once
        # more, because a model does not make them for its steps.
        self._style = StylePostProcessor()
        self._inputs: Optional[JudgedRaster] = None
        if self._check(parameters, context):
            self._inputs = JudgedRaster(self.parameterAsRasterLayer(parameters, PREDICTION, context))
            for name in (TRUTH, AREA):
                if self.given(parameters, name):
                    self._inputs.polygons[name.lower()] = self.polygon_file(parameters, name, context, feedback)
            if self.given(parameters, TRUTH_RASTER):
                self._inputs.truth = describe_label_raster(
                    self.parameterAsRasterLayer(parameters, TRUTH_RASTER, context)
                )
            if self.given(parameters, IMAGE):
                self._inputs.show(self.parameterAsLayerList(parameters, IMAGE, context), context.transformContext())
        return True

    def processAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Dict[str, Any]:
        output = Path(absolute(self.parameterAsString(parameters, OUTPUT, context)))
        errors = self.parameterAsOutputLayer(parameters, ERROR_MAP, context)
        report = self.parameterAsFileOutput(parameters, REPORT, context)
        folder = Path(tempfile.mkdtemp(prefix="flair_input_"))
        try:
            options = self._options(parameters, context)
            options["output"] = str(output)
            start = self._inputs.add_to(options, folder, feedback) if self._inputs else 0.0
            result = self.run_engine("evaluate", options, feedback, Progress(feedback, start, 100))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        values: Dict[str, Any] = {OUTPUT: str(output)}
        for name in (METRICS, CONFUSION, PREDICTIONS):
            if result.get(name.lower()):
                values[name] = str(result[name.lower()])
        for name in (MIOU, OVERALL_ACCURACY, KAPPA, FSCORE, PIXELS, SECONDS):
            # a figure without a value is left out
            if result.get(name.lower()) is not None:
                values[name] = result[name.lower()]
        if result.get("report"):
            values[REPORT] = placed(Path(result["report"]), report)
        if result.get("error_map"):
            values[ERROR_MAP] = placed(Path(result["error_map"]), errors, BESIDE_ERRORS)
        self._show(errors, values.get(ERROR_MAP, ""), context)
        return values

    def _show(self, announced: str, path: str, context: QgsProcessingContext) -> None:
        if not announced:
            return
        load_instead(context, announced, path)
        self._style.attach(context, path, {})

    def _options(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> Dict[str, Any]:
        options = self.plain_options(parameters, context, ALWAYS)
        codes = parse_codes(self.text(parameters, IGNORE, context))
        if codes:
            options["ignore"] = codes
        if self._inputs is None:
            options.update(self.plain_options(parameters, context, (*OF_PATCHES, MODEL)))
            predictions = self.parameterAsString(parameters, PREDICTIONS, context)
            if predictions:
                options["predictions"] = absolute(predictions)
            if "model" not in options:
                options.update(self.plain_options(parameters, context, (WEIGHTS,)))
                options["model"] = self.parameterAsEnumString(parameters, MODEL_NAME, context)
        else:
            options.update(self.plain_options(parameters, context, OF_RASTERS))
            bands = parse_bands(self.text(parameters, BANDS, context), None)
            if bands:
                options["bands"] = bands
        return options

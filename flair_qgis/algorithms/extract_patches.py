"""`flair:extractpatches`: from images and labels to a data set to learn from."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsRectangle,
)

from ..catalogue import DEFAULT_GROUND_SAMPLING_DISTANCE
from ..class_table import write_class_table
from ..errors import failure
from ..i18n import tr
from ..image_inputs import ImageInputs
from ..label_inputs import (
    check_label_raster,
    describe_label_raster,
    extent_in,
    label_raster_path,
)
from ..layers import LayerInput
from ..paths import absolute, is_temporary
from ..progress import Progress
from .base import FlairAlgorithm
from .extract_checks import check_class_field, check_classes, check_one_kind_of_labels, check_yaml
from .image_checks import check_images, check_layers, parse_bands

IMAGE = "IMAGE"
LABELS = "LABELS"
CLASS_FIELD = "CLASS_FIELD"
LABELS_RASTER = "LABELS_RASTER"
CLASSES = "CLASSES"
NOMENCLATURE = "NOMENCLATURE"
BANDS = "BANDS"
AREA = "AREA"
PATCH_SIZE = "PATCH_SIZE"
OVERLAP = "OVERLAP"
LABELLED = "LABELLED"
VAL_SHARE = "VAL_SHARE"
TEST_SHARE = "TEST_SHARE"
BLOCK = "BLOCK"
SEED = "SEED"
GROUND_SAMPLING_DISTANCE = "GROUND_SAMPLING_DISTANCE"
NODATA = "NODATA"
OVERWRITE = "OVERWRITE"
OUTPUT = "OUTPUT"
TABLE = "TABLE"
TRAIN_PATCHES = "TRAIN_PATCHES"
VAL_PATCHES = "VAL_PATCHES"
TEST_PATCHES = "TEST_PATCHES"

PLAIN = (PATCH_SIZE, OVERLAP, LABELLED, VAL_SHARE, TEST_SHARE, BLOCK, SEED)
PLAIN += (GROUND_SAMPLING_DISTANCE, NODATA, OVERWRITE, CLASSES, NOMENCLATURE)


class ExtractPatchesAlgorithm(FlairAlgorithm):
    """Cuts images and labels into patches for training, validation and testing."""

    NAME = "extractpatches"
    GROUP = "training"

    def displayName(self) -> str:
        return tr("Extract training patches")

    def shortDescription(self) -> str:
        return tr("Cuts images and the polygons or the raster that label them into a data set to train a model on.")

    def tags(self) -> List[str]:
        return tr("training,patches,chips,labels,dataset,deep learning,segmentation,flair").split(",")

    def help_text(self) -> str:
        return tr(
            "<p>Cuts images and their labels into patches, and divides these into training, validation and test: a "
            "folder that <i>Train a model</i> learns from.</p>"
            "<p><b>Images.</b> One layer, or several that make one mosaic. Layers drawn by a service (WMS, XYZ) are "
            "copied first, for the area or else for the extent of the labels.</p>"
            "<p><b>Labels.</b> Polygons with the class in one of their fields, or a raster of class codes. They may "
            "have another CRS than the image. What no label covers is not learnt.</p>"
            "<p><b>Classes.</b> Empty when the labels hold codes or names of the nomenclature (in FLAIR 1 building ... "
            "18 greenhouse). Otherwise say what each of your classes is, by code or name: "
            "<code>Wald=7,Haus=building,unknown=0</code>, where 0 leaves a class out; or the path of a YAML file of "
            "lines such as <code>Wald: 7</code>. A YAML file as <b>nomenclature</b> replaces FLAIR's classes with "
            "classes of your own.</p>"
            "<p><b>Split.</b> Patches are split by blocks of neighbours, so that validation and test show other places "
            "than training. The table of pixels by class tells whether each class is in each part.</p>"
            "<p><b>Output.</b> A folder with dataset.yaml, lists (train.csv, val.csv, test.csv) and GeoTIFF patches. "
            "An existing data set is replaced once the new one is complete; a folder that holds anything else never "
            "is.</p>"
            "<p><b>Example.</b> <code>qgis_process run flair:extractpatches -- IMAGE=ortho.tif LABELS=parcels.gpkg "
            "CLASS_FIELD=landuse CLASSES=Wald=7,Haus=1 PATCH_SIZE=256 OUTPUT=dataset</code></p>"
        )

    def initAlgorithm(self, configuration: Optional[Dict[str, Any]] = None) -> None:
        self._add_inputs()
        self._add_numbers()
        self.add_overwrite(OVERWRITE)
        self.addParameter(QgsProcessingParameterFolderDestination(OUTPUT, tr("Data set")))
        self.addParameter(
            QgsProcessingParameterFileDestination(TABLE, tr("Table of classes"), "HTML (*.html)", optional=True)
        )
        self.addOutput(QgsProcessingOutputNumber(TRAIN_PATCHES, tr("Patches for training")))
        self.addOutput(QgsProcessingOutputNumber(VAL_PATCHES, tr("Patches for validation")))
        self.addOutput(QgsProcessingOutputNumber(TEST_PATCHES, tr("Patches for testing")))

    def _add_inputs(self) -> None:
        rasters, polygons = QgsProcessing.SourceType.TypeRaster, QgsProcessing.SourceType.TypeVectorPolygon
        self.add(
            QgsProcessingParameterMultipleLayers(IMAGE, tr("Images"), rasters),
            tr("Aerial images; several make one mosaic."),
        )
        self.add(
            QgsProcessingParameterFeatureSource(LABELS, tr("Labels as polygons"), [polygons], optional=True),
            tr("Polygons with the class in one of their fields."),
        )
        self.add(
            QgsProcessingParameterField(
                CLASS_FIELD, tr("Field of the class"), parentLayerParameterName=LABELS, optional=True
            ),
            tr("Field that holds a code or a name; empty: code or class, whichever there is."),
        )
        self.add(
            QgsProcessingParameterRasterLayer(LABELS_RASTER, tr("Labels as a raster"), optional=True),
            tr("Raster of class codes, instead of polygons."),
        )
        self.add(
            QgsProcessingParameterString(CLASSES, tr("Classes"), optional=True),
            tr(
                "What your classes are in the nomenclature, such as Wald=7,Haus=1, or a YAML file of lines such as "
                "Wald: 7; 0 leaves a class out. Empty: the labels hold its codes or names."
            ),
        )
        self.add(
            QgsProcessingParameterString(BANDS, tr("Bands"), optional=True),
            tr("Numbers by name, such as red=1,green=2,blue=3,infrared=4; empty: told by the file."),
        )
        self.add(
            QgsProcessingParameterFeatureSource(AREA, tr("Area"), [polygons], optional=True),
            tr("Polygons that bound the part to cut patches from."),
        )
        self.add(
            QgsProcessingParameterString(NOMENCLATURE, tr("Nomenclature"), defaultValue="flair"),
            tr("flair, or a YAML file with classes of your own."),
            advanced=True,
        )

    def _add_numbers(self) -> None:
        real, whole = QgsProcessingParameterNumber.Type.Double, QgsProcessingParameterNumber.Type.Integer
        size = tr("Side of a patch in pixels, a multiple of 32.")
        self.add_number(PATCH_SIZE, tr("Patch size"), size, whole, 64, 4096, 512)
        for name, title, kind, least, most, default, text in (
            (OVERLAP, tr("Overlap"), whole, 0, 4095, 0, tr("Pixels that neighbouring patches share.")),
            (
                LABELLED,
                tr("Least labelled share"),
                real,
                0.0,
                1.0,
                0.1,
                tr("Patches with a smaller share of labelled pixels are left out, 0 to 1."),
            ),
            (
                VAL_SHARE,
                tr("Share for validation"),
                real,
                0.0,
                0.95,
                0.15,
                tr("Patches that judge each epoch of a training, 0 to 1."),
            ),
            (
                TEST_SHARE,
                tr("Share for testing"),
                real,
                0.0,
                0.95,
                0.15,
                tr("Patches that judge the finished model, 0 to 1."),
            ),
            (
                BLOCK,
                tr("Block size"),
                whole,
                1,
                10000,
                None,
                tr("Side, in patches, of the blocks that are split as a whole; empty: by the area."),
            ),
            (SEED, tr("Seed"), whole, 0, 2147483647, 0, tr("Another number gives another split.")),
        ):
            self.add_number(name, title, text, kind, least, most, default, advanced=True)
        self.add_ground_sampling_distance(GROUND_SAMPLING_DISTANCE)
        self.add_nodata(NODATA)

    def checkParameterValues(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> Tuple[bool, str]:
        valid, message = super().checkParameterValues(parameters, context)
        try:
            if not valid:
                check_images(parameters.get(IMAGE), context)
                return valid, message
            bands = parse_bands(self.parameterAsString(parameters, BANDS, context), None)
            check_layers(self.parameterAsLayerList(parameters, IMAGE, context), None, bands, bounded=True)
            self._check(parameters, context)
            if self.given(parameters, LABELS_RASTER):
                check_label_raster(self.parameterAsRasterLayer(parameters, LABELS_RASTER, context))
        except Exception as error:  # whatever is wrong with the values, the dialog shows it as a sentence
            return False, str(error)
        return True, ""

    def _check(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> None:
        polygons = self.given(parameters, LABELS)
        check_one_kind_of_labels(polygons, self.given(parameters, LABELS_RASTER))
        if polygons:
            source = self.parameterAsSource(parameters, LABELS, context)
            check_class_field(source, self._class_field(parameters, context))
        check_classes(self.parameterAsString(parameters, CLASSES, context).strip())
        nomenclature = self.parameterAsString(parameters, NOMENCLATURE, context).strip()
        check_yaml(nomenclature)
        size = self.parameterAsInt(parameters, PATCH_SIZE, context)
        if size % 32:
            raise failure(
                tr("A patch of {size} pixels is no multiple of 32.").format(size=size),
                tr("Choose {size}.").format(size=max(64, round(size / 32) * 32)),
            )
        if self.parameterAsInt(parameters, OVERLAP, context) >= size:
            raise failure(tr("Patches cannot overlap by their whole size."), tr("Choose a smaller overlap."))
        shares = [self.parameterAsDouble(parameters, name, context) for name in (VAL_SHARE, TEST_SHARE)]
        if sum(shares) >= 1:
            raise failure(
                tr("The shares for validation and testing leave nothing to learn from."), tr("Choose smaller shares.")
            )

    def prepareAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        # Everything that touches layers or the project happens here, on the main thread. The checks are made once
        # more, because a model does not make them for its steps.
        self._check(parameters, context)
        self._images = ImageInputs(self.parameterAsLayerList(parameters, IMAGE, context))
        self._images.area = self.area_source(parameters, AREA, context)
        self._label_file: Tuple[str, str] = ("", "")
        self._label_raster: Optional[LayerInput] = None
        self._field = self._class_field(parameters, context)
        if self.given(parameters, LABELS):
            box, crs = self._prepare_polygons(parameters, context, feedback)
        else:
            self._label_raster = describe_label_raster(self.parameterAsRasterLayer(parameters, LABELS_RASTER, context))
            box, crs = self._label_raster.extent, self._label_raster.crs
        self._images.around = extent_in(box, crs, self._images.crs, context.transformContext())
        return True

    def _prepare_polygons(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Tuple[QgsRectangle, QgsCoordinateReferenceSystem]:
        self._label_file = self.polygon_file(parameters, LABELS, context, feedback)
        source = self.parameterAsSource(parameters, LABELS, context)
        return source.sourceExtent(), source.sourceCrs()

    def processAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Dict[str, Any]:
        output = self._named(self.parameterAsString(parameters, OUTPUT, context))
        table = self.parameterAsFileOutput(parameters, TABLE, context)
        folder = Path(tempfile.mkdtemp(prefix="flair_input_"))
        try:
            options = self._options(parameters, context)
            options["output"] = absolute(output)
            gsd = options.get("ground_sampling_distance", DEFAULT_GROUND_SAMPLING_DISTANCE)
            start = self._images.add_to(options, "image", gsd, folder, context, feedback)
            self._add_labels(options, folder, feedback)
            result = self.run_engine("extract-patches", options, feedback, Progress(feedback, start, 100))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        patches = result.get("patches") or {}
        values: Dict[str, Any] = {OUTPUT: output}
        for name, split in ((TRAIN_PATCHES, "train"), (VAL_PATCHES, "val"), (TEST_PATCHES, "test")):
            values[name] = int(patches.get(split) or 0)
        if table:
            write_class_table(table, Path(output).name, result.get("table") or [], patches)
            values[TABLE] = table
        return values

    def _named(self, output: str) -> str:
        """Return the output folder; a temporary one, which QGIS calls after the parameter, bears the image's name.

        The name of a data set stands in reports and in the models that learnt from it.
        """
        if not is_temporary(output):
            return output
        return str(Path(output).with_name(re.sub(r"[^\w-]+", "_", self._images.layers[0].name) or OUTPUT))

    def _options(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> Dict[str, Any]:
        options = self.plain_options(parameters, context, PLAIN)
        bands = parse_bands(self.parameterAsString(parameters, BANDS, context), None)
        if bands:
            options["bands"] = bands
        return options

    def _add_labels(self, options: Dict[str, Any], folder: Path, feedback: QgsProcessingFeedback) -> None:
        if self._label_raster is not None:
            options["labels"] = label_raster_path(self._label_raster, folder, feedback)
            return
        path, layer = self._label_file
        options["labels"] = path
        if layer:
            options["label_layer"] = layer
        if self._field:
            options["class_field"] = self._field

    def _class_field(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> str:
        return self.parameterAsString(parameters, CLASS_FIELD, context).strip()

"""`flair:change`: what changed between two class rasters."""

from __future__ import annotations

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
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

from ..class_rasters import class_raster_options, describe_class_raster
from ..errors import failure
from ..i18n import tr
from ..label_inputs import extent_in
from ..layers import LayerInput
from ..paths import absolute
from ..result_files import check_place, load_instead, named_path, placed
from ..styling import StylePostProcessor
from .base import FlairAlgorithm
from .evaluate_checks import check_zones
from .extract_checks import check_yaml

BEFORE = "BEFORE"
AFTER = "AFTER"
MINIMUM_AREA = "MINIMUM_AREA"
AREA = "AREA"
AREA_FIELD = "AREA_FIELD"
BEFORE_CONFIDENCE = "BEFORE_CONFIDENCE"
AFTER_CONFIDENCE = "AFTER_CONFIDENCE"
MINIMUM_CONFIDENCE = "MINIMUM_CONFIDENCE"
GROUPS = "GROUPS"
NOMENCLATURE = "NOMENCLATURE"
OVERWRITE = "OVERWRITE"
OUTPUT = "OUTPUT"
CHANGE_MAP = "CHANGE_MAP"
REPORT = "REPORT"
TABLE = "TABLE"
CHANGED = "CHANGED"
COMPARED = "COMPARED"
SECONDS = "SECONDS"

RASTERS = (BEFORE, AFTER, BEFORE_CONFIDENCE, AFTER_CONFIDENCE)
PLAIN = (MINIMUM_AREA, MINIMUM_CONFIDENCE, AREA_FIELD, GROUPS, NOMENCLATURE, OVERWRITE)
RASTER_FILE, REPORT_FILE = "change.tif", "report.html"
BESIDE_RASTER = (".tif.aux.xml", ".qml")


class ChangeAlgorithm(FlairAlgorithm):
    """Compares two class rasters."""

    NAME = "change"
    GROUP = "maps"
    IMAGES = RASTERS

    def displayName(self) -> str:
        return tr("Change between two maps")

    def shortDescription(self) -> str:
        return tr("Compares land-cover maps of two dates: what became what, and how much soil was sealed.")

    def tags(self) -> List[str]:
        return tr("change,change detection,transition,sealing,artificialisation,before,after,matrix,flair").split(",")

    def help_text(self) -> str:
        return tr(
            "<p>Compares two land-cover maps of one place: a raster of changes with a legend, a matrix of hectares, "
            "and what each class gained and lost.</p>"
            "<p><b>Maps.</b> Both in one nomenclature. The grid of the later map counts; of an earlier one on another "
            "grid or in another CRS, the pixel nearest to each centre is taken, and the log says so.</p>"
            "<p><b>Raster of changes.</b> The code is 100 times the class before plus the class after: 1003 is "
            "herbaceous vegetation that became impervious surface. 1 is unchanged, 2 a change that was left out, 0 "
            "what cannot be compared.</p>"
            "<p><b>Noise.</b> Two maps also differ where nothing changed, most of all along borders. A smallest "
            "change leaves out groups of pixels of one transition that share edges and cover less; a least confidence "
            "leaves out what the maps are not sure of, by the confidence that <i>Classify land cover</i> writes.</p>"
            "<p><b>Groups.</b> Gains and losses are also given for sealed ground: buildings, impervious surface and "
            "swimming pools. A YAML file with lines such as <code>sealed: [1, 3]</code> makes other groups.</p>"
            "<p><b>Results.</b> A folder with change.tif, change.csv and report.html; with polygons each has a matrix "
            "of its own.</p>"
            "<p><b>Example.</b> <code>qgis_process run flair:change -- BEFORE=2018.tif AFTER=2021.tif "
            "MINIMUM_AREA=50 AREA=communes.gpkg OUTPUT=change</code></p>"
        )

    def initAlgorithm(self, configuration: Optional[Dict[str, Any]] = None) -> None:
        self._add_inputs()
        self._add_advanced()
        self.addParameter(QgsProcessingParameterFolderDestination(OUTPUT, tr("Folder of results")))
        self.addParameter(QgsProcessingParameterRasterDestination(CHANGE_MAP, tr("Raster of changes"), optional=True))
        self.addParameter(QgsProcessingParameterFileDestination(REPORT, tr("Report"), "HTML (*.html)", optional=True))
        self.addOutput(QgsProcessingOutputFile(TABLE, tr("Table of changes (CSV)")))
        self.addOutput(QgsProcessingOutputNumber(CHANGED, tr("Changed hectares")))
        self.addOutput(QgsProcessingOutputNumber(COMPARED, tr("Compared hectares")))
        self.addOutput(QgsProcessingOutputNumber(SECONDS, tr("Duration in seconds")))

    def _add_inputs(self) -> None:
        real, polygons = QgsProcessingParameterNumber.Type.Double, QgsProcessing.SourceType.TypeVectorPolygon
        self.add(QgsProcessingParameterRasterLayer(BEFORE, tr("Map before")), tr("Class raster of the earlier date."))
        self.add(
            QgsProcessingParameterRasterLayer(AFTER, tr("Map after")),
            tr("Class raster of the later date; its grid is the result's."),
        )
        smallest = tr("Square metres; what is smaller is left out.")
        self.add_number(MINIMUM_AREA, tr("Smallest change"), smallest, real, 0.0, 1e12, 0.0)
        self.add(
            QgsProcessingParameterFeatureSource(AREA, tr("Polygons"), [polygons], optional=True),
            tr("Each gets a matrix of its own."),
        )
        self.add(
            QgsProcessingParameterField(
                AREA_FIELD, tr("Field of the name"), parentLayerParameterName=AREA, optional=True
            ),
            tr("Field that names the polygons; empty: name or id, whichever there is, else a number."),
        )

    def _add_advanced(self) -> None:
        real = QgsProcessingParameterNumber.Type.Double
        for name, title in (
            (BEFORE_CONFIDENCE, tr("Confidence before")),
            (AFTER_CONFIDENCE, tr("Confidence after")),
        ):
            self.add(
                QgsProcessingParameterRasterLayer(name, title, optional=True),
                tr("Raster of per cents, as Classify land cover writes it."),
                advanced=True,
            )
        least = tr("Per cent; a change of which a map is less certain is left out.")
        self.add_number(MINIMUM_CONFIDENCE, tr("Least confidence"), least, real, 0.0, 100.0, 0.0, advanced=True)
        self.add(
            QgsProcessingParameterFile(GROUPS, tr("Groups"), optional=True, fileFilter="YAML (*.yaml *.yml)"),
            tr("File with lines such as sealed: [1, 3]; empty: sealed ground."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterString(NOMENCLATURE, tr("Nomenclature"), optional=True),
            tr("flair, or a YAML file with classes of your own; empty: the maps' own classes."),
            advanced=True,
        )
        self.add_overwrite(OVERWRITE)

    def _check(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> Dict[str, LayerInput]:
        """Check the values, and return the rasters that are given."""
        rasters = {
            name: describe_class_raster(self.parameterAsRasterLayer(parameters, name, context))
            for name in RASTERS
            if name in (BEFORE, AFTER) or self.given(parameters, name)
        }
        before, after = rasters[BEFORE], rasters[AFTER]
        box = extent_in(before.extent, before.crs, after.crs, context.transformContext())
        if box is not None and not box.intersects(after.extent):
            raise failure(
                tr("The maps do not overlap."), tr("Choose layers of the same place, and check the CRS of both.")
            )
        sure = self.parameterAsDouble(parameters, MINIMUM_CONFIDENCE, context) > 0
        if sure != (len(rasters) > 2):
            raise failure(
                tr("A least confidence needs a raster of confidence, and the other way round."), tr("Give both.")
            )
        field = self.parameterAsString(parameters, AREA_FIELD, context).strip()
        check_zones(self.area_source(parameters, AREA, context), field)
        for text in (
            self.parameterAsString(parameters, NOMENCLATURE, context).strip(),
            self.parameterAsFile(parameters, GROUPS, context),
        ):
            check_yaml(text)
        output = named_path(parameters.get(OUTPUT))
        if output:
            for name, made in ((CHANGE_MAP, RASTER_FILE), (REPORT, REPORT_FILE)):
                check_place(named_path(parameters.get(name)), Path(output) / made)
        return rasters

    def prepareAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        # Everything that touches layers happens here, on the main thread; a model does not make the checks.
        self._rasters = self._check(parameters, context)
        self._style = StylePostProcessor()
        self._area = self.area_options(parameters, AREA, context, feedback)
        return True

    def processAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Dict[str, Any]:
        output = absolute(self.parameterAsString(parameters, OUTPUT, context))
        raster = self.parameterAsOutputLayer(parameters, CHANGE_MAP, context)
        report = self.parameterAsFileOutput(parameters, REPORT, context)
        options = {**self.plain_options(parameters, context, PLAIN), **self._area, "output": output}
        with class_raster_options(self._rasters, feedback) as rasters:
            result = self.run_engine("change", {**options, **rasters}, feedback)
        values: Dict[str, Any] = {OUTPUT: output, TABLE: str(result["table"])}
        values[REPORT] = placed(Path(result["report"]), report)
        values[CHANGE_MAP] = placed(Path(result["raster"]), raster, BESIDE_RASTER)
        for name in (CHANGED, COMPARED, SECONDS):
            values[name] = float(result.get(name.lower()) or 0.0)
        if raster:
            load_instead(context, raster, values[CHANGE_MAP])
            # the style lies beside the copy as well
            self._style.attach(context, values[CHANGE_MAP], {})
        return values

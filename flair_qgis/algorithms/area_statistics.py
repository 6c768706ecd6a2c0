"""`flair:areastatistics`: hectares and per cent by class."""

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
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorDestination,
)

from ..area_styling import AreaStylePostProcessor
from ..class_rasters import class_raster_options, describe_class_raster
from ..errors import failure
from ..i18n import tr
from ..paths import absolute
from ..result_files import check_place, load_instead, named_path, placed
from .base import FlairAlgorithm
from .evaluate_checks import check_zones
from .extract_checks import check_yaml

INPUT = "INPUT"
AREA = "AREA"
AREA_FIELD = "AREA_FIELD"
GRID = "GRID"
NOMENCLATURE = "NOMENCLATURE"
OVERWRITE = "OVERWRITE"
OUTPUT = "OUTPUT"
POLYGONS = "POLYGONS"
REPORT = "REPORT"
TABLE = "TABLE"
HECTARES = "HECTARES"
SECONDS = "SECONDS"

PLAIN = (AREA_FIELD, GRID, NOMENCLATURE, OVERWRITE)
REPORT_FILE, POLYGONS_FILE = "report.html", "areas.gpkg"


class AreaStatisticsAlgorithm(FlairAlgorithm):
    """Counts hectares by class, as a whole, by polygons or by the cells of a grid."""

    NAME = "areastatistics"
    GROUP = "maps"
    IMAGES = (INPUT,)

    def displayName(self) -> str:
        return tr("Areas by class")

    def shortDescription(self) -> str:
        return tr("Counts hectares and per cent of each class of a land-cover map, by polygons or a grid.")

    def tags(self) -> List[str]:
        return tr("area,hectares,statistics,zonal,percentage,communes,parcels,grid,land cover,flair").split(",")

    def help_text(self) -> str:
        return tr(
            "<p>Says how many hectares each class of a land-cover map covers, and how many per cent that is.</p>"
            "<p><b>Polygons.</b> Communes, parcels or any others: each gets figures of its own. They may have another "
            "CRS than the map, and may overlap: then each counts in full. A pixel belongs to a polygon when its "
            "centre does. Polygons outside the map are left out and named.</p>"
            "<p><b>Grid.</b> Square cells made on the spot, in place of polygons.</p>"
            "<p><b>Hectares.</b> They are measured on the ellipsoid, so that they are right for maps in degrees and "
            "in Web Mercator too. On the plane of Lambert-93 the same pixels measure a few parts in a thousand more or "
            "less; the report gives both.</p>"
            "<p><b>Results.</b> A folder with areas.csv (a line for each polygon and class), report.html and, with "
            "polygons or a grid, areas.gpkg: the polygons with hectares and per cent of each class as fields.</p>"
            "<p><b>Example.</b> <code>qgis_process run flair:areastatistics -- INPUT=map.tif AREA=communes.gpkg "
            "AREA_FIELD=nom OUTPUT=areas</code></p>"
        )

    def initAlgorithm(self, configuration: Optional[Dict[str, Any]] = None) -> None:
        polygons = QgsProcessing.SourceType.TypeVectorPolygon
        self.add(
            QgsProcessingParameterRasterLayer(INPUT, tr("Class raster")),
            tr("Land-cover map, as Classify land cover makes it."),
        )
        self.add(
            QgsProcessingParameterFeatureSource(AREA, tr("Polygons"), [polygons], optional=True),
            tr("Each gets figures of its own; empty: the map as a whole."),
        )
        self.add(
            QgsProcessingParameterField(
                AREA_FIELD, tr("Field of the name"), parentLayerParameterName=AREA, optional=True
            ),
            tr("Field that names the polygons; empty: name or id, whichever there is, else a number."),
        )
        side = tr("Side of square cells in metres, in place of polygons.")
        kind = QgsProcessingParameterNumber.Type.Double
        self.add_number(GRID, tr("Side of the cells of a grid"), side, kind, 0.001, 1e7)
        self.add_nomenclature(NOMENCLATURE)
        self.add_overwrite(OVERWRITE)
        self.addParameter(QgsProcessingParameterFolderDestination(OUTPUT, tr("Folder of results")))
        self.addParameter(
            QgsProcessingParameterVectorDestination(
                POLYGONS, tr("Polygons with areas"), type=polygons, optional=True, createByDefault=True
            )
        )
        self.addParameter(QgsProcessingParameterFileDestination(REPORT, tr("Report"), "HTML (*.html)", optional=True))
        self.addOutput(QgsProcessingOutputFile(TABLE, tr("Table of areas (CSV)")))
        self.addOutput(QgsProcessingOutputNumber(HECTARES, tr("Classified hectares")))
        self.addOutput(QgsProcessingOutputNumber(SECONDS, tr("Duration in seconds")))

    def _check(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> None:
        describe_class_raster(self.parameterAsRasterLayer(parameters, INPUT, context))
        if self.given(parameters, AREA) and self.given(parameters, GRID):
            raise failure(tr("Polygons and a grid are given."), tr("Clear one of the two."))
        field = self.parameterAsString(parameters, AREA_FIELD, context).strip()
        check_zones(self.area_source(parameters, AREA, context), field)
        nomenclature = self.parameterAsString(parameters, NOMENCLATURE, context).strip()
        check_yaml(nomenclature)
        polygons = named_path(parameters.get(POLYGONS))
        if polygons and not polygons.lower().endswith(".gpkg"):
            raise failure(tr("The polygons with areas are a GeoPackage."), tr("Give it a name that ends in .gpkg."))
        output = named_path(parameters.get(OUTPUT))
        if output:
            for name, made in ((POLYGONS, POLYGONS_FILE), (REPORT, REPORT_FILE)):
                check_place(named_path(parameters.get(name)), Path(output) / made)

    def prepareAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        # Everything that touches layers happens here, on the main thread. The checks are made once more, because a
        # model does not make them for its steps.
        self._check(parameters, context)
        self._style = AreaStylePostProcessor()
        self._raster = describe_class_raster(self.parameterAsRasterLayer(parameters, INPUT, context))
        self._area = self.area_options(parameters, AREA, context, feedback)
        return True

    def processAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Dict[str, Any]:
        output = absolute(self.parameterAsString(parameters, OUTPUT, context))
        polygons = self.parameterAsOutputLayer(parameters, POLYGONS, context)
        report = self.parameterAsFileOutput(parameters, REPORT, context)
        options = {**self.plain_options(parameters, context, PLAIN), **self._area, "output": output}
        with class_raster_options({INPUT: self._raster}, feedback) as rasters:
            result = self.run_engine("area-statistics", {**options, **rasters}, feedback)
        values: Dict[str, Any] = {OUTPUT: output, TABLE: str(result["table"])}
        values[REPORT] = placed(Path(result["report"]), report)
        for name in (HECTARES, SECONDS):
            values[name] = float(result.get(name.lower()) or 0.0)
        if result.get("polygons") and polygons:
            values[POLYGONS] = placed(Path(result["polygons"]), polygons)
        if polygons:
            load_instead(context, polygons, values.get(POLYGONS, ""))
            self._style.attach(context, values.get(POLYGONS, ""), result)
        return values

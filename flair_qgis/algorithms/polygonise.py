"""`flair:polygonise`: from a land-cover map to polygons that share their borders."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterEnum,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
)

from ..class_rasters import class_raster_options, describe_class_raster
from ..errors import failure
from ..i18n import tr
from ..layers import LayerInput
from ..paths import absolute
from ..polygon_styling import PolygonStylePostProcessor
from ..result_files import named_path
from .base import FlairAlgorithm
from .extract_checks import check_yaml

INPUT = "INPUT"
MINIMUM_AREA = "MINIMUM_AREA"
OUTLINE = "OUTLINE"
TOLERANCE = "TOLERANCE"
LEAVE_OUT = "LEAVE_OUT"
CONFIDENCE = "CONFIDENCE"
NOMENCLATURE = "NOMENCLATURE"
MEMORY = "MEMORY"
OVERWRITE = "OVERWRITE"
OUTPUT = "OUTPUT"
POLYGONS = "POLYGONS"
SECONDS = "SECONDS"

OUTLINES = ["simplified", "smooth", "pixels"]
PLAIN = (MINIMUM_AREA, OUTLINE, TOLERANCE, LEAVE_OUT, NOMENCLATURE, MEMORY, OVERWRITE)


class PolygoniseAlgorithm(FlairAlgorithm):
    """Makes polygons of a class raster."""

    NAME = "polygonise"
    GROUP = "maps"
    IMAGES = (INPUT,)

    def displayName(self) -> str:
        return tr("Land cover to polygons")

    def shortDescription(self) -> str:
        return tr("Makes polygons of a land-cover map, without specks or steps, that share their borders exactly.")

    def tags(self) -> List[str]:
        return tr(
            "polygonize,vectorize,vector,polygons,sieve,simplify,smooth,minimum mapping unit,land cover,flair"
        ).split(",")

    def help_text(self) -> str:
        return tr(
            "<p>Makes polygons of a land-cover map: one for each connected area of a class, in the colours of the "
            "classes.</p>"
            "<p><b>Smallest area.</b> Areas with fewer square metres on the ground join the neighbour with which they "
            "have the longest common border, the smallest first. 25 is a good value for maps with pixels of 20 cm. "
            "What touches nothing but pixels without a class stays.</p>"
            "<p><b>Outline.</b> simplified: straight lines in place of the pixels' steps; smooth: rounded; pixels: as "
            "they are. Neighbours always share their border, point for point: there are no gaps and no overlaps. The "
            "<b>tolerance</b> says how many metres a border may move; rounding cuts sharp corners by as much "
            "again.</p>"
            "<p><b>Fields.</b> code and class; area_m2, of the polygon, measured on the ellipsoid; pixels; and, with a "
            "raster of confidence, its mean.</p>"
            "<p><b>Result.</b> A GeoPackage with the legend inside, and beside it as .qml. A map of 20,000 x 20,000 "
            "pixels takes some minutes; it need not fit into memory.</p>"
            "<p><b>Example.</b> <code>qgis_process run flair:polygonise -- INPUT=map.tif MINIMUM_AREA=25 "
            "OUTLINE=simplified LEAVE_OUT=19 OUTPUT=map.gpkg</code></p>"
        )

    def initAlgorithm(self, configuration: Optional[Dict[str, Any]] = None) -> None:
        real = QgsProcessingParameterNumber.Type.Double
        self.add(
            QgsProcessingParameterRasterLayer(INPUT, tr("Class raster")),
            tr("Land-cover map, as Classify land cover makes it."),
        )
        text = tr("Areas with fewer square metres join a neighbour; 0 keeps all.")
        self.add_number(MINIMUM_AREA, tr("Smallest area in square metres"), text, real, 0, 1e12, 0)
        self.add(
            QgsProcessingParameterEnum(
                OUTLINE, tr("Outline"), options=OUTLINES, defaultValue=OUTLINES[0], usesStaticStrings=True
            ),
            tr("simplified: without the steps of pixels; smooth: rounded; pixels: as they are."),
        )
        self.add(
            QgsProcessingParameterString(LEAVE_OUT, tr("Classes left out"), optional=True),
            tr("Codes of classes that get no polygons, such as 19,20."),
        )
        self.add(
            QgsProcessingParameterRasterLayer(CONFIDENCE, tr("Confidence"), optional=True),
            tr("Raster of confidence that was written with the map, for a mean by polygon."),
        )
        self._add_advanced()
        polygons = QgsProcessing.SourceType.TypeVectorPolygon
        self.addParameter(QgsProcessingParameterVectorDestination(OUTPUT, tr("Land-cover polygons"), type=polygons))
        self.addOutput(QgsProcessingOutputNumber(POLYGONS, tr("Number of polygons")))
        self.addOutput(QgsProcessingOutputNumber(SECONDS, tr("Duration in seconds")))

    def _add_advanced(self) -> None:
        real = QgsProcessingParameterNumber.Type.Double
        text = tr("Metres that a border may move; empty: one and a half pixels.")
        self.add_number(TOLERANCE, tr("Tolerance in metres"), text, real, 1e-6, 1e6, advanced=True)
        self.add_nomenclature(NOMENCLATURE)
        text = tr("Memory that may be used, in GB; empty: what is free.")
        self.add_number(MEMORY, tr("Memory"), text, real, 0.1, 1e6, advanced=True)
        self.add_overwrite(OVERWRITE)

    def _check(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> None:
        describe_class_raster(self.parameterAsRasterLayer(parameters, INPUT, context))
        self._confidence_layer(parameters, context)
        text = self.parameterAsString(parameters, LEAVE_OUT, context).strip()
        wrong = [part for part in re.split(r"[\s,;]+", text) if part and not (part.isdigit() and int(part) <= 255)]
        if wrong:
            raise failure(tr('Classes left out: "{part}" is no code.').format(part=wrong[0]), tr("An example: 19,20."))
        nomenclature = self.parameterAsString(parameters, NOMENCLATURE, context).strip()
        check_yaml(nomenclature)
        output = named_path(parameters.get(OUTPUT))
        if output and not output.lower().endswith(".gpkg"):
            raise failure(tr("The polygons are a GeoPackage."), tr("Give it a name that ends in .gpkg."))

    def _confidence_layer(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> Optional[LayerInput]:
        if not self.given(parameters, CONFIDENCE):
            return None
        layer = self.parameterAsRasterLayer(parameters, CONFIDENCE, context)
        if layer is None or layer.providerType() != "gdal" or layer.bandCount() != 1:
            raise failure(
                tr("The confidence is no raster file of one band."),
                tr("Choose the raster of confidence that was written with the map, or none."),
            )
        return describe_class_raster(layer)

    def prepareAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        # Everything that touches layers happens here, on the main thread; a model does not make the checks.
        self._check(parameters, context)
        self._style = PolygonStylePostProcessor()
        self._rasters = {INPUT: describe_class_raster(self.parameterAsRasterLayer(parameters, INPUT, context))}
        confidence = self._confidence_layer(parameters, context)
        if confidence is not None:
            self._rasters[CONFIDENCE] = confidence
        return True

    def processAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Dict[str, Any]:
        output = self.parameterAsOutputLayer(parameters, OUTPUT, context)
        options = self.plain_options(parameters, context, PLAIN)
        if LEAVE_OUT.lower() in options:
            options["leave_out"] = [int(part) for part in re.findall(r"\d+", options["leave_out"])]
        options["output"] = absolute(output)
        with class_raster_options(self._rasters, feedback) as rasters:
            result = self.run_engine("polygonise", {**options, **rasters}, feedback)
        self._style.attach(context, output, result)
        polygons, seconds = result.get("polygons") or 0, result.get("seconds") or 0.0
        return {OUTPUT: output, POLYGONS: int(polygons), SECONDS: float(seconds)}

"""`flair:remapclasses`: a class raster in another nomenclature."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

from ..class_rasters import class_raster_options, describe_class_raster
from ..errors import failure
from ..i18n import tr
from ..paths import absolute
from ..result_files import named_path
from ..styling import StylePostProcessor
from .base import FlairAlgorithm
from .extract_checks import check_yaml, is_yaml

INPUT = "INPUT"
MAPPING = "MAPPING"
TABLE = "TABLE"
NOMENCLATURE = "NOMENCLATURE"
OVERWRITE = "OVERWRITE"
OUTPUT = "OUTPUT"
PIXELS = "PIXELS"
SECONDS = "SECONDS"

MAPPINGS = ["flair-15", "flair-12", "hub", "cosia"]
PLAIN = (MAPPING, NOMENCLATURE, OVERWRITE)


class RemapClassesAlgorithm(FlairAlgorithm):
    """Writes a class raster with the codes of another nomenclature."""

    NAME = "remapclasses"
    GROUP = "maps"
    IMAGES = (INPUT,)

    def displayName(self) -> str:
        return tr("Change the nomenclature")

    def shortDescription(self) -> str:
        return tr("Writes a land-cover map with fewer, other or differently ordered classes.")

    def tags(self) -> List[str]:
        return tr("reclassify,nomenclature,classes,codes,merge classes,CoSIA,FLAIR-HUB,flair").split(",")

    def help_text(self) -> str:
        return tr(
            "<p>Writes a land-cover map in another nomenclature: each code becomes another one, with the names and "
            "colours of the new classes.</p>"
            "<p><b>Nomenclature.</b> flair-15: the 15 classes that the published models tell apart; the others become "
            "no data. flair-12: the twelve classes of the FLAIR challenges, and all others as other. hub: the order "
            "of FLAIR-HUB, its index plus 1. cosia: FLAIR's codes in the colours of CoSIA.</p>"
            "<p><b>Table of your own.</b> Pairs of codes such as <code>1=1,3=1,10=2,default=0</code>, where 0 is no "
            "data and default is what all other codes become; or the path of a YAML file with such pairs below "
            "<code>map:</code> and the new classes below <code>classes:</code>. It wins over the nomenclature.</p>"
            "<p>A code that the table lacks is an error that names it and its pixels.</p>"
            "<p><b>Example.</b> <code>qgis_process run flair:remapclasses -- INPUT=map.tif MAPPING=flair-12 "
            "OUTPUT=twelve.tif</code></p>"
        )

    def initAlgorithm(self, configuration: Optional[Dict[str, Any]] = None) -> None:
        self.add(
            QgsProcessingParameterRasterLayer(INPUT, tr("Class raster")),
            tr("Land-cover map, as Classify land cover makes it."),
        )
        wanted = tr("What the codes become; see the help.")
        self.add_choice(MAPPING, tr("New nomenclature"), MAPPINGS, wanted, MAPPINGS[0])
        self.add(
            QgsProcessingParameterString(TABLE, tr("Table of your own"), optional=True),
            tr("Pairs such as 1=1,3=1,default=0, or a YAML file; it wins over the new nomenclature."),
        )
        self.add_nomenclature(NOMENCLATURE)
        self.add_overwrite(OVERWRITE)
        self.addParameter(QgsProcessingParameterRasterDestination(OUTPUT, tr("Map in the new nomenclature")))
        self.addOutput(QgsProcessingOutputNumber(PIXELS, tr("Pixels with a class")))
        self.addOutput(QgsProcessingOutputNumber(SECONDS, tr("Duration in seconds")))

    def _check(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> None:
        describe_class_raster(self.parameterAsRasterLayer(parameters, INPUT, context))
        for name in (TABLE, NOMENCLATURE):
            text = self.parameterAsString(parameters, name, context).strip()
            check_yaml(text)
        table = self.parameterAsString(parameters, TABLE, context).strip()
        if table and not is_yaml(table) and "=" not in table:
            raise failure(
                tr('The table "{text}" holds no pairs of codes.').format(text=table),
                tr("Write pairs such as 1=1,3=1,default=0, or name a YAML file."),
            )
        output = named_path(parameters.get(OUTPUT))
        if output and not output.lower().endswith((".tif", ".tiff")):
            raise failure(tr("The map is a GeoTIFF."), tr("Give it a name that ends in .tif."))

    def prepareAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        # Everything that touches layers happens here, on the main thread; a model does not make the checks.
        self._check(parameters, context)
        self._style = StylePostProcessor()
        self._raster = describe_class_raster(self.parameterAsRasterLayer(parameters, INPUT, context))
        return True

    def processAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Dict[str, Any]:
        output = self.parameterAsOutputLayer(parameters, OUTPUT, context)
        options = self.plain_options(parameters, context, PLAIN)
        table = self.parameterAsString(parameters, TABLE, context).strip()
        if table:
            options["mapping"] = table
        if is_yaml(options["mapping"]):
            options["mapping"] = absolute(options["mapping"])
        options["output"] = absolute(output)
        with class_raster_options({INPUT: self._raster}, feedback) as rasters:
            result = self.run_engine("remap-classes", {**options, **rasters}, feedback)
        self._style.attach(context, output, result)
        pixels, seconds = result.get("pixels") or 0, result.get("seconds") or 0.0
        return {OUTPUT: output, PIXELS: int(pixels), SECONDS: float(seconds)}

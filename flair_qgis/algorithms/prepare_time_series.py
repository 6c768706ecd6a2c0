"""`flair:preparetimeseries`: from Sentinel-2 downloads to a season over an image's ground."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputFile,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFile,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

from ..i18n import tr
from ..paths import absolute
from .base import FlairAlgorithm
from .download_checks import check_data_folder
from .season_checks import one_ground, written_extent
from .train_checks import parse_names

INPUT = "INPUT"
IMAGE = "IMAGE"
EXTENT = "EXTENT"
MARGIN = "MARGIN"
MONTHLY = "MONTHLY"
CLEAR_ONLY = "CLEAR_ONLY"
SEASON_BANDS = "SEASON_BANDS"
PIXEL_SIZE = "PIXEL_SIZE"
OFFSET = "OFFSET"
OVERWRITE = "OVERWRITE"
OUTPUT = "OUTPUT"
TABLE = "TABLE"
KEPT = "KEPT"
DROPPED = "DROPPED"
SECONDS = "SECONDS"

PLAIN = (INPUT, MARGIN, MONTHLY, CLEAR_ONLY, PIXEL_SIZE, OFFSET, OVERWRITE)


class PrepareTimeSeriesAlgorithm(FlairAlgorithm):
    """Cuts satellite images of many dates to the ground of an aerial one."""

    NAME = "preparetimeseries"
    GROUP = "inputs"
    IMAGES = (IMAGE,)

    def displayName(self) -> str:
        return tr("Prepare a season")

    def shortDescription(self) -> str:
        return tr("Cuts Sentinel-2 downloads to the ground of an image, for models that also look at the season.")

    def tags(self) -> List[str]:
        return tr("Sentinel-2,time series,season,satellite,clouds,monthly mean,flair").split(",")

    def help_text(self) -> str:
        return tr(
            "<p>Makes the second input of models that also look at the season (U-T&amp;T): a folder with one satellite "
            "image a date, of ten bands at 10 m, over the ground of an aerial image and its surroundings.</p>"
            "<p><b>Downloads.</b> A folder of Sentinel-2 products, unpacked: level 2A as the operator delivers it "
            "(.SAFE), Theia's, or one file a date such as 2021-06-04.tif. Names carry the date. Tiles of one date are "
            "laid side by side.</p>"
            "<p><b>Clouds.</b> Told by the products' cloud and snow probabilities, scene classification or masks. A "
            "date is dropped where half of a patch or more is under snow and clouds: whole dates here, others patch by "
            "patch when they are used.</p>"
            "<p><b>Values.</b> As delivered: 10000 is a reflectance of 1. Products of processing baseline 04.00 and "
            "later, which hold 1000 more, are brought to the same.</p>"
            "<p><b>Results.</b> The folder, and in it dates.csv: which dates were kept or dropped, and why. "
            "<i>Classify land cover</i>, <i>Train a model</i> and <i>Evaluate a map or a model</i> take it as "
            "Season.</p>"
            "<p><b>Example.</b> <code>qgis_process run flair:preparetimeseries -- INPUT=sentinel2 IMAGE=image.tif "
            "OUTPUT=season</code></p>"
        )

    def initAlgorithm(self, configuration: Optional[Dict[str, Any]] = None) -> None:
        folder = QgsProcessingParameterFile.Behavior.Folder
        real, whole = QgsProcessingParameterNumber.Type.Double, QgsProcessingParameterNumber.Type.Integer
        self.add(
            QgsProcessingParameterFile(INPUT, tr("Folder of the downloads"), folder),
            tr("Sentinel-2 products, unpacked; folders below it count too."),
        )
        self.add(
            QgsProcessingParameterRasterLayer(IMAGE, tr("Aerial image"), optional=True),
            tr("Image whose ground is wanted."),
        )
        self.add(
            QgsProcessingParameterExtent(EXTENT, tr("Extent"), optional=True),
            tr("Ground that is wanted, in place of an image."),
        )
        self.add(
            QgsProcessingParameterBoolean(MONTHLY, tr("Means by month"), defaultValue=False),
            tr("One image a month, the mean of its clear dates, instead of all dates."),
        )
        around = tr("Metres of surroundings; networks look 256 m far.")
        self.add_number(MARGIN, tr("Margin in metres"), around, real, 0, 100000, 300.0, advanced=True)
        self.add(
            QgsProcessingParameterBoolean(CLEAR_ONLY, tr("Leave out clouds"), defaultValue=True),
            tr("Drop dates under snow and clouds, and keep masks of the others."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterString(SEASON_BANDS, tr("Satellite bands"), optional=True),
            tr("Names in their order; empty: B02,B03,B04,B05,B06,B07,B08,B8A,B11,B12."),
            advanced=True,
        )
        size = tr("Metres of a satellite pixel.")
        self.add_number(PIXEL_SIZE, tr("Pixel size"), size, real, 0.1, 1000, 10.0, advanced=True)
        added = tr("Added to pixel values; empty: told by the product's name.")
        self.add_number(OFFSET, tr("Offset of the values"), added, whole, -10000, 10000, advanced=True)
        self.add_overwrite(OVERWRITE)
        self.addParameter(QgsProcessingParameterFolderDestination(OUTPUT, tr("Folder of the season")))
        self.addOutput(QgsProcessingOutputFile(TABLE, tr("Table of dates (CSV)")))
        self.addOutput(QgsProcessingOutputNumber(KEPT, tr("Dates kept")))
        self.addOutput(QgsProcessingOutputNumber(DROPPED, tr("Dates dropped")))
        self.addOutput(QgsProcessingOutputNumber(SECONDS, tr("Duration in seconds")))

    def _check(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> str:
        """Check the values, and return the extent of the ground."""
        check_data_folder(self.parameterAsFile(parameters, INPUT, context))
        one_ground(self.given(parameters, IMAGE), self.given(parameters, EXTENT))
        if self.given(parameters, IMAGE):
            layer = self.parameterAsRasterLayer(parameters, IMAGE, context)
            return written_extent(layer.extent(), layer.crs())
        crs = self.parameterAsExtentCrs(parameters, EXTENT, context)
        return written_extent(self.parameterAsExtent(parameters, EXTENT, context), crs)

    def prepareAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        # Everything that touches layers happens here, on the main thread, and once more for the steps of a model.
        self._extent = self._check(parameters, context)
        return True

    def processAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Dict[str, Any]:
        output = absolute(self.parameterAsString(parameters, OUTPUT, context))
        options = {**self.plain_options(parameters, context, PLAIN), "extent": self._extent, "output": output}
        bands = parse_names(self.parameterAsString(parameters, SEASON_BANDS, context))
        if bands:
            options["season_bands"] = bands
        result = self.run_engine("prepare-time-series", options, feedback)
        return {
            OUTPUT: output,
            TABLE: str(result["table"]),
            KEPT: int(result.get("kept") or 0),
            DROPPED: int(result.get("dropped") or 0),
            SECONDS: float(result.get("seconds") or 0.0),
        }

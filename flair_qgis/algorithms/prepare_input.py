"""`flair:prepareinput`: from products as they are delivered to one image as a model expects it."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterCrs,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterString,
    QgsRasterLayer,
)

from ..i18n import tr
from ..layers import crs_text
from ..paths import absolute
from ..product_inputs import ProductInputs
from ..progress import Progress
from ..styling import PicturePostProcessor
from .base import FlairAlgorithm
from .image_checks import check_images
from .prepare_checks import (
    check_folders,
    check_infrared_band,
    check_output,
    check_product_layers,
    check_products,
    check_ranges,
    parse_colours,
    parse_pair,
)

RGB = "RGB"
RGB_FOLDER = "RGB_FOLDER"
IRC = "IRC"
IRC_FOLDER = "IRC_FOLDER"
DSM = "DSM"
DSM_FOLDER = "DSM_FOLDER"
DTM = "DTM"
DTM_FOLDER = "DTM_FOLDER"
NIR = "NIR"
NIR_FOLDER = "NIR_FOLDER"
HEIGHT = "HEIGHT"
HEIGHT_FOLDER = "HEIGHT_FOLDER"
BANDS = "BANDS"
INFRARED_BAND = "INFRARED_BAND"
HEIGHT_UNIT = "HEIGHT_UNIT"
EXTENT = "EXTENT"
GROUND_SAMPLING_DISTANCE = "GROUND_SAMPLING_DISTANCE"
FILL_DISTANCE = "FILL_DISTANCE"
PERCENTILES = "PERCENTILES"
VALUE_RANGE = "VALUE_RANGE"
CRS = "CRS"
NODATA = "NODATA"
ALLOW_MISMATCH = "ALLOW_MISMATCH"
OVERWRITE = "OVERWRITE"
OUTPUT = "OUTPUT"
REPORT = "REPORT"
BAND_NAMES = "BAND_NAMES"
PIXELS = "PIXELS"
SECONDS = "SECONDS"

UNITS = ["auto", "metre", "foot"]

FOLDERS = {
    RGB: RGB_FOLDER,
    IRC: IRC_FOLDER,
    DSM: DSM_FOLDER,
    DTM: DTM_FOLDER,
    NIR: NIR_FOLDER,
    HEIGHT: HEIGHT_FOLDER,
}


class PrepareInputAlgorithm(FlairAlgorithm):
    """Stacks orthophoto, infrared and heights into one image."""

    NAME = "prepareinput"
    GROUP = "inputs"

    def displayName(self) -> str:
        return tr("Prepare an image")

    def shortDescription(self) -> str:
        return tr("Makes one image of an orthophoto, infrared and heights, as a FLAIR model expects it.")

    def tags(self) -> List[str]:
        return tr("stack,bands,orthophoto,infrared,elevation,dsm,dtm,bd ortho,mosaic,flair").split(",")

    def help_text(self) -> str:
        return tr(
            "<p>Makes one image of products as they are delivered: red, green, blue, and as far as they are given near "
            "infrared and elevation, in 8 bits and on one grid. <i>Classify land cover</i> and <i>Extract training "
            "patches</i> take it as it is: each band carries its name.</p>"
            "<p><b>Layers or folders.</b> Every product is chosen as layers, or as a folder of tiles (BD ORTHO comes "
            "as hundreds of JPEG 2000 files; subfolders count). Tiles make one mosaic.</p>"
            "<p><b>Infrared.</b> The colour-infrared orthophoto (IRC), of which the near infrared is taken, or the "
            "near infrared alone.</p>"
            "<p><b>Heights.</b> A surface model (DSM) with a terrain model (DTM), or the height above ground, in "
            "metres. They may have other pixels and another CRS; small holes are filled.</p>"
            "<p><b>Services.</b> Layers drawn by a service (WMS, WMTS, XYZ) serve as orthophoto or colour-infrared, "
            "and are copied first, for the extent you choose or else the orthophoto's. They hold colours: heights "
            "have to come as files, or from a service of values (WCS).</p>"
            "<p><b>Values.</b> Imagery of 16 bits becomes 8: by percentiles, or by a range of values.</p>"
            "<p><b>Output.</b> A GeoTIFF, and a report of what was checked: places where the bands do not fit "
            "together, holes, odd values. A .vrt file instead of an image works where nothing has to be computed. An "
            "interrupted run on files goes on when it is started again with the same values.</p>"
            "<p><b>Example.</b> <code>qgis_process run flair:prepareinput -- RGB_FOLDER=ORTHO_RVB IRC_FOLDER=ORTHO_IRC "
            "DSM=dsm.tif DTM=dtm.tif EXTENT=844000,846000,6540000,6542000 OUTPUT=image.tif</code></p>"
        )

    def initAlgorithm(self, configuration: Optional[Dict[str, Any]] = None) -> None:
        self._add_products()
        self._add_numbers()
        self.addParameter(QgsProcessingParameterRasterDestination(OUTPUT, tr("Prepared image")))
        self.addParameter(QgsProcessingParameterFileDestination(REPORT, tr("Report"), "HTML (*.html)", optional=True))
        self.addOutput(QgsProcessingOutputString(BAND_NAMES, tr("Bands of the image")))
        self.addOutput(QgsProcessingOutputNumber(PIXELS, tr("Pixels of the image")))
        self.addOutput(QgsProcessingOutputNumber(SECONDS, tr("Duration in seconds")))

    def _add_products(self) -> None:
        for name, title, folder_title, text, advanced in (
            (
                RGB,
                tr("Orthophoto"),
                tr("Orthophoto: folder of tiles"),
                tr("Red, green, blue; several layers make one mosaic."),
                False,
            ),
            (
                IRC,
                tr("Colour-infrared orthophoto"),
                tr("Colour-infrared orthophoto: folder of tiles"),
                tr("Near infrared, red, green, as IGN delivers it."),
                False,
            ),
            (
                DSM,
                tr("Surface model"),
                tr("Surface model: folder of tiles"),
                tr("Digital surface model (DSM) in metres; needs a terrain model."),
                False,
            ),
            (
                DTM,
                tr("Terrain model"),
                tr("Terrain model: folder of tiles"),
                tr("Digital terrain model (DTM) in metres; needs a surface model."),
                False,
            ),
            (
                NIR,
                tr("Near infrared"),
                tr("Near infrared: folder of tiles"),
                tr("A band of near infrared, in place of the colour-infrared orthophoto."),
                True,
            ),
            (
                HEIGHT,
                tr("Height above ground"),
                tr("Height above ground: folder of tiles"),
                tr("In metres, in place of surface and terrain model."),
                True,
            ),
        ):
            layers = QgsProcessingParameterMultipleLayers(
                name, title, QgsProcessing.SourceType.TypeRaster, optional=True
            )
            self.add(layers, text, advanced)
            behavior = QgsProcessingParameterFile.Behavior.Folder
            folder = QgsProcessingParameterFile(FOLDERS[name], folder_title, behavior, optional=True)
            self.add(folder, tr("Folder that holds tiles, also in subfolders."), advanced)

    def _add_numbers(self) -> None:
        real = QgsProcessingParameterNumber.Type.Double
        self.add(
            QgsProcessingParameterExtent(EXTENT, tr("Extent"), optional=True),
            tr("Part to write; empty: all of the orthophoto."),
        )
        distance = tr("Metres on the ground per pixel of the result; empty: the orthophoto's.")
        self.add_number(GROUND_SAMPLING_DISTANCE, tr("Ground sampling distance"), distance, real, 1e-6, 1e6)
        fill = tr("Metres over which holes in the heights are filled.")
        self.add_number(FILL_DISTANCE, tr("Fill holes up to"), fill, real, 0.0, 100.0, 5.0, advanced=True)
        for name, title, text in (
            (
                BANDS,
                tr("Bands of the orthophoto"),
                tr("Numbers by name, such as red=1,green=2,blue=3; empty: told by the file."),
            ),
            (
                PERCENTILES,
                tr("Percentiles"),
                tr("Percentiles of the image that become 0 and 255, for imagery of 16 bits; empty: 0.5,99.5."),
            ),
            (
                VALUE_RANGE,
                tr("Range of values"),
                tr("Values of the image that become 0 and 255, such as 0,4095; instead of percentiles."),
            ),
        ):
            self.add(QgsProcessingParameterString(name, title, optional=True), text, advanced=True)
        infrared = tr("Number of the band that holds near infrared; empty: told by the file, or the first.")
        whole = QgsProcessingParameterNumber.Type.Integer
        self.add_number(INFRARED_BAND, tr("Infrared band"), infrared, whole, 1, 1000, advanced=True)
        self.add(
            QgsProcessingParameterEnum(
                HEIGHT_UNIT, tr("Unit of the heights"), options=UNITS, defaultValue=UNITS[0], usesStaticStrings=True
            ),
            tr("auto: what the files say, else metres."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterCrs(CRS, tr("CRS of files that carry none"), optional=True),
            tr("Such as that of JPEG 2000 tiles whose CRS is in a file beside them."),
            advanced=True,
        )
        self.add_nodata(NODATA)
        for name, title, default, text in (
            (
                ALLOW_MISMATCH,
                tr("Accept bands that do not fit"),
                False,
                tr("Warns of infrared or heights that the checks find wrong, instead of refusing them."),
            ),
            (OVERWRITE, tr("Replace an existing output"), True, tr("It is replaced once the new one is complete.")),
        ):
            self.add(QgsProcessingParameterBoolean(name, title, defaultValue=default), text, advanced=True)

    def checkParameterValues(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> Tuple[bool, str]:
        valid, message = super().checkParameterValues(parameters, context)
        try:
            for name in FOLDERS:
                check_images(parameters.get(name), context)
            if not valid:
                return valid, message
            self._check(parameters, context)
        except Exception as error:  # whatever is wrong with the values, the dialog shows it as a sentence
            return False, str(error)
        return True, ""

    def _check(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> None:
        layers, folders = self._layers(parameters, context), self._folders(parameters, context)
        given = {name: bool(layers[name] or folders[name]) for name in layers}
        check_products(given)
        check_folders(folders)
        services = any(layer.providerType() != "gdal" for layer in layers["rgb"])
        bounded = self.given(parameters, EXTENT) or bool(layers["rgb"] and not folders["rgb"] and not services)
        check_product_layers(layers, self._colours(parameters, context), bounded, self.given(parameters, CRS))
        check_infrared_band(self.given(parameters, INFRARED_BAND), given)
        check_ranges(self._pairs(parameters, context))

    def _layers(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> Dict[str, List[QgsRasterLayer]]:
        return {name.lower(): self.parameterAsLayerList(parameters, name, context) for name in FOLDERS}

    def _folders(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> Dict[str, str]:
        return {name.lower(): self.parameterAsFile(parameters, folder, context) for name, folder in FOLDERS.items()}

    def _colours(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> Dict[str, int]:
        return parse_colours(self.parameterAsString(parameters, BANDS, context))

    def _pairs(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> Dict[str, List[float]]:
        return {
            name.lower(): parse_pair(
                self.parameterDefinition(name).description(), self.parameterAsString(parameters, name, context)
            )
            for name in (PERCENTILES, VALUE_RANGE)
        }

    def prepareAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        # Everything that touches layers or the project happens here, on the main thread. The checks are made once
        # more, because a model does not make them for its steps.
        for name in FOLDERS:
            check_images(parameters.get(name), context)
        self._check(parameters, context)
        self._products = ProductInputs(self._layers(parameters, context), self._folders(parameters, context))
        self._set_extent(parameters, context)
        self._picture = PicturePostProcessor()
        return True

    def _set_extent(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> None:
        if not self.given(parameters, EXTENT):
            return
        value, crs = parameters[EXTENT], self._products.crs
        if crs.isValid():
            box = self.parameterAsExtent(parameters, EXTENT, context, crs)
        else:
            box = self.parameterAsExtent(parameters, EXTENT, context)
            # four numbers are in the image's CRS, which only the engine knows
            plain = isinstance(value, str) and re.fullmatch(r"[-+.,eE\d\s]+", value)
            if not plain:
                crs = self.parameterAsExtentCrs(parameters, EXTENT, context)
        self._products.extent = None if box.isNull() else (box, crs)

    def processAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Dict[str, Any]:
        output = self.parameterAsOutputLayer(parameters, OUTPUT, context)
        report = self.parameterAsFileOutput(parameters, REPORT, context)
        check_output(output, self._products.all_on_disk)
        folder = Path(tempfile.mkdtemp(prefix="flair_input_"))
        try:
            options = self._options(parameters, context)
            options["output"] = absolute(output)
            if report:
                options["report"] = absolute(report)
            start = self._products.add_to(options, folder, feedback)
            result = self.run_engine("prepare-input", options, feedback, Progress(feedback, start, 100))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if context.willLoadLayerOnCompletion(output):
            context.layerToLoadOnCompletionDetails(output).setPostProcessor(self._picture)
        values: Dict[str, Any] = {OUTPUT: output}
        if report:
            values[REPORT] = report
        values[BAND_NAMES] = ", ".join(str(name) for name in result.get("bands") or [])
        values[PIXELS] = int(result.get("pixels") or 0)
        values[SECONDS] = float(result.get("seconds") or 0.0)
        return values

    def _options(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> Dict[str, Any]:
        plain = (GROUND_SAMPLING_DISTANCE, FILL_DISTANCE, INFRARED_BAND, HEIGHT_UNIT)
        plain += (NODATA, ALLOW_MISMATCH, OVERWRITE)
        options = self.plain_options(parameters, context, plain)
        bands = self._colours(parameters, context)
        if bands:
            options["bands"] = bands
        options.update({name: pair for name, pair in self._pairs(parameters, context).items() if pair})
        crs = crs_text(self.parameterAsCrs(parameters, CRS, context))
        if crs:
            options["crs"] = crs
        return options

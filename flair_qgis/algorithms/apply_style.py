"""`flair:applystyle`: the legend of a nomenclature on a class raster; needs no engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional, Set

import numpy as np
from osgeo import gdal
from qgis.core import (
    QgsMapLayer,
    QgsPalettedRasterRenderer,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputFile,
    QgsProcessingOutputRasterLayer,
    QgsProcessingParameterBand,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFile,
    QgsProcessingParameterRasterLayer,
    QgsProject,
    QgsRasterLayer,
)

from ..errors import failure
from ..i18n import tr
from ..layers import gdal_path
from ..palettes import PALETTES, palette, read_palette
from ..styling import apply_style, paletted_renderer
from .base import FlairAlgorithm

INPUT = "INPUT"
PALETTE = "PALETTE"
STYLE_FILE = "STYLE_FILE"
BAND = "BAND"
ONLY_PRESENT = "ONLY_PRESENT"
SAVE = "SAVE"
OUTPUT = "OUTPUT"
STYLE = "STYLE"

# Side of what is read at once, in pixels.
PIECE = 2048


class ApplyStyleAlgorithm(FlairAlgorithm):
    """Gives a class raster the colours and names of its classes."""

    NAME = "applystyle"
    GROUP = "maps"
    IMAGES = (INPUT,)
    NEEDS_ENGINE = False

    def displayName(self) -> str:
        return tr("Apply a land-cover legend")

    def shortDescription(self) -> str:
        return tr("Gives a raster of class codes the colours and names of FLAIR, CoSIA, FLAIR-HUB or your own classes.")

    def tags(self) -> List[str]:
        return tr("style,legend,palette,colours,symbology,QML,CoSIA,FLAIR-HUB,flair").split(",")

    def help_text(self) -> str:
        return tr(
            "<p>Gives a raster of class codes the colours and names of its classes.</p>"
            "<p><b>Palette.</b> flair: the codes and colours of FLAIR; cosia: the same codes in the colours of IGN's "
            "CoSIA style; hub: the order of FLAIR-HUB, its index plus 1; flair-12: twelve classes and other. The "
            "pixels stay as they are: <i>Change the nomenclature</i> writes other codes.</p>"
            "<p><b>Style file.</b> Classes of your own, as a YAML file with a list of codes, names and colours, or as "
            "a style of QGIS (.qml). It wins over the palette.</p>"
            "<p><b>Save.</b> Writes the style beside the raster, so that QGIS uses it whenever the raster is opened. "
            "In qgis_process, which has no layers to show, this is what remains.</p>"
            "<p><b>Example.</b> <code>qgis_process run flair:applystyle -- INPUT=map.tif PALETTE=cosia SAVE=true"
            "</code></p>"
        )

    def flags(self) -> Any:
        # a layer's style may be changed on the main thread only
        return super().flags() | QgsProcessingAlgorithm.Flag.FlagNoThreading

    def initAlgorithm(self, configuration: Optional[Dict[str, Any]] = None) -> None:
        self.add(QgsProcessingParameterRasterLayer(INPUT, tr("Class raster")), tr("Raster of class codes."))
        self.add_choice(PALETTE, tr("Palette"), PALETTES, tr("Classes and their colours; see the help."), PALETTES[0])
        styles = tr("Classes or styles") + " (*.yaml *.yml *.qml)"
        self.add(
            QgsProcessingParameterFile(STYLE_FILE, tr("Style file"), optional=True, fileFilter=styles),
            tr("Classes of your own (.yaml) or a style of QGIS (.qml); it wins over the palette."),
        )
        self.add(
            QgsProcessingParameterBoolean(ONLY_PRESENT, tr("Only classes that occur"), defaultValue=False),
            tr("Leaves classes out of the legend of which the raster has no pixel; it is read as a whole for that."),
        )
        self.add(
            QgsProcessingParameterBoolean(SAVE, tr("Save the style beside the raster"), defaultValue=False),
            tr("As a .qml file, which QGIS uses whenever the raster is opened."),
        )
        self.add(
            QgsProcessingParameterBand(BAND, tr("Band"), 1, parentLayerParameterName=INPUT, optional=True),
            tr("Band that holds the codes."),
            advanced=True,
        )
        self.addOutput(QgsProcessingOutputRasterLayer(OUTPUT, tr("Class raster")))
        self.addOutput(QgsProcessingOutputFile(STYLE, tr("Saved style (QML)")))

    def _check(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> None:
        self._classes(parameters, context)
        self._target(self.parameterAsRasterLayer(parameters, INPUT, context), parameters, context)

    def processAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Dict[str, Any]:
        layer = self.parameterAsRasterLayer(parameters, INPUT, context)
        if layer is None or not layer.isValid():
            raise failure(tr("The class raster cannot be read."), tr("Check that its source exists."))
        band = self.parameterAsInt(parameters, BAND, context) or 1
        classes = self._classes(parameters, context)
        target = self._target(layer, parameters, context)
        present = None
        if self.parameterAsBool(parameters, ONLY_PRESENT, context):
            present = codes_in(gdal_path(layer), band, feedback)
        self._style(layer, band, classes, self._file(parameters, context), present)
        values: Dict[str, Any] = {OUTPUT: layer.id()}
        if target is not None:
            message, done = layer.saveNamedStyle(str(target), QgsMapLayer.StyleCategory.Symbology)
            if not done:
                raise failure(
                    tr("{path} cannot be written: {reason}.").format(path=target, reason=message.rstrip(".")),
                    tr("Check that you may write to the folder of the raster."),
                )
            feedback.pushInfo(tr("Style saved: {path}").format(path=target))
            values[STYLE] = str(target)
        elif QgsProject.instance().mapLayer(layer.id()) is None:
            feedback.pushWarning(
                tr("The raster is no layer of the project, so nothing keeps its style: save it beside the raster.")
            )
        return values

    def _style(
        self,
        layer: QgsRasterLayer,
        band: int,
        classes: List[Dict[str, Any]],
        file: Optional[Path],
        present: Optional[Set[int]],
    ) -> None:
        if classes:
            # a class that never wins is shown where it was drawn by hand, but not in every legend
            shown = [item for item in classes if (not item["disabled"] if present is None else item["code"] in present)]
            if not shown:
                raise failure(
                    tr('The layer "{name}" has no pixel of these classes.').format(name=layer.name()),
                    tr("Choose another palette."),
                )
            layer.setRenderer(paletted_renderer(layer.dataProvider(), shown, band))
        elif not apply_style(layer, file):
            raise failure(
                tr("{path} is no style of a raster.").format(path=file), tr("Choose one that was saved from a raster.")
            )
        renderer = layer.renderer()
        if not classes and present is not None and isinstance(renderer, QgsPalettedRasterRenderer):
            kept = [item for item in renderer.classes() if int(item.value) in present]
            layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), renderer.band(), kept))
        layer.triggerRepaint()
        layer.emitStyleChanged()

    def _classes(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> List[Dict[str, Any]]:
        """Return the classes; none where a style of QGIS is given."""
        file = self._file(parameters, context)
        if file is None:
            return palette(self.parameterAsEnumString(parameters, PALETTE, context))
        if not file.is_file():
            raise failure(tr("There is no file {path}.").format(path=file), tr("Check the path."))
        return [] if file.suffix.lower() == ".qml" else read_palette(file)

    def _file(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> Optional[Path]:
        text = self.parameterAsFile(parameters, STYLE_FILE, context)
        return Path(text).expanduser() if text else None

    def _target(
        self, layer: QgsRasterLayer, parameters: Dict[str, Any], context: QgsProcessingContext
    ) -> Optional[Path]:
        """Return where the style is saved, or None."""
        if not self.parameterAsBool(parameters, SAVE, context):
            return None
        path = Path(gdal_path(layer)) if layer.providerType() == "gdal" else None
        if path is None or not path.is_file():
            raise failure(
                tr('The layer "{name}" is no file, so no style can lie beside it.').format(name=layer.name()),
                tr("Leave it unsaved; the project keeps the style."),
            )
        return path.with_suffix(".qml")


def codes_in(path: str, band: int, feedback: QgsProcessingFeedback) -> Set[int]:
    """Return the values that occur in a raster of whole numbers.

    Args:
        path: What GDAL opens.
        band: Number of the band.
        feedback: Where progress is shown and cancelling is asked.

    Raises:
        QgsProcessingException: It holds no whole numbers, cannot be read, or it was cancelled.
    """
    dataset = gdal.Open(path)
    source = dataset.GetRasterBand(band)
    if source.DataType in (gdal.GDT_Float32, gdal.GDT_Float64):
        raise failure(
            tr("{path} holds real numbers, which are no class codes.").format(path=path),
            tr("Choose a raster of class codes."),
        )
    found: Set[int] = set()
    rows, columns = dataset.RasterYSize, dataset.RasterXSize
    for row in range(0, rows, PIECE):
        for column in range(0, columns, PIECE):
            if feedback.isCanceled():
                raise failure(tr("Cancelled."))
            part = source.ReadAsArray(column, row, min(PIECE, columns - column), min(PIECE, rows - row))
            if part is None:
                raise failure(tr("{path} cannot be read to its end.").format(path=path), tr("Get the file again."))
            found.update(np.unique(part).tolist())
        feedback.setProgress(100 * min(rows, row + PIECE) / rows)
    return found

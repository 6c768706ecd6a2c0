"""Labels in QGIS, polygons or a raster, as files that the engine can read."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsProcessingFeedback,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)

from .errors import failure
from .i18n import tr
from .layers import LayerInput, describe_layer, readable_path, with_crs
from .progress import Progress

# Vector formats that are handed on as they lie on the disk.
READABLE = ["gpkg", "shp", "geojson", "fgb"]


def formats_of(layer: Optional[QgsVectorLayer]) -> List[str]:
    """Return the formats in which the file behind a layer may be handed on; empty where it does not tell the truth.

    QGIS itself looks at filters, selections and memory layers, but not at edits that are not saved, at a CRS that
    somebody chose, nor at joined and virtual fields: with no format at all it writes a copy that has them.

    Args:
        layer: The layer that holds the polygons, None where it is not known.
    """
    if layer is None or layer.dataProvider() is None:
        return READABLE
    own = layer.dataProvider()
    as_stored = layer.crs() == own.crs() and layer.fields().names() == own.fields().names()
    return READABLE if as_stored and not layer.isModified() else []


def check_label_raster(layer: QgsRasterLayer) -> None:
    """Check that a raster holds labels the engine can read.

    Raises:
        QgsProcessingException: A service draws it.
    """
    if layer.providerType() != "gdal":
        raise failure(
            tr('The labels "{name}" are a picture drawn by a service: it holds colours, not classes.').format(
                name=layer.name()
            ),
            tr("Choose a raster file of class codes."),
        )


def describe_label_raster(layer: Optional[QgsRasterLayer]) -> LayerInput:
    """Take a raster of labels apart. Call it on the main thread.

    Raises:
        QgsProcessingException: It cannot be read, or a service draws it.
    """
    if layer is None:
        raise failure(tr("The raster of labels cannot be read."), tr("Check that its source exists."))
    check_label_raster(layer)
    return describe_layer(layer)


def label_raster_path(
    layer: LayerInput, folder: Path, feedback: QgsProcessingFeedback, progress: Optional[Progress] = None
) -> str:
    """Return a path to a raster of labels that the engine can read.

    Args:
        layer: The raster; see `describe_label_raster`.
        folder: Where a copy or a description goes.
        feedback: Where messages are shown.
        progress: Where progress is shown.
    """
    path = readable_path(layer, None, 0.0, folder / "labels.tif", feedback, progress or Progress(feedback))
    if layer.crs_text is None:
        return path
    return with_crs(path, layer.crs_text, folder / "labels.vrt")


def extent_in(
    box: QgsRectangle,
    crs: QgsCoordinateReferenceSystem,
    target: QgsCoordinateReferenceSystem,
    transform_context: QgsCoordinateTransformContext,
) -> Optional[QgsRectangle]:
    """Return an extent in another CRS; None where it has no place there, or is empty.

    Args:
        box: The extent.
        crs: Its CRS; when one of both is not valid, the coordinates are taken as they are.
        target: The other CRS.
        transform_context: How to transform.
    """
    if crs.isValid() and target.isValid():
        try:
            box = QgsCoordinateTransform(crs, target, transform_context).transformBoundingBox(box)
        except QgsCsException:
            return None
    return None if box.isEmpty() or not box.isFinite() else box

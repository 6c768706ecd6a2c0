"""An area of interest as a file the engine can read."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from osgeo import ogr, osr
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsFeatureRequest,
    QgsFeatureSource,
    QgsGeometry,
    QgsProcessingFeedback,
    QgsRectangle,
)

from .errors import failure
from .i18n import tr

LAYER = "area"


def write_area(
    source: QgsFeatureSource,
    target: Path,
    crs: QgsCoordinateReferenceSystem,
    extent: Optional[QgsRectangle],
    transform_context: QgsCoordinateTransformContext,
    feedback: QgsProcessingFeedback,
) -> None:
    """Write polygons into a GeoPackage, in the CRS of the image.

    Args:
        source: Polygons.
        target: GeoPackage to write.
        crs: CRS of the image; when it is not valid, the polygons' coordinates are taken as they are.
        extent: Part to cut the polygons to, in that CRS.
        transform_context: How to transform.
        feedback: Where cancelling is asked.

    Raises:
        QgsProcessingException: There is no polygon (inside the extent), or it cannot be transformed or written.
    """
    request = QgsFeatureRequest()
    if crs.isValid() and source.sourceCrs().isValid():
        request.setDestinationCrs(crs, transform_context)
    dataset, layer = _create(target, crs)
    count = 0
    try:
        for feature in source.getFeatures(request):
            if feedback.isCanceled():
                raise failure(tr("Cancelled."))
            geometry = _usable(feature.geometry(), extent)
            if geometry is None:
                continue
            record = ogr.Feature(layer.GetLayerDefn())
            record.SetGeometry(ogr.CreateGeometryFromWkb(bytes(geometry.asWkb())))
            layer.CreateFeature(record)
            count += 1
    except QgsCsException as error:
        raise failure(
            tr("The area cannot be transformed to the CRS of the image."), tr("Choose an area inside the image.")
        ) from error
    finally:
        del layer, dataset
    if not count:
        raise failure(
            tr("The area holds no polygon.") if extent is None else tr("The area holds no polygon inside the extent."),
            tr("Choose another layer, or none."),
        )


def area_extent(path: Path) -> QgsRectangle:
    """Return the extent of an area that was written."""
    dataset = ogr.Open(str(path))
    west, east, south, north = dataset.GetLayer(0).GetExtent()
    return QgsRectangle(west, south, east, north)


def _create(target: Path, crs: QgsCoordinateReferenceSystem):
    reference = None
    if crs.isValid():
        reference = osr.SpatialReference()
        reference.ImportFromWkt(crs.toWkt())
        reference.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    try:
        dataset = ogr.GetDriverByName("GPKG").CreateDataSource(str(target))
        layer = None if dataset is None else dataset.CreateLayer(LAYER, reference, ogr.wkbUnknown)
    except RuntimeError:
        dataset = layer = None
    if layer is None:
        raise failure(
            tr("The temporary file {path} cannot be written.").format(path=target), tr("Check the free disk space.")
        )
    return dataset, layer


def _usable(geometry: QgsGeometry, extent: Optional[QgsRectangle]) -> Optional[QgsGeometry]:
    if geometry.isEmpty():
        return None
    if not geometry.isGeosValid():
        geometry = geometry.makeValid()
    if extent is not None:
        geometry = geometry.intersection(QgsGeometry.fromRect(extent))
    return None if geometry.isEmpty() or geometry.area() <= 0 else geometry

"""Copies a part of a layer that is not a file (WMS, XYZ, WCS, virtual) into a GeoTIFF, piece by piece."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional, Tuple

import numpy as np
from osgeo import gdal, gdal_array
from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsDistanceArea,
    QgsPointXY,
    QgsProcessingFeedback,
    QgsRasterBlock,
    QgsRasterBlockFeedback,
    QgsRasterDataProvider,
    QgsRectangle,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QImage

from .errors import failure
from .i18n import tr
from .progress import Progress

# Services refuse larger pictures; 2048 is what nearly all accept, and half of it keeps progress and cancel lively.
PIECE = 1024
ATTEMPTS = 3
MAX_PIXELS = 2_000_000_000


def draws_colours(provider: QgsRasterDataProvider) -> bool:
    """Whether a provider draws a picture (WMS, XYZ) instead of handing out values."""
    colours = (Qgis.DataType.ARGB32, Qgis.DataType.ARGB32_Premultiplied)
    return provider.bandCount() >= 1 and provider.dataType(1) in colours


class Extract(NamedTuple):
    """The part of a layer to copy.

    Args:
        name: Name of the layer.
        provider: A copy of its data provider, for the calling thread alone.
        crs: CRS of the layer and of the copy.
        box: Extent of the copy in that CRS, whole pixels.
        width: Pixels from west to east.
        height: Pixels from north to south.
    """

    name: str
    provider: QgsRasterDataProvider
    crs: QgsCoordinateReferenceSystem
    box: QgsRectangle
    width: int
    height: int

    @property
    def pixel_size(self) -> Tuple[float, float]:
        """Width and height of a pixel in units of the CRS."""
        return self.box.width() / self.width, self.box.height() / self.height

    @staticmethod
    def plan(
        name: str,
        provider: QgsRasterDataProvider,
        crs: QgsCoordinateReferenceSystem,
        wanted: QgsRectangle,
        wanted_crs: QgsCoordinateReferenceSystem,
        ground_sampling_distance: float,
    ) -> Extract:
        """Plan a copy of an extent at a ground sampling distance.

        Args:
            name: Name of the layer.
            provider: A copy of its data provider.
            crs: CRS of the layer.
            wanted: Extent to copy.
            wanted_crs: Its CRS.
            ground_sampling_distance: Metres on the ground per pixel.

        Raises:
            QgsProcessingException: The extent is outside the layer, cannot be transformed or is too large.
        """
        box = QgsRectangle(wanted)
        if wanted_crs.isValid() and crs.isValid() and wanted_crs != crs:
            transform = QgsCoordinateTransform(wanted_crs, crs, QgsCoordinateTransformContext())
            try:
                box = transform.transformBoundingBox(box)
            except QgsCsException as error:
                raise failure(
                    tr('The extent cannot be transformed to the CRS of the layer "{name}".').format(name=name),
                    tr("Choose an extent inside the layer."),
                ) from error
        whole = provider.extent()
        if not whole.isEmpty():
            box = box.intersect(whole)
        if box.isEmpty() or not box.isFinite():
            raise failure(
                tr('The extent lies outside the layer "{name}".').format(name=name),
                tr("Choose an extent inside the layer."),
            )
        metres_x, metres_y = metres_per_unit(crs, box.center())
        step_x, step_y = ground_sampling_distance / metres_x, ground_sampling_distance / metres_y
        if abs(step_x / step_y - 1) < 0.02:
            # square pixels wherever the CRS allows it
            step_x = step_y = math.sqrt(step_x * step_y)
        # a hair more than whole pixels, as measuring makes it, is not a pixel more
        width, height = (
            max(1, math.ceil(box.width() / step_x - 0.01)),
            max(1, math.ceil(box.height() / step_y - 0.01)),
        )
        if width * height > MAX_PIXELS:
            raise failure(
                tr(
                    'The extent is too large to copy from the layer "{name}": {width} x {height} pixels of {size} m.'
                ).format(name=name, width=width, height=height, size=ground_sampling_distance),
                tr("Choose a smaller extent, or get the image as a file."),
            )
        left, top = box.xMinimum(), box.yMaximum()
        box = QgsRectangle(left, top - height * step_y, left + width * step_x, top)
        return Extract(name, provider, crs, box, width, height)


def metres_per_unit(crs: QgsCoordinateReferenceSystem, point: QgsPointXY) -> Tuple[float, float]:
    """Return the metres on the ground that a unit of a CRS measures at a point, along x and along y."""
    if not crs.isValid():
        return 1.0, 1.0
    measure = QgsDistanceArea()
    measure.setSourceCrs(crs, QgsCoordinateTransformContext())
    measure.setEllipsoid(crs.ellipsoidAcronym() or "EPSG:7030")
    half = 0.0005 if crs.isGeographic() else 50.0
    x, y = point.x(), point.y()
    try:
        along_x = measure.measureLine(QgsPointXY(x - half, y), QgsPointXY(x + half, y)) / (2 * half)
        along_y = measure.measureLine(QgsPointXY(x, y - half), QgsPointXY(x, y + half)) / (2 * half)
    except QgsCsException:
        return 1.0, 1.0
    return (along_x or 1.0), (along_y or 1.0)


def copy_extract(extract: Extract, target: Path, feedback: QgsProcessingFeedback, progress: Progress) -> None:
    """Copy an extract into a GeoTIFF; what the service does not have becomes nodata.

    Pictures become red, green, blue and alpha; values keep their bands, type and nodata.

    Raises:
        QgsProcessingException: The file cannot be written, nothing at all came, or it was cancelled.
    """
    picture = draws_colours(extract.provider)
    dataset = _create(extract, target, picture)
    listener = QgsRasterBlockFeedback()
    # directly, because this thread has no event loop that would deliver it
    feedback.canceled.connect(listener.cancel, Qt.ConnectionType.DirectConnection)
    started, missing, holes, seen = time.monotonic(), 0, 0, False
    pieces = list(_pieces(extract))
    try:
        for number, (column, row, width, height) in enumerate(pieces):
            part = _read(extract, (column, row, width, height), picture, listener, feedback, progress)
            if part is None:
                missing += 1
            else:
                seen = seen or not picture or bool(part[3].any())
                holes += picture and not part[3].all()
                if (
                    dataset.WriteRaster(column, row, width, height, part.tobytes(), buf_type=_gdal_type(part))
                    != gdal.CE_None
                ):
                    raise _cannot_write(target)
            share = (number + 1) / len(pieces)
            spent = time.monotonic() - started
            text = tr("Copying the layer: piece {number} of {count}").format(number=number + 1, count=len(pieces))
            progress.report(share, text, spent / share - spent if number else None)
        dataset.FlushCache()
    finally:
        feedback.canceled.disconnect(listener.cancel)
        del dataset
    if missing == len(pieces) or not seen:
        raise failure(
            tr('The layer "{name}" shows nothing inside the extent.').format(name=extract.name),
            tr("Check the connection and the extent; some services have pictures at certain scales only."),
        )
    if missing and not picture and not extract.provider.sourceHasNoDataValue(1):
        # zeros where nothing was read would pass for measurements
        raise failure(
            tr('{count} pieces of the layer "{name}" could not be read.').format(count=missing, name=extract.name),
            tr("Run it again, or get the image as a file."),
        )
    if missing or holes:
        feedback.pushWarning(
            tr('{count} of {total} pieces of the layer "{name}" have holes; these become "no data".').format(
                count=missing + holes, total=len(pieces), name=extract.name
            )
        )


def _pieces(extract: Extract) -> Iterator[Tuple[int, int, int, int]]:
    for row in range(0, extract.height, PIECE):
        for column in range(0, extract.width, PIECE):
            yield column, row, min(PIECE, extract.width - column), min(PIECE, extract.height - row)


def _read(
    extract: Extract,
    piece: Tuple[int, int, int, int],
    picture: bool,
    listener: QgsRasterBlockFeedback,
    feedback: QgsProcessingFeedback,
    progress: Progress,
) -> Optional[np.ndarray]:
    column, row, width, height = piece
    step_x, step_y = extract.pixel_size
    left, top = extract.box.xMinimum() + column * step_x, extract.box.yMaximum() - row * step_y
    box = QgsRectangle(left, top - height * step_y, left + width * step_x, top)
    best: Optional[np.ndarray] = None
    for attempt in range(ATTEMPTS):
        _pause(attempt, feedback, progress)
        count = 1 if picture else extract.provider.bandCount()
        blocks = [extract.provider.block(band, box, width, height, listener) for band in range(1, count + 1)]
        if feedback.isCanceled():
            raise failure(tr("Cancelled."))
        if any(block is None or not block.isValid() or block.isEmpty() for block in blocks):
            continue
        if not picture:
            return np.stack([_values(block) for block in blocks])
        part = _colours(blocks[0])
        if best is None or np.count_nonzero(part[3]) > np.count_nonzero(best[3]):
            best = part
        # A tile that failed to load and one that does not exist look the same: ask once more, then take it as absent.
        if attempt > 0 or best[3].all():
            break
    if best is None and listener.errors():
        feedback.pushInfo("; ".join(sorted({error.message for error in listener.errors()})))
    return best


def _pause(attempt: int, feedback: QgsProcessingFeedback, progress: Progress) -> None:
    end = time.monotonic() + 0.5 * attempt
    while time.monotonic() < end and not feedback.isCanceled():
        progress.beat()
        time.sleep(0.05)


def _colours(block: QgsRasterBlock) -> np.ndarray:
    # straight alpha: the colours of a half transparent pixel are not darkened
    image = block.image().convertToFormat(QImage.Format.Format_RGBA8888)
    pixels = np.frombuffer(image.constBits().asstring(image.sizeInBytes()), dtype=np.uint8)
    rows = pixels.reshape(image.height(), image.bytesPerLine())[:, : image.width() * 4]
    return np.ascontiguousarray(rows.reshape(image.height(), image.width(), 4).transpose(2, 0, 1))


def _values(block: QgsRasterBlock) -> np.ndarray:
    kind = gdal_array.GDALTypeCodeToNumericTypeCode(_number(block.dataType()))
    return np.frombuffer(bytes(block.data()), dtype=kind).reshape(block.height(), block.width())


def _number(kind: Qgis.DataType) -> int:
    # QGIS's and GDAL's numbers are the same; an enumeration of Qt 6 is no integer
    return int(getattr(kind, "value", kind))


def _gdal_type(part: np.ndarray) -> int:
    return int(gdal_array.NumericTypeCodeToGDALTypeCode(part.dtype.type))


def _create(extract: Extract, target: Path, picture: bool) -> gdal.Dataset:
    kind = gdal.GDT_Byte if picture else _number(extract.provider.dataType(1))
    count = 4 if picture else extract.provider.bandCount()
    options: List[str] = ["TILED=YES", "COMPRESS=DEFLATE", "BIGTIFF=IF_SAFER", "SPARSE_OK=TRUE"]
    if picture:
        options += ["PHOTOMETRIC=RGB", "ALPHA=YES"]
    try:
        dataset = gdal.GetDriverByName("GTiff").Create(
            str(target), extract.width, extract.height, count, kind, options=options
        )
    except RuntimeError:
        dataset = None
    if dataset is None:
        raise _cannot_write(target)
    step_x, step_y = extract.pixel_size
    dataset.SetGeoTransform((extract.box.xMinimum(), step_x, 0.0, extract.box.yMaximum(), 0.0, -step_y))
    if extract.crs.isValid():
        dataset.SetProjection(extract.crs.toWkt())
    if not picture and extract.provider.sourceHasNoDataValue(1):
        for band in range(1, count + 1):
            dataset.GetRasterBand(band).SetNoDataValue(extract.provider.sourceNoDataValue(band))
    return dataset


def _cannot_write(target: Path) -> Exception:
    return failure(
        tr("The temporary file {path} cannot be written: {reason}.").format(
            path=target, reason=gdal.GetLastErrorMsg() or tr("unknown reason")
        ),
        tr("Check the free disk space."),
    )

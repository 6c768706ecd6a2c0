"""Copies a part of a layer that is not a file (WMS, WMTS, XYZ, WCS, virtual) to disk, piece by piece."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence, Tuple

from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsDistanceArea,
    QgsPointXY,
    QgsProcessingFeedback,
    QgsRasterDataProvider,
    QgsRectangle,
)

from .errors import failure
from .i18n import tr
from .layer_copies import Copy, Piece, make_folder, service_folder
from .layer_pieces import PieceReader, pieces_of
from .progress import Progress

# Services refuse larger pictures; 2048 is what nearly all accept, and half of it keeps progress and cancel lively.
PIECE = 1024
MAX_PIXELS = 2_000_000_000
NOMINAL = 0.02


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

    def box_of(self, piece: Piece) -> QgsRectangle:
        """Return the extent of a piece."""
        (column, row, width, height), (step_x, step_y) = piece, self.pixel_size
        left, top = self.box.xMinimum() + column * step_x, self.box.yMaximum() - row * step_y
        return QgsRectangle(left, top - height * step_y, left + width * step_x, top)

    @staticmethod
    def plan(
        name: str,
        provider: QgsRasterDataProvider,
        crs: QgsCoordinateReferenceSystem,
        wanted: QgsRectangle,
        wanted_crs: QgsCoordinateReferenceSystem,
        ground_sampling_distance: float,
        margin: int = 0,
    ) -> Extract:
        """Plan a copy of an extent at a ground sampling distance.

        Args:
            name: Name of the layer.
            provider: A copy of its data provider.
            crs: CRS of the layer.
            wanted: Extent to copy.
            wanted_crs: Its CRS.
            ground_sampling_distance: Metres on the ground per pixel.
            margin: Pixels to copy around it, as far as the layer has them.

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
        if abs(step_x / step_y - 1) < NOMINAL:
            # square pixels wherever the CRS allows it
            step_x = step_y = math.sqrt(step_x * step_y)
        # a hair more than whole pixels, as measuring makes it, is not a pixel more
        width, height = (
            max(1, math.ceil(box.width() / step_x - 0.01)),
            max(1, math.ceil(box.height() / step_y - 0.01)),
        )
        left, top = box.xMinimum(), box.yMaximum()
        if margin:
            room = _room(QgsRectangle(left, top - height * step_y, left + width * step_x, top), whole)
            west, east = (int(min(margin, far / step_x + 0.01)) for far in room[:2])
            north, south = (int(min(margin, far / step_y + 0.01)) for far in room[2:])
            left, top = left - west * step_x, top + north * step_y
            width, height = width + west + east, height + north + south
        if width * height > MAX_PIXELS:
            raise failure(
                tr(
                    'The extent is too large to copy from the layer "{name}": {width} x {height} pixels of {size} m.'
                ).format(name=name, width=width, height=height, size=ground_sampling_distance),
                tr("Choose a smaller extent, or get the image as a file."),
            )
        box = QgsRectangle(left, top - height * step_y, left + width * step_x, top)
        return Extract(name, provider, crs, box, width, height)


def _room(box: QgsRectangle, whole: QgsRectangle) -> List[float]:
    """Return how far a layer reaches beyond a box to the west, east, north and south; a layer without an end, far."""
    if whole.isEmpty():
        return [math.inf] * 4
    room = [
        box.xMinimum() - whole.xMinimum(), whole.xMaximum() - box.xMaximum(),
        whole.yMaximum() - box.yMaximum(), box.yMinimum() - whole.yMinimum(),
    ]  # fmt: skip
    return [max(0.0, value) for value in room]


def metres_per_unit(crs: QgsCoordinateReferenceSystem, point: QgsPointXY) -> Tuple[float, float]:
    """Return the metres on the ground that a unit of a CRS measures at a point, along x and along y.

    Map projections stretch distances by some per mille, and nobody counts them: where a unit is within 2 % of a metre
    it is one, so that the pixels of a copy are those of the map.
    """
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
    if abs(along_x - 1) <= NOMINAL and abs(along_y - 1) <= NOMINAL:
        return 1.0, 1.0
    return (along_x or 1.0), (along_y or 1.0)


def round_distance(distance: float) -> float:
    """Return a distance of two digits that is within 2 % of one: a model that learnt from 0.2002 m is given 0.2 m."""
    digits = float(f"{distance:.1e}")
    return digits if distance and abs(digits / distance - 1) <= NOMINAL else distance


def copy_extract(extract: Extract, folder: Optional[Path], feedback: QgsProcessingFeedback, progress: Progress) -> Path:
    """Copy an extract into pieces on disk, and return the path of the raster over them.

    What the service does not have becomes nodata. Pictures become red, green, blue and alpha; values keep their bands,
    type and nodata. Pieces that are there already are not asked for again.

    Args:
        extract: What is to be copied.
        folder: Where the pieces go; None keeps them in the profile, for the next run.
        feedback: Where messages are shown and cancelling is asked.
        progress: Where progress is shown.

    Raises:
        QgsProcessingException: A file cannot be written, nothing at all came, or it was cancelled.
    """
    provider, picture = extract.provider, draws_colours(extract.provider)
    crs = extract.crs.toWkt() if extract.crs.isValid() else ""
    if folder is None:
        box = [extract.box.xMinimum(), extract.box.yMinimum(), extract.box.xMaximum(), extract.box.yMaximum()]
        grid = [provider.name(), crs, *map(repr, box), extract.width, extract.height, PIECE]
        folder = service_folder(provider.dataSourceUri(), grid)
    else:
        make_folder(folder)
    copy = Copy(folder, picture, _nodata(provider, picture))
    size = (extract.width, extract.height)
    pieces = pieces_of(size, max(1, min(PIECE, provider.stepWidth() or PIECE, provider.stepHeight() or PIECE)))
    said = _fetch(extract, copy, pieces, feedback, progress)
    _check(extract, copy, pieces, said, feedback)
    step_x, step_y = extract.pixel_size
    transform = (extract.box.xMinimum(), step_x, 0.0, extract.box.yMaximum(), 0.0, -step_y)
    return copy.write_whole(extract.name, pieces, size, transform, crs)


def _fetch(
    extract: Extract, copy: Copy, pieces: Sequence[Piece], feedback: QgsProcessingFeedback, progress: Progress
) -> str:
    """Ask for the pieces that are not there, and return what QGIS says of those that failed."""
    asked = [piece for piece in pieces if not copy.whole(piece)]
    there = len(pieces) - len(asked)
    if there:
        feedback.pushInfo(
            tr('{count} of {total} pieces of the layer "{name}" are there from an earlier run.').format(
                count=there, total=len(pieces), name=extract.name
            )
        )
    if feedback.isCanceled():
        raise failure(tr("Cancelled."))
    started = time.monotonic()
    reader = PieceReader(extract, copy.picture, feedback, progress)
    for number, (piece, part) in enumerate(reader.read(asked), 1):
        if part is not None and (not copy.picture or part[3].any()):
            copy.add(piece, part)
        spent = time.monotonic() - started
        text = tr("Copying the layer: piece {number} of {count}").format(number=there + number, count=len(pieces))
        left = spent / number * (len(asked) - number) if number > 1 else None
        progress.report((there + number) / len(pieces), text, left)
    return reader.said


def _check(extract: Extract, copy: Copy, pieces: Sequence[Piece], said: str, feedback: QgsProcessingFeedback) -> None:
    missing = sum(copy.file(piece) is None for piece in pieces)
    holes = sum(not copy.whole(piece) for piece in pieces)
    if missing == len(pieces):
        nothing = tr('The layer "{name}" shows nothing inside the extent.').format(name=extract.name)
        raise failure(
            f"{nothing} {said}".strip(),
            tr("Check the connection and the extent; some services have pictures at certain scales only."),
        )
    if missing and not copy.picture and copy.nodata[0] is None:
        # zeros where nothing was read would pass for measurements
        raise failure(
            tr('{count} pieces of the layer "{name}" could not be read.').format(count=missing, name=extract.name),
            tr("Run it again, or get the image as a file."),
        )
    if holes and said:
        feedback.pushInfo(said)
    if holes:
        feedback.pushWarning(
            tr('{count} of {total} pieces of the layer "{name}" have holes; these become "no data".').format(
                count=holes, total=len(pieces), name=extract.name
            )
        )


def _nodata(provider: QgsRasterDataProvider, picture: bool) -> List[Optional[float]]:
    bands = range(1, provider.bandCount() + 1)
    if picture:
        return []
    return [provider.sourceNoDataValue(band) if provider.sourceHasNoDataValue(band) else None for band in bands]

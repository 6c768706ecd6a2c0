"""Reads pieces of a layer that is not a file, a few at once where a server draws them."""

from __future__ import annotations

import queue
import re
import threading
import time
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np
from osgeo import gdal_array
from qgis.core import (
    Qgis,
    QgsApplication,
    QgsProcessingFeedback,
    QgsRasterBlock,
    QgsRasterBlockFeedback,
    QgsRasterDataProvider,
)
from qgis.PyQt.QtCore import Qt, QThread
from qgis.PyQt.QtGui import QImage

from .errors import failure
from .i18n import tr
from .layer_copies import SERVICES, Piece
from .progress import Progress

if TYPE_CHECKING:
    from .layer_rendering import Extract

ATTEMPTS = 3
# As many as a browser would, and few for a public service.
AT_ONCE = 3
_WAIT_SECONDS = 0.05
# Under which of QGIS's tags of messages providers write of their requests.
_TAGS = ("WMS", "WCS", "ArcGIS", "Network")
_ADDRESS = re.compile(r"(https?://)(?:[^/@\s]*@)?([^/?\s]*)\S*")
_SHOWN, _LONGEST = 3, 300


class PieceReader:
    """Reads pieces of an extract.

    Args:
        extract: The extract.
        picture: Whether it is drawn in colours.
        feedback: Where messages are shown and cancelling is asked.
        progress: Is kept alive while nothing comes.
    """

    def __init__(self, extract: Extract, picture: bool, feedback: QgsProcessingFeedback, progress: Progress) -> None:
        self._extract, self._picture = extract, picture
        self._feedback, self._progress = feedback, progress
        self._mutex = threading.Lock()
        self._stop = threading.Event()
        self._said: Dict[str, None] = {}

    def read(self, pieces: Sequence[Piece]) -> Iterator[Tuple[Piece, Optional[np.ndarray]]]:
        """Yield each piece with its bands, or None where nothing could be read; in any order.

        Raises:
            QgsProcessingException: It was cancelled.
        """
        count = max(1, min(AT_ONCE, len(pieces))) if self._may_share() else 1
        listeners = [QgsRasterBlockFeedback() for _ in range(count)]
        for listener in listeners:
            # directly, because this thread may have no event loop that would deliver it
            self._feedback.canceled.connect(listener.cancel, Qt.ConnectionType.DirectConnection)
        # what went wrong with a request stands in the log alone
        log = QgsApplication.messageLog()
        log.messageReceived.connect(self._hear, Qt.ConnectionType.DirectConnection)
        try:
            found = self._one_by_one(pieces, listeners[0]) if count <= 1 else self._shared(pieces, listeners)
            for item in found:
                if self._feedback.isCanceled():
                    raise failure(tr("Cancelled."))
                yield item
        finally:
            log.messageReceived.disconnect(self._hear)
            for listener in listeners:
                self._feedback.canceled.disconnect(listener.cancel)
            for listener in listeners:
                self._said.update({error.message: None for error in listener.errors()})

    @property
    def said(self) -> str:
        """What QGIS has said of requests that failed, as a sentence; empty for nothing."""
        text = "; ".join(list(self._said)[-_SHOWN:]).rstrip(".")
        return tr("QGIS says of the service: {text}.").format(text=text) if text else ""

    def _hear(self, message: str, tag: str, *_: Any) -> None:
        if tag in _TAGS:
            # an address may hold a key
            self._said[_ADDRESS.sub(r"\1\2", message).replace("\n", " ")[:_LONGEST]] = None

    def _may_share(self) -> bool:
        """Return whether other threads may read: a server draws it, and what Qt asks of the main thread is answered."""
        here = QThread.currentThread() != QgsApplication.instance().thread()
        return self._extract.provider.name() in SERVICES and (here or QgsApplication.platform() == "qgis_process")

    def _one_by_one(
        self, pieces: Sequence[Piece], listener: QgsRasterBlockFeedback
    ) -> Iterator[Tuple[Piece, Optional[np.ndarray]]]:
        for piece in pieces:
            yield piece, self._read(self._extract.provider, piece, listener, self._progress)

    def _shared(
        self, pieces: Sequence[Piece], listeners: Sequence[QgsRasterBlockFeedback]
    ) -> Iterator[Tuple[Piece, Optional[np.ndarray]]]:
        waiting: queue.Queue[Piece] = queue.Queue()
        done: queue.Queue[Tuple[Piece, Optional[np.ndarray], Optional[BaseException]]] = queue.Queue()
        for piece in pieces:
            waiting.put(piece)

        def work(listener: QgsRasterBlockFeedback) -> None:
            # a provider belongs to the thread that made it
            with self._mutex:
                provider = self._extract.provider.clone()
            while not self._stop.is_set():
                try:
                    piece = waiting.get_nowait()
                except queue.Empty:
                    break
                try:
                    done.put((piece, self._read(provider, piece, listener, None), None))
                except Exception as error:  # told to whoever waits for the piece
                    done.put((piece, None, error))
            del provider

        threads = [threading.Thread(target=work, args=(listener,), daemon=True) for listener in listeners]
        for thread in threads:
            thread.start()
        try:
            left = len(pieces)
            while left:
                try:
                    piece, part, error = done.get(timeout=_WAIT_SECONDS)
                except queue.Empty:
                    if self._feedback.isCanceled():
                        raise failure(tr("Cancelled.")) from None
                    self._progress.beat()
                    continue
                if error is not None:
                    raise error
                left -= 1
                yield piece, part
        finally:
            self._stop.set()
            for listener in listeners:
                listener.cancel()
            for thread in threads:
                while thread.is_alive():
                    self._progress.beat()
                    thread.join(_WAIT_SECONDS)

    def _read(
        self,
        provider: QgsRasterDataProvider,
        piece: Piece,
        listener: QgsRasterBlockFeedback,
        progress: Optional[Progress],
    ) -> Optional[np.ndarray]:
        box, width, height = self._extract.box_of(piece), piece[2], piece[3]
        best: Optional[np.ndarray] = None
        for attempt in range(ATTEMPTS):
            self._pause(attempt, progress)
            count = 1 if self._picture else provider.bandCount()
            blocks = [provider.block(band, box, width, height, listener) for band in range(1, count + 1)]
            if self._feedback.isCanceled() or self._stop.is_set():
                return None
            if any(block is None or not block.isValid() or block.isEmpty() for block in blocks):
                continue
            if not self._picture:
                return np.stack([_values(block) for block in blocks])
            part = _colours(blocks[0])
            if best is None or np.count_nonzero(part[3]) > np.count_nonzero(best[3]):
                best = part
            # A tile that failed to load and one that does not exist look the same: ask once more, then take it as
            # absent.
            if attempt > 0 or best[3].all():
                break
        return best

    def _pause(self, attempt: int, progress: Optional[Progress]) -> None:
        end = time.monotonic() + 0.5 * attempt
        while time.monotonic() < end and not self._feedback.isCanceled() and not self._stop.is_set():
            if progress is not None:
                progress.beat()
            time.sleep(_WAIT_SECONDS)


def pieces_of(size: Tuple[int, int], side: int) -> List[Piece]:
    """Return the pieces of at most `side` pixels that cover a raster of some columns and rows, in rows."""
    return [
        (column, row, min(side, size[0] - column), min(side, size[1] - row))
        for row in range(0, size[1], side)
        for column in range(0, size[0], side)
    ]


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

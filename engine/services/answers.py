"""What came for a piece: pixels, nothing, or an error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.io import MemoryFile

from engine.acquisition.server import Answer
from engine.errors import InputError
from engine.rasters.raster_file import GDAL_ERRORS, configure_gdal
from engine.rasters.windows import PixelWindow
from engine.services.address import ServiceAddress
from engine.services.documents import is_markup, refused, service_error

_MISSING = (204, 404, 410)
# First bytes of each format, and GDAL's drivers that may read it: a server does not choose the driver.
_FORMATS = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\x00": "GTiff",
    b"MM\x00*": "GTiff",
    b"II+\x00": "GTiff",
    b"MM\x00+": "GTiff",
}
_ENDS = {"PNG": b"IEND", "JPEG": b"\xff\xd9"}
# No ground lies so deep: what services put where they have no height (-9999, -99999, -3.4e38).
_NO_HEIGHT = -9000.0
# A photograph has thousands of colours; writing on a ground has one colour nearly everywhere and few others.
_DRAWN_SHARE, _DRAWN_COLOURS, _DRAWN_PIXELS = 0.9, 300, 2500


@dataclass(frozen=True)
class Piece:
    """Pixels of a piece.

    Args:
        pixels: Shape (bands, height, width); whole numbers have validity as their last band (0 or 255), real numbers
            have NaN where there are none. None where there is nothing.
        reason: Why there is nothing: `missing`, `blank` or `drawn`.
    """

    pixels: npt.NDArray[Any] | None
    reason: str = ""


def read_answer(address: ServiceAddress, window: PixelWindow, media: str, values: bool, answer: Answer) -> Piece:
    """Return the pixels that an answer holds.

    Args:
        address: Who was asked.
        window: What was asked for.
        media: In which format.
        values: Whether numbers are wanted as they are; else red, green, blue.
        answer: What came.

    Raises:
        InputError: It is an error, a page, or a picture of something else.
    """
    content = answer.content
    if answer.status in _MISSING and not (is_markup(content) and service_error(content)):
        return Piece(None, "missing")
    if answer.status >= 300 or is_markup(content):
        raise refused(address.host, answer.status, content)
    if "x-bil" in media.lower():
        return _real(_bil(address, window, content), address.nodata)
    driver = next((name for start, name in _FORMATS.items() if content.startswith(start)), None)
    if driver is None:
        kind = f" ({answer.kind})" if answer.kind else ""
        raise InputError(
            f"{address.host} answers with {len(content)} bytes{kind} that are no PNG, JPEG or TIFF.",
            "Name another format in the address, such as &format=image/png.",
        )
    pixels, valid = _decoded(address, window, content, driver, values)
    if pixels.dtype.kind == "f":
        return _real(pixels, address.nodata, valid)
    if address.nodata is not None:
        valid = valid & ~(pixels == address.nodata).all(axis=0)
    if not values:
        reason = _no_photograph(pixels, valid)
        if reason:
            return Piece(None, reason)
    elif pixels.dtype.kind == "i":
        valid = valid & (pixels > _NO_HEIGHT).all(axis=0)
    if not valid.any():
        return Piece(None, "blank")
    mask = np.where(valid, 255, 0).astype(pixels.dtype)
    return Piece(np.concatenate([pixels * valid, mask[None]]).astype(pixels.dtype))


def _bil(address: ServiceAddress, window: PixelWindow, content: bytes) -> npt.NDArray[Any]:
    wanted = window.height * window.width * 4
    if len(content) != wanted:
        raise InputError(
            f"{address.host} answers with {len(content)} bytes of heights, where {window.width} x {window.height} "
            f"pixels of 32 bits have {wanted}.",
            "Name another format in the address, such as &format=image/geotiff.",
        )
    return np.frombuffer(content, dtype="<f4").astype(np.float32).reshape(1, window.height, window.width)


def _real(pixels: npt.NDArray[Any], nodata: float | None, valid: npt.NDArray[np.bool_] | None = None) -> Piece:
    bad = ~np.isfinite(pixels) | (pixels < _NO_HEIGHT)
    if nodata is not None:
        bad |= pixels == nodata
    if valid is not None:
        bad |= ~valid
    if bad.all():
        return Piece(None, "blank")
    return Piece(np.where(bad, np.nan, pixels).astype(pixels.dtype))


def _decoded(
    address: ServiceAddress, window: PixelWindow, content: bytes, driver: str, values: bool
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    configure_gdal()
    # GDAL fills up what is cut off, without a word.
    if driver in _ENDS and _ENDS[driver] not in content[-64:]:
        raise _damaged(address, driver)
    try:
        with MemoryFile(content) as memory, memory.open(driver=driver) as dataset:
            if (dataset.width, dataset.height) != (window.width, window.height):
                raise InputError(
                    f"{address.host} answers with a picture of {dataset.width} x {dataset.height} pixels, where "
                    f"{window.width} x {window.height} were asked for.",
                    "The server may have a lower limit than it says; try another format or layer.",
                )
            if dataset.count > 64:
                raise InputError(f"{address.host} answers with {dataset.count} bands.", "Check the layer.")
            names = [kind.name for kind in dataset.colorinterp]
            valid = dataset.dataset_mask() > 0
            data = [number for number, name in enumerate(names, 1) if name != "alpha"]
            pixels = dataset.read(data)
            if names[0] == "palette" and not values:
                table = dataset.colormap(1)
                colours = np.zeros((256, 4), dtype=np.uint8)
                colours[list(table)] = list(table.values())
                pixels, shown = colours[pixels[0], :3].transpose(2, 0, 1), colours[pixels[0], 3]
                valid &= shown > 0
    except (*GDAL_ERRORS, ValueError) as error:
        raise _damaged(address, driver) from error
    if values:
        return pixels, valid
    if pixels.dtype != np.uint8:
        raise InputError(
            f"{address.host} answers with {pixels.dtype} values, where colours of 8 bits are wanted.",
            "Name another format in the address, such as &format=image/png.",
        )
    if len(pixels) in (1, 2):
        pixels = np.repeat(pixels[:1], 3, axis=0)
    return np.ascontiguousarray(pixels[:3]), valid


def _damaged(address: ServiceAddress, driver: str) -> InputError:
    return InputError(f"{address.host} answers with a damaged {driver} picture.", "Run the same command again.")


def _no_photograph(pixels: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> str:
    """Return `blank` for a piece of one white, black or transparent ground, `drawn` for writing on such a ground."""
    if not valid.any():
        return "blank"
    colours = np.ascontiguousarray(np.moveaxis(pixels, 0, -1)).astype(np.uint32)
    packed = colours[..., 0] << 16 | colours[..., 1] << 8 | colours[..., 2]
    packed[~valid] = 1 << 24
    found, counts = np.unique(packed, return_counts=True)
    if len(found) == 1:
        return "blank" if int(found[0]) in (0, 0xFFFFFF) else ""
    few = len(found) <= min(_DRAWN_COLOURS, packed.size // 50)
    if packed.size >= _DRAWN_PIXELS and few and counts.max() >= _DRAWN_SHARE * packed.size:
        return "drawn"
    return ""

"""One image or mask file of a data set."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from engine.band_names import FLAIR_ORDER, band_name
from engine.errors import InputError

READ_ERRORS = (RasterioError, OSError, ValueError)
Pixels = npt.NDArray[Any]


@dataclass(frozen=True)
class PatchHeader:
    """What an image file says of itself.

    Args:
        height: Rows.
        width: Columns.
        bands: Number of bands.
        dtype: numpy type name of the pixels.
        names: Band names as far as the descriptions tell them, else empty.
        nodata: Value that means no data, None without one.
        crs: CRS, None without one.
        transform: Pixel to CRS coordinates.
    """

    height: int
    width: int
    bands: int
    dtype: str
    names: tuple[str, ...]
    nodata: float | None
    crs: CRS | None
    transform: Affine


def read_header(path: Path) -> PatchHeader:
    """Read what an image file says of itself.

    Raises:
        InputError: It cannot be opened.
    """
    try:
        with _open(path) as file:
            names = tuple(band_name(text or "") or (text or "") for text in file.descriptions)
            return PatchHeader(
                height=file.height,
                width=file.width,
                bands=file.count,
                dtype=str(np.result_type(*(np.dtype(kind) for kind in file.dtypes))),
                names=names if all(names) and len(set(names)) == len(names) else (),
                nodata=None if file.nodata is None else float(file.nodata),
                crs=file.crs or None,
                transform=file.transform,
            )
    except READ_ERRORS as error:
        raise InputError(f"'{path}' cannot be read: {_first_line(error)}.") from error


def default_names(count: int) -> tuple[str, ...]:
    """Return the names of bands that no file names: FLAIR's order, then numbers."""
    return tuple(FLAIR_ORDER[index] if index < len(FLAIR_ORDER) else f"band {index + 1}" for index in range(count))


def read_image(path: Path, bands: tuple[int, ...] | None = None, window: Window | None = None) -> Pixels:
    """Read pixels of an image, shape (bands, height, width).

    Args:
        path: The file.
        bands: Numbers of the bands to read; None for all.
        window: Part to read; None for all.

    Raises:
        InputError: The file cannot be read.
    """
    try:
        with _open(path) as file:
            return np.asarray(file.read(None if bands is None else list(bands), window=window))
    except READ_ERRORS as error:
        raise InputError(f"'{path}' cannot be read: {_first_line(error)}.", "Copy or extract it again.") from error


def read_mask(path: Path, window: Window | None = None) -> Pixels:
    """Read the first band of a mask, shape (height, width).

    Raises:
        InputError: The file cannot be read.
    """
    return np.asarray(read_image(path, (1,), window)[0])


def missing_pixels(pixels: Pixels, nodata: float | None) -> npt.NDArray[np.bool_]:
    """Return which pixels of an image say nothing, shape (height, width): those that are not classified either.

    What is not finite in any band is no pixel. A nodata value that is an ordinary measurement as well, 0 to 65535, has
    to stand in all bands, since black water is dark in one of them; any other, such as -9999, in one is enough.

    Args:
        pixels: Shape (bands, height, width).
        nodata: Value that means no data, None without one.
    """
    missing = np.zeros(pixels.shape[1:], dtype=np.bool_)
    if pixels.dtype.kind == "f":
        missing |= ~np.isfinite(pixels).all(axis=0)
    if nodata is not None and np.isfinite(nodata):
        with np.errstate(over="ignore"):
            hit = pixels == nodata
        missing |= hit.all(axis=0) if 0 <= nodata <= 65535 else hit.any(axis=0)
    return missing


def _open(path: Path) -> Any:
    with warnings.catch_warnings():
        # FLAIR's masks have no CRS, and a patch needs none to be learnt from.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path)


def _first_line(error: BaseException) -> str:
    text = str(error.__cause__ or error).strip().splitlines()
    return text[0].rstrip(".") if text else type(error).__name__

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


def _open(path: Path) -> Any:
    with warnings.catch_warnings():
        # FLAIR's masks have no CRS, and a patch needs none to be learnt from.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path)


def _first_line(error: BaseException) -> str:
    text = str(error.__cause__ or error).strip().splitlines()
    return text[0].rstrip(".") if text else type(error).__name__

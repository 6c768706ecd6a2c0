"""One raster file: what it says of itself, and opening it with errors a person understands."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader

from engine.errors import InputError
from engine.remote_path import is_remote
from engine.storage.endpoint import tell_gdal
from engine.storage.inputs import check_readable

# What rasterio raises when GDAL or PROJ refuses; its base class is public nowhere else.
GDAL_ERRORS = (RasterioError, CPLE_BaseError)

# A missing georeference is an error of ours, with a way out, whenever it matters.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)

_GDAL_SETTINGS = {
    # GDAL's default, 5 % of the memory, would grow with the raster.
    "GDAL_CACHEMAX": "128",
    # Sidecars (.aux.xml, .msk, .ovr) are looked for by name, without listing folders of thousands of tiles.
    "GDAL_DISABLE_READDIR_ON_OPEN": "TRUE",
    # Files that a VRT keeps open; under the usual limit of 1024 descriptors with several readers.
    "GDAL_MAX_DATASET_POOL_SIZE": "128",
}


def configure_gdal() -> None:
    """Set GDAL's memory and file limits for this process; a person's own environment variables win."""
    for key, value in _GDAL_SETTINGS.items():
        os.environ.setdefault(key, value)
    tell_gdal()


def on_earth(crs: CRS | None) -> bool:
    """Return whether a CRS has a place on earth; a local one has none, such as many of FLAIR's masks carry."""
    return crs is not None and bool(crs.is_geographic or crs.is_projected)


@dataclass(frozen=True, slots=True)
class RasterFile:
    """What a raster file says of itself.

    Args:
        path: Path as GDAL takes it.
        driver: GDAL's short name of the format.
        width: Columns.
        height: Rows.
        dtypes: numpy type name of each band.
        crs: Coordinate reference system, or None.
        transform: Pixel to CRS coordinates; the identity where the file has none.
        block_shape: Rows and columns of a block.
        descriptions: Description of each band, empty where there is none.
        interpretations: Colour interpretation of each band, such as "red", "alpha" or "undefined".
        nodata: Value of each band that means no data, or None.
        mask_band: Whether a mask band says which pixels are valid.
        ground_control_points: Whether it is georeferenced by control points alone.
        parts: Paths of all files that it is made of, as far as they are on disk.
        complete: Whether it is known that no block is missing; False says nothing.
    """

    path: str
    driver: str
    width: int
    height: int
    dtypes: tuple[str, ...]
    crs: CRS | None
    transform: Affine
    block_shape: tuple[int, int]
    descriptions: tuple[str, ...]
    interpretations: tuple[str, ...]
    nodata: tuple[float | None, ...]
    mask_band: bool
    ground_control_points: bool
    parts: tuple[str, ...]
    complete: bool = False

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return self.path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] or self.path

    @property
    def alpha(self) -> int | None:
        """Number of the alpha band, or None."""
        return self.interpretations.index("alpha") + 1 if "alpha" in self.interpretations else None

    @property
    def data_bands(self) -> tuple[int, ...]:
        """Numbers of the bands that are not alpha."""
        return tuple(n for n, kind in enumerate(self.interpretations, 1) if kind != "alpha")


def open_dataset(path: str) -> DatasetReader:
    """Open a raster for reading.

    Raises:
        InputError: There is no such file, it is empty, a folder, or no raster; storage cannot be asked for it.
    """
    configure_gdal()
    if is_remote(path):
        check_readable(path)
    plain = not path.startswith("/vsi") and "://" not in path
    if plain and Path(path).is_dir():
        raise InputError(f"'{path}' is a folder, not a raster.", "Name the image files in it one by one, or a VRT.")
    try:
        return rasterio.open(path)
    except (*GDAL_ERRORS, OSError, ValueError) as error:
        if plain and not Path(path).exists() and not _is_subdataset(path):
            raise InputError(f"There is no file '{path}'.", "Check the path of the image.") from error
        if plain and Path(path).is_file() and Path(path).stat().st_size == 0:
            raise InputError(f"The file '{path}' is empty.", "Copy or download the image again.") from error
        if plain and Path(path).is_file() and not os.access(path, os.R_OK):
            raise InputError(f"The file '{path}' may not be read.", "Check its permissions.") from error
        raise InputError(
            f"'{path}' is not a raster that can be read: {_reason(error)}.",
            "Choose a georeferenced image such as a GeoTIFF, JPEG 2000 or VRT.",
        ) from error


def describe(path: str) -> RasterFile:
    """Open a raster and return what it says of itself.

    Raises:
        InputError: It can't be opened, has no bands, or holds complex numbers.
    """
    with open_dataset(path) as dataset:
        return description_of(path, dataset)


def description_of(path: str, dataset: DatasetReader) -> RasterFile:
    """Return what an open raster says of itself.

    Raises:
        InputError: It has no bands, or holds complex numbers.
    """
    if dataset.count == 0:
        parts = ", ".join(dataset.subdatasets[:4])
        hint = f"Name one of the rasters it holds, such as {parts}." if parts else "Choose another image."
        raise InputError(f"'{path}' has no bands.", hint)
    complex_types = sorted({kind for kind in dataset.dtypes if kind.startswith("complex")})
    if complex_types:
        raise InputError(
            f"'{path}' holds complex numbers ({complex_types[0]}), which are not imagery.",
            "Choose an image of whole or real numbers.",
        )
    flags = [set(item) for item in dataset.mask_flag_enums]
    return RasterFile(
        path=path,
        driver=dataset.driver,
        width=dataset.width,
        height=dataset.height,
        dtypes=tuple(str(np.dtype(kind)) for kind in dataset.dtypes),
        crs=dataset.crs or None,
        transform=dataset.transform,
        block_shape=(int(dataset.block_shapes[0][0]), int(dataset.block_shapes[0][1])),
        descriptions=tuple(text or "" for text in dataset.descriptions),
        interpretations=tuple(str(kind.name) for kind in dataset.colorinterp),
        nodata=tuple(None if value is None else float(value) for value in dataset.nodatavals),
        mask_band=any(MaskFlags.per_dataset in item and MaskFlags.alpha not in item for item in flags),
        ground_control_points=bool(dataset.gcps[0]),
        parts=() if path.startswith("/vsi") else tuple(dataset.files),
    )


def _is_subdataset(path: str) -> bool:
    """Whether a path is of the kind `GPKG:file.gpkg:table`, not one with a drive letter."""
    head, separator, _ = path.partition(":")
    return bool(separator) and len(head) > 1 and head.replace("_", "").isalnum()


def _reason(error: BaseException) -> str:
    return str(error).strip().rstrip(".").splitlines()[0] if str(error).strip() else type(error).__name__

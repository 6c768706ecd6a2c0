"""An image patch and its mask as GeoTIFFs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio.io
from affine import Affine
from rasterio.crs import CRS

from engine.nomenclature import NODATA, Nomenclature
from engine.rasters.style import color_table

_BLOCK = 256


def encode_image(values: npt.NDArray[Any], names: Sequence[str], crs: CRS | None, transform: Affine) -> bytes:
    """Return an image patch as the bytes of a GeoTIFF.

    Args:
        values: Pixels, shape (bands, height, width).
        names: Band names, kept as descriptions.
        crs: CRS, or None.
        transform: Pixel to CRS coordinates.
    """
    colours = tuple(names[:3]) == ("red", "green", "blue") and values.dtype.kind == "u"
    predictor = 3 if values.dtype.kind == "f" else 2
    with rasterio.io.MemoryFile() as memory:
        with memory.open(
            **_profile(values, crs, transform),
            photometric="rgb" if colours else "minisblack",
            alpha="no",
            predictor=predictor,
        ) as file:
            file.descriptions = tuple(names)
            file.write(values)
        return bytes(memory.getbuffer())


def encode_mask(codes: npt.NDArray[np.uint8], nomenclature: Nomenclature, crs: CRS | None, transform: Affine) -> bytes:
    """Return a mask as the bytes of a GeoTIFF with a colour table; 0 is no data.

    Args:
        codes: Class codes, shape (height, width).
        nomenclature: Classes with colours.
        crs: CRS, or None.
        transform: Pixel to CRS coordinates.
    """
    with rasterio.io.MemoryFile() as memory:
        with memory.open(**_profile(codes[None], crs, transform), nodata=NODATA) as file:
            file.write_colormap(1, dict(enumerate(color_table(nomenclature))))
            file.set_band_description(1, "Land cover")
            file.update_tags(FLAIR_NOMENCLATURE=nomenclature.name)
            file.write(codes, 1)
        return bytes(memory.getbuffer())


def _profile(values: npt.NDArray[Any], crs: CRS | None, transform: Affine) -> dict[str, Any]:
    count, height, width = values.shape
    return {
        "driver": "GTiff", "count": count, "height": height, "width": width, "dtype": values.dtype, "crs": crs,
        "transform": transform, "compress": "deflate", "zlevel": 6,
        # Sides of patches are multiples of 32, and blocks must be of 16.
        "tiled": True, "blockxsize": min(_BLOCK, width), "blockysize": min(_BLOCK, height),
    }  # fmt: skip

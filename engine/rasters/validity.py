"""Which pixels of a file count as data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.rasters.raster_file import RasterFile


@dataclass(frozen=True)
class ValidityRule:
    """How to tell data from no data in one file.

    A pixel is invalid where the mask band or the alpha band is 0, where a band of real numbers is not finite, or where
    nodata stands. A nodata value that is an ordinary measurement as well (0 to 65535, such as the black of an image's
    border) stands for no data only where all bands hold it; any other, such as -9999, in one band is enough.

    Args:
        nodata: Value of each band read, or None.
        mask_band: Whether the file's mask band counts.
        alpha: Number of the alpha band that counts, or None.
        floating: Whether bands may hold NaN or infinity.
    """

    nodata: tuple[float | None, ...]
    mask_band: bool
    alpha: int | None
    floating: bool

    @classmethod
    def of(cls, file: RasterFile, bands: Sequence[int], nodata: float | None) -> ValidityRule:
        """Return the rule of a file.

        Args:
            file: The raster.
            bands: Numbers of the bands read.
            nodata: Value that means no data in all bands, in place of the file's own; or None.
        """
        own = (None,) * len(bands) if file.mask_band else tuple(file.nodata[number - 1] for number in bands)
        given = own if nodata is None else (nodata,) * len(bands)
        types = [np.dtype(file.dtypes[number - 1]) for number in bands]
        return cls(
            nodata=tuple(v if v is None or can_hold(t, v) else None for v, t in zip(given, types, strict=True)),
            mask_band=file.mask_band,
            alpha=None if file.alpha in bands else file.alpha,
            floating=any(kind.kind == "f" for kind in types),
        )

    @property
    def needs_values(self) -> bool:
        """Whether the bands themselves must be read to tell."""
        return self.floating or any(value is not None for value in self.nodata)

    @property
    def everything(self) -> bool:
        """Whether every pixel is valid."""
        return not (self.needs_values or self.mask_band or self.alpha)

    def of_values(self, values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Return which pixels are valid by their values alone.

        Args:
            values: Pixels, shape (bands, height, width).

        Returns:
            Shape (height, width).
        """
        valid = np.ones(values.shape[1:], dtype=np.bool_)
        if self.floating and values.dtype.kind == "f":
            for band in values:
                valid &= np.isfinite(band)
        shared = all(value is not None for value in self.nodata)
        everywhere = np.full(values.shape[1:], shared)
        for band, value in zip(values, self.nodata, strict=True):
            if value is None or math.isnan(value):
                everywhere[:] = False
                continue
            with np.errstate(over="ignore"):
                hit = band == np.asarray(value).astype(values.dtype)
            if 0 <= value <= 65535:
                everywhere &= hit
            else:
                valid &= ~hit
                everywhere &= hit
        valid &= ~everywhere
        return valid


def can_hold(kind: np.dtype[Any], value: float) -> bool:
    """Return whether a type has a value, so that a pixel could ever equal it."""
    if kind.kind == "f":
        return True
    limits = np.iinfo(kind)
    return math.isfinite(value) and value == math.floor(value) and limits.min <= value <= limits.max

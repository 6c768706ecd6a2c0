"""Rasters as IGN's tools write them: class indices from 0, or a band of 0 to 255 for each output."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio

from engine.errors import Cancelled
from engine.nomenclature import Nomenclature
from engine.rasters.disk import WRITE_ERRORS, output_error
from engine.rasters.percent_raster import PERCENT_NODATA
from engine.rasters.staged_output import StagedOutput
from engine.rasters.written_pixels import WrittenPixels

INDEX_NODATA = 255
BLOCK = 512
_STALE = (".aux.xml", ".ovr", ".msk")


def write_indices(
    source: Path, output: Path, nomenclature: Nomenclature, *, overwrite: bool, cancelled: threading.Event
) -> None:
    """Write a raster of class codes as one of indices from 0, nodata 255, with a colour table.

    Args:
        source: Raster of codes of the nomenclature, nodata 0.
        output: Raster to write (.tif).
        nomenclature: Classes in the order of their indices.
        overwrite: Whether an existing output may be replaced.
        cancelled: Set to stop; nothing is left behind.

    Raises:
        Cancelled: `cancelled` was set.
        OutputError: The output cannot be written.
    """
    table = np.full(256, INDEX_NODATA, dtype=np.uint8)
    for index, item in enumerate(nomenclature.classes):
        table[item.code] = index

    def dress(target: Any) -> None:
        target.write_colormap(1, {index: item.rgb for index, item in enumerate(nomenclature.classes)})
        target.descriptions = ("class index from 0",)

    _rewrite(source, output, 1, INDEX_NODATA, lambda pixels: table[pixels], dress, overwrite, cancelled)


def write_class_probabilities(
    source: Path, output: Path, nomenclature: Nomenclature, *, overwrite: bool, cancelled: threading.Event
) -> None:
    """Write a raster of per cents as IGN's `class_prob`: a band for each output, 0 to 255.

    Outputs that cannot win, and pixels without data, are 0 in all bands.

    Args:
        source: Raster with a band of per cents for each enabled class, nodata 255.
        output: Raster to write (.tif).
        nomenclature: Classes in the order of the outputs.
        overwrite: Whether an existing output may be replaced.
        cancelled: Set to stop; nothing is left behind.

    Raises:
        Cancelled: `cancelled` was set.
        OutputError: The output cannot be written.
    """
    table = np.zeros(256, dtype=np.uint8)
    table[:101] = np.round(np.arange(101) * 2.55).astype(np.uint8)
    table[PERCENT_NODATA] = 0
    count = len(nomenclature.classes)
    channels: Sequence[int] = nomenclature.enabled_channels

    def spread(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        values = np.zeros((count, *pixels.shape[1:]), dtype=np.uint8)
        values[list(channels)] = table[pixels]
        return values

    def dress(target: Any) -> None:
        target.descriptions = tuple(item.name for item in nomenclature.classes)

    _rewrite(source, output, count, None, spread, dress, overwrite, cancelled)


def _rewrite(
    source: Path,
    output: Path,
    count: int,
    nodata: int | None,
    change: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.uint8]],
    dress: Callable[[Any], None],
    overwrite: bool,
    cancelled: threading.Event,
) -> None:
    with StagedOutput(output, overwrite=overwrite) as staged, rasterio.open(source) as given:
        profile = {
            "driver": "GTiff",
            "width": given.width,
            "height": given.height,
            "count": count,
            "dtype": "uint8",
            "crs": given.crs,
            "transform": given.transform,
            "nodata": nodata,
            "tiled": True,
            "blockxsize": BLOCK,
            "blockysize": BLOCK,
            "compress": "lzw",
            "BIGTIFF": "IF_SAFER",
        }
        pixels = WrittenPixels(staged.path(output.name))
        try:
            with rasterio.open(staged.path(output.name), "w", **profile) as target:
                dress(target)
                target.update_tags(**{key: text for key, text in given.tags().items() if key.startswith("FLAIR_")})
                for _, window in target.block_windows(1):
                    if cancelled.is_set():
                        raise Cancelled
                    pixels.write(target, change(given.read(window=window)), window)
        except WRITE_ERRORS as error:
            raise output_error(output, error) from error
        pixels.check(output)
        staged.commit([output.name], stale=[f"{output.name}{suffix}" for suffix in _STALE])

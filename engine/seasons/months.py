"""Means by month of a series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import rasterio

from engine.data.time_series.date_folder import MASKS
from engine.rasters.disk import WRITE_ERRORS, output_error
from engine.rasters.written_pixels import WrittenPixels
from engine.seasons.date_image import blocks, profile, usable
from engine.seasons.series_grid import SeriesGrid


def write_month(
    path: Path, images: Sequence[Path], grid: SeriesGrid, bands: Sequence[str], stop: Callable[[], None]
) -> bool:
    """Write the mean of a month's images; a pixel's mean leaves out dates that a patch around it would drop.

    Args:
        path: Image to write, uint16, 0 where no date is left.
        images: The month's images, their masks in a folder beside them.
        grid: Their grid.
        bands: Names of their bands.
        stop: Called between blocks; raises to end the work.

    Returns:
        Whether any pixel has a mean.

    Raises:
        OutputError: The file cannot be written.
    """
    any_left, pixels = False, WrittenPixels(path)
    try:
        with ExitStack() as stack:
            opened = []
            for image in images:
                masks = image.parent / MASKS / image.name
                opened.append(
                    (
                        stack.enter_context(rasterio.open(image)),
                        stack.enter_context(rasterio.open(masks)) if masks.is_file() else None,
                    )
                )
            target = stack.enter_context(rasterio.open(path, "w", **profile(grid, len(bands), "uint16", 0)))
            target.descriptions = tuple(bands)
            for window in blocks(grid):
                stop()
                total = np.zeros((len(bands), int(window.height), int(window.width)), dtype=np.float64)
                count = np.zeros(total.shape[1:], dtype=np.int64)
                for shown, cover in opened:
                    values, where = usable(shown, cover, window, grid)
                    total += np.where(where, values, 0)
                    count += where
                mean = np.rint(total / np.maximum(count, 1)).astype(np.uint16)
                pixels.write(target, mean, window)
                any_left |= bool(count.any())
    except WRITE_ERRORS as error:
        raise output_error(path, error) from error
    pixels.check(path)
    return any_left

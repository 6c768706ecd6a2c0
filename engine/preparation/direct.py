"""A virtual raster over the inputs as they are, where nothing has to be computed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import shapely

from engine.preparation.sources import COLOURS
from engine.preparation.stack import Stack
from engine.preparation.stacked_vrt import BandSource, StackedBand, write_stacked_vrt
from engine.rasters.source import RasterSource
from engine.rasters.windows import PixelWindow

_SAME = 1e-3


def reasons_against(stack: Stack) -> list[str]:
    """Return why the image cannot be a virtual raster; empty where it can."""
    reasons = []
    if stack.heights:
        reasons.append("the elevation has to be computed")
    if not stack.target.scaled.identity:
        reasons.append("another ground sampling distance has to be computed")
    if stack.stretches:
        reasons.append("imagery of more than 8 bits has to be converted")
    reasons += _source_reasons(stack.image, "the orthophoto")
    if stack.infrared:
        reasons += _source_reasons(stack.infrared, "infrared")
        if not stack.alignment(stack.infrared).exact:
            reasons.append("infrared lies on another grid")
        elif not _covered(stack, stack.infrared):
            reasons.append("infrared does not cover the orthophoto, so that a mask is needed")
        if _nodata(stack.infrared):
            reasons.append("infrared has a nodata value, so that a mask is needed")
    return reasons


def write_direct(stack: Stack, path: Path, beside: Path | None, tags: Mapping[str, str]) -> None:
    """Write the virtual raster.

    Args:
        stack: The inputs; there must be no reason against it.
        path: File to write.
        beside: Folder in which it will lie, see `write_stacked_vrt`.
        tags: Its metadata.

    Raises:
        OSError: It could not be written.
    """
    window = stack.target.window
    image = stack.image
    nodata = next(iter(_nodata(image)), None)
    bands = [
        StackedBand(name, _sources(image, number, window.row, window.column), nodata)
        for name, number in zip(COLOURS, image.band_numbers, strict=True)
    ]
    if stack.infrared:
        alignment = stack.alignment(stack.infrared)
        row, column = round(alignment.rows.offset), round(alignment.columns.offset)
        sources = _sources(stack.infrared, stack.infrared.band_numbers[0], row, column)
        bands.append(StackedBand("infrared", sources, nodata))
    write_stacked_vrt(path, stack.target.grid, bands, tags, beside=beside)


def _source_reasons(source: RasterSource, what: str) -> list[str]:
    reasons = []
    if any(rule.mask_band or rule.alpha for rule in source.rules):
        reasons.append(f"{what} has a mask or transparency, which a virtual raster of several files cannot carry")
    if any(item is not None for item in source.coverages):
        reasons.append(f"{what} has parts without data, which a mask has to tell")
    values = [set(rule.nodata) for rule in source.rules]
    if any(item != values[0] or len(item) > 1 for item in values):
        reasons.append(f"{what} has several nodata values")
    for item in source.mosaic.placements if source.mosaic else ():
        whole = abs(item.top - round(item.top)) < _SAME and abs(item.left - round(item.left)) < _SAME
        same_size = abs(item.row_ratio - 1) * item.height < _SAME and abs(item.column_ratio - 1) * item.width < _SAME
        if not (whole and same_size):
            reasons.append(f"the tiles of {what} lie fractions of a pixel apart")
            break
    return reasons


def _nodata(source: RasterSource) -> set[float]:
    return {value for rule in source.rules for value in rule.nodata if value is not None}


def _windows(source: RasterSource) -> list[PixelWindow]:
    if source.mosaic is None:
        return [PixelWindow(0, 0, source.height, source.width)]
    return [item.window for item in source.mosaic.placements]


def _sources(source: RasterSource, band: int, row: int, column: int) -> list[BandSource]:
    """Return a band of a source whose pixel (row, column) is the first of the output."""
    return [
        BandSource(
            file.path,
            band,
            (file.height, file.width),
            PixelWindow(window.row - row, window.column - column, file.height, file.width),
        )
        for file, window in zip(source.files, _windows(source), strict=True)
    ]


def _covered(stack: Stack, infrared: RasterSource) -> bool:
    """Whether infrared lies wherever the orthophoto's tiles do, in the part that is written."""
    alignment = stack.alignment(infrared)
    row, column = round(alignment.rows.offset), round(alignment.columns.offset)
    grid = stack.target.grid.window
    ours = _union(_windows(stack.image), stack.target.window.row, stack.target.window.column, grid)
    theirs = _union(_windows(infrared), row, column, grid)
    return bool(ours.difference(theirs).area < 1)


def _union(windows: list[PixelWindow], row: int, column: int, grid: PixelWindow) -> shapely.Geometry:
    parts = [PixelWindow(w.row - row, w.column - column, w.height, w.width).intersection(grid) for w in windows]
    return shapely.union_all([shapely.box(w.column, w.row, w.right, w.bottom) for w in parts if w.pixels])

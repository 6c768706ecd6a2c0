"""A class raster divided into regions: connected pixels of one class, none below the smallest area.

Each pixel's provisional component number lies in a temporary file; what region
a number belongs to is known once the whole raster has been read.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.errors import OutOfMemoryError, OutputError
from engine.nomenclature import Nomenclature
from engine.rasters.disk import free_space, output_error
from engine.rasters.source import RasterSource
from engine.rasters.windows import PixelWindow
from engine.vectors.class_pixels import read_codes, strips_of
from engine.vectors.components import Components
from engine.vectors.neighbours import Borders, borders_in
from engine.vectors.small_regions import join_small

Step = Callable[[float, str], None]

# Units by which borders are compared, in the shorter side of a pixel.
_SIDE_UNITS = 1000
# Bytes that a component takes while small ones are joined, and a region while polygons are built.
COMPONENT_BYTES = 280
REGION_BYTES = 900
# Share of this part's progress that reading takes.
_READING = 0.7


@dataclass(frozen=True)
class RegionRaster:
    """Regions of a class raster.

    Args:
        path: Provisional number of each pixel, int32, row by row.
        source: The class raster.
        rows: Rows that are read at once.
        region: Region of each provisional number, from 1.
        sizes: Pixels of each region; region 1 first.
        classes: Class of each region; 0 for no class.
        joined: How many components joined a neighbour.
    """

    path: Path
    source: RasterSource
    rows: int
    region: npt.NDArray[np.int32]
    sizes: npt.NDArray[np.int64]
    classes: npt.NDArray[np.uint8]
    joined: int

    @property
    def count(self) -> int:
        """Number of regions."""
        return len(self.sizes)

    def strips(self) -> Iterator[tuple[PixelWindow, npt.NDArray[np.int32]]]:
        """Return the raster's rows from the top: their place, and the region of each pixel."""
        with self.path.open("rb") as stream:
            for window in strips_of(self.source, self.rows):
                labels = np.fromfile(stream, dtype=np.int32, count=window.pixels)
                yield window, self.region[labels].reshape(window.height, window.width)


def divide(
    source: RasterSource, classes: Nomenclature, path: Path, least: int, rows: int, budget: float, step: Step
) -> RegionRaster:
    """Divide a class raster into regions.

    Args:
        source: The class raster.
        classes: Its classes.
        path: Temporary file to write, 4 bytes a pixel.
        least: Pixels that a region needs; what has less joins a neighbour. 1 for any.
        rows: Rows to read at once; regions do not depend on it.
        budget: Bytes of memory that may be used.
        step: Called with the share done, 0 to 1, and what is being done; may raise to stop.

    Raises:
        InputError: The raster cannot be read, or holds what is no class code.
        OutOfMemoryError: There are more regions than fit into memory.
        OutputError: The disk is full.
    """
    _check_disk(path, source)
    components, borders = _read(source, classes, path, least, rows, budget, step)
    component, sizes, codes = components.joined()
    _check_memory(len(sizes) * (COMPONENT_BYTES if least > 1 else REGION_BYTES), budget, len(sizes), least)
    del components
    joined = 0
    part_of = np.arange(len(sizes), dtype=np.int32)
    if least > 1:
        merged = Borders.of(borders).renumbered(component)
        borders.clear()
        text = "Joining small regions"
        part_of, codes = join_small(
            sizes, codes, merged, least, lambda done: step(_READING + (1 - _READING) * done, text)
        )
    lead = np.unique(part_of)
    joined = len(sizes) - len(lead)
    number = np.zeros(len(part_of), dtype=np.int32)
    number[lead] = np.arange(1, len(lead) + 1)
    region = number[part_of]
    sizes = np.bincount(region, weights=sizes, minlength=len(lead) + 1)[1:].astype(np.int64)
    _check_memory(len(lead) * REGION_BYTES, budget, len(lead), least)
    return RegionRaster(path, source, rows, region[component], sizes, codes[lead], joined)


def _read(
    source: RasterSource, classes: Nomenclature, path: Path, least: int, rows: int, budget: float, step: Step
) -> tuple[Components, list[Borders]]:
    components = Components()
    borders: list[Borders] = []
    side = _sides(source.gsd)
    name = source.files[0].name
    above: tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]] | None = None
    text = "Finding regions"
    with source.reader() as reader, path.open("wb") as stream:
        for window in strips_of(source, rows):
            codes = read_codes(reader, window, classes, name)
            first = components.count
            labels = components.add(codes)
            _check_memory(components.count * COMPONENT_BYTES / 4, budget, components.count, least)
            try:
                labels.tofile(stream)
            except OSError as error:
                raise output_error(path, error) from error
            if least > 1:
                joint = labels if above is None else np.concatenate([above[0], labels])
                joint_codes = codes if above is None else np.concatenate([above[1], codes])
                found = borders_in(joint, joint_codes, side, len(codes))
                borders.append(_of_small(found, first, components.last_sizes, least))
                above = labels[-1:].copy(), codes[-1:].copy()
            step(_READING * window.bottom / source.height, text)
    return components, borders


def _of_small(borders: Borders, first: int, sizes: npt.NDArray[np.int64], least: int) -> Borders:
    """Return the borders without those between two that are large enough already."""

    def large(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        inside = numbers >= first
        result = np.zeros(len(numbers), dtype=np.bool_)
        result[inside] = sizes[numbers[inside] - first] >= least
        return result

    return borders.chosen(~(large(borders.first) & large(borders.second)))


def _sides(gsd: tuple[float, float]) -> tuple[int, int]:
    """Return a pixel's sides along a row and along a column, as whole units."""
    shorter = min(gsd)
    return round(_SIDE_UNITS * gsd[0] / shorter), round(_SIDE_UNITS * gsd[1] / shorter)


def _check_disk(path: Path, source: RasterSource) -> None:
    needed = 4 * source.width * source.height
    if shutil.disk_usage(path.parent).free < 1.5 * needed:
        raise OutputError(
            f"The output's disk has too little room for temporary files of about {1.5 * needed / 1e9:.1f} GB "
            f"(free: {free_space(path.parent)}).",
            "Free some space or choose a folder on another disk.",
        )


def _check_memory(needed: float, budget: float, count: int, least: int) -> None:
    if needed <= budget:
        return
    hint = "Smooth the raster first with QGIS's Sieve, take a part of it at a time, or allow more memory (--memory)."
    if least == 1:
        hint = f"Set a smallest area (--minimum-area). {hint}"
    raise OutOfMemoryError(
        f"The raster has more than {count / 1e6:.1f} million regions, which need over {budget / 1e9:.1f} GB of memory.",
        hint,
    )

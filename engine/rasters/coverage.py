"""Where a raster can hold data at all, known without reading pixels."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree  # nosec B405
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import shapely
from rasterio.io import DatasetReader

from engine.rasters.raster_file import RasterFile, open_dataset
from engine.rasters.windows import PixelWindow
from engine.remote_path import is_remote
from engine.storage.inputs import text_of

# XML of a VRT: GDAL has parsed the same text before us, and expat itself limits the growth of entities.
# Looking all blocks up takes about a microsecond each.
_MOST_BLOCKS = 4_000_000
_FEW_BLOCKS = 10_000


class Coverage(Protocol):
    """The part of a raster that may hold data; outside it nothing does."""

    def touches(self, window: PixelWindow) -> bool:
        """Return False only when no pixel of the window can hold data."""

    def mask(self, window: PixelWindow) -> npt.NDArray[np.bool_]:
        """Return True where a pixel may hold data, shape (height, width)."""

    def places(self, count: int, generator: np.random.Generator) -> list[tuple[int, int]]:
        """Return up to `count` (row, column) positions of pixels that may hold data, spread at random."""


class RectangleCoverage:
    """A union of rectangles, found through a spatial index.

    Args:
        windows: The rectangles, in pixels of the raster.
    """

    def __init__(self, windows: Sequence[PixelWindow]) -> None:
        self._windows = tuple(windows)
        boxes = np.array([(w.column, w.row, w.right, w.bottom) for w in windows], dtype=np.float64).reshape(-1, 4)
        # Half a pixel off each side: rectangles that only share an edge do not overlap.
        self._tree = shapely.STRtree(shapely.box(*(boxes + np.array([0.5, 0.5, -0.5, -0.5])).T))

    def overlapping(self, window: PixelWindow) -> list[int]:
        """Return the positions in `windows`, ascending, of the rectangles that overlap the window."""
        if not window.pixels:
            return []
        probe = shapely.box(window.column + 0.5, window.row + 0.5, window.right - 0.5, window.bottom - 0.5)
        return sorted(int(index) for index in self._tree.query(probe))

    def touches(self, window: PixelWindow) -> bool:
        """See `Coverage`."""
        return bool(self.overlapping(window))

    def mask(self, window: PixelWindow) -> npt.NDArray[np.bool_]:
        """See `Coverage`."""
        inside = np.zeros((window.height, window.width), dtype=np.bool_)
        for index in self.overlapping(window):
            inside[self._windows[index].intersection(window).slices_in(window)] = True
        return inside

    def places(self, count: int, generator: np.random.Generator) -> list[tuple[int, int]]:
        """See `Coverage`."""
        chosen = generator.permutation(len(self._windows))[:count]
        windows = (self._windows[int(index)] for index in chosen)
        return [(w.row + w.height // 2, w.column + w.width // 2) for w in windows]


class BlockCoverage:
    """The blocks that a sparse file holds.

    Args:
        present: True for each block that is there, shape (rows of blocks, columns of blocks).
        block_shape: Rows and columns of a block.
    """

    def __init__(self, present: npt.NDArray[np.bool_], block_shape: tuple[int, int]) -> None:
        self._present = present
        self._shape = block_shape

    def _blocks(self, window: PixelWindow) -> tuple[slice, slice]:
        height, width = self._shape
        return (
            slice(max(0, window.row // height), max(0, -(-window.bottom // height))),
            slice(max(0, window.column // width), max(0, -(-window.right // width))),
        )

    def touches(self, window: PixelWindow) -> bool:
        """See `Coverage`."""
        return bool(window.pixels) and bool(self._present[self._blocks(window)].any())

    def mask(self, window: PixelWindow) -> npt.NDArray[np.bool_]:
        """See `Coverage`; the window lies inside the raster."""
        rows = np.arange(window.row, window.bottom) // self._shape[0]
        columns = np.arange(window.column, window.right) // self._shape[1]
        return self._present[np.ix_(rows, columns)]

    def places(self, count: int, generator: np.random.Generator) -> list[tuple[int, int]]:
        """See `Coverage`."""
        blocks = np.flatnonzero(self._present)
        chosen = generator.choice(blocks, size=min(count, len(blocks)), replace=False) if len(blocks) else blocks
        rows, columns = np.unravel_index(chosen, self._present.shape)
        height, width = self._shape
        return [
            (int(row) * height + height // 2, int(column) * width + width // 2)
            for row, column in zip(rows, columns, strict=True)
        ]


def coverage_of(file: RasterFile, bands: Sequence[int]) -> Coverage | None:
    """Return what is known of where a file can hold data, or None where it may anywhere.

    Args:
        file: The raster.
        bands: Numbers of the bands that count.
    """
    if file.complete:
        return None
    if file.driver == "VRT":
        return _vrt_coverage(file, set(bands))
    if file.driver == "GTiff" and not file.path.startswith("/vsi") and Path(file.path).is_file():
        return _sparse_coverage(file, bands)
    return None


def is_complete(file: RasterFile, dataset: DatasetReader) -> bool:
    """Return whether an open file is a small TIFF that lacks no block in any band, so that it need not be asked again.

    Args:
        file: What it says of itself.
        dataset: The same, open.
    """
    if file.driver != "GTiff" or file.path.startswith("/vsi"):
        return False
    rows, columns = -(-file.height // file.block_shape[0]), -(-file.width // file.block_shape[1])
    separate = dataset.tags(ns="IMAGE_STRUCTURE").get("INTERLEAVE") == "BAND"
    bands = range(1, len(file.dtypes) + 1 if separate else 2)
    if rows * columns * len(bands) > _FEW_BLOCKS:
        return False
    return all(_present(dataset, band, rows, columns).all() for band in bands)


def _sparse_coverage(file: RasterFile, bands: Sequence[int]) -> BlockCoverage | None:
    """Return the blocks with a position in the TIFF, or None when none is missing."""
    rows = -(-file.height // file.block_shape[0])
    columns = -(-file.width // file.block_shape[1])
    with open_dataset(file.path) as dataset:
        separate = dataset.tags(ns="IMAGE_STRUCTURE").get("INTERLEAVE") == "BAND"
        numbers = bands if separate else bands[:1]
        if rows * columns * len(numbers) > _MOST_BLOCKS:
            return None
        present = np.zeros((rows, columns), dtype=np.bool_)
        for number in numbers:
            present |= _present(dataset, number, rows, columns)
    return None if present.all() else BlockCoverage(present, file.block_shape)


def _present(dataset: DatasetReader, band: int, rows: int, columns: int) -> npt.NDArray[np.bool_]:
    item = dataset.get_tag_item
    found = (item(f"BLOCK_OFFSET_{x}_{y}", "TIFF", band) is not None for y in range(rows) for x in range(columns))
    return np.fromiter(found, dtype=np.bool_, count=rows * columns).reshape(rows, columns)


def _vrt_coverage(file: RasterFile, bands: set[int]) -> RectangleCoverage | None:
    """Return the target rectangles of a VRT's sources, or None when it holds more than plain sources."""
    try:
        if file.path.lstrip().startswith("<VRTDataset"):
            root = ElementTree.fromstring(file.path)  # nosec B314
        elif is_remote(file.path):
            root = ElementTree.fromstring(text_of(file.path) or "")  # as a file on disk  # nosec B314
        elif not file.path.startswith("/vsi") and Path(file.path).is_file():
            root = ElementTree.parse(file.path).getroot()  # nosec B314
        else:
            return None
    except (ElementTree.ParseError, OSError, ValueError):
        return None
    if root.get("subClass"):
        return None
    windows: set[PixelWindow] = set()
    for place, band in enumerate(root.findall("VRTRasterBand"), 1):
        if int(band.get("band", place)) not in bands:
            continue
        if band.get("subClass", "VRTSourcedRasterBand") != "VRTSourcedRasterBand":
            return None
        for child in band:
            if not child.tag.endswith("Source"):
                continue
            window = _target(child) if re.fullmatch("(Simple|Complex)Source", child.tag) else None
            if window is None:
                return None
            windows.add(window)
    full = PixelWindow(0, 0, file.height, file.width)
    if full in windows:
        return None
    return RectangleCoverage(sorted(part for part in (w.intersection(full) for w in windows) if part.pixels))


def _target(source: ElementTree.Element) -> PixelWindow | None:
    """Return the pixels that a source's DstRect touches, or None without one."""
    rectangle = source.find("DstRect")
    if rectangle is None:
        return None
    try:
        left, top, width, height = (float(rectangle.get(key, "nan")) for key in ("xOff", "yOff", "xSize", "ySize"))
        row, column = int(np.floor(top + 1e-3)), int(np.floor(left + 1e-3))
        bottom, right = int(np.ceil(top + height - 1e-3)), int(np.ceil(left + width - 1e-3))
    except (ValueError, OverflowError):
        return None
    return PixelWindow(row, column, max(0, bottom - row), max(0, right - column))

"""The season under an image: satellite images cut to cells of its model grid.

A network with a season learnt on patches of one size, each with the satellite images around its own middle. Larger
windows given to it as they are would do what it never saw: one summary of the surroundings for more ground, and
normalisations over more of it. So only the aerial part sees windows of any size. The satellite part sees what it learnt
with: patches of that size, laid without overlap over the model grid from its first pixel. What it says of each is
computed once, whichever windows lie over it, and an image of one patch gets exactly what the network gives.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
from affine import Affine
from rasterio.crs import CRS

from engine.data.time_series.date_folder import MASKS, DateFolder
from engine.data.time_series.days import days_to_mid_may
from engine.data.time_series.season_folder import SeasonFolder, band_name
from engine.data.time_series.season_sampling import Points
from engine.data.time_series.series import TimeSeries, clear_dates
from engine.errors import InputError, ModelError
from engine.events import Reporter
from engine.models.manifest import Manifest
from engine.models.season_input import SeasonInput
from engine.rasters.model_grid import ModelGrid
from engine.rasters.source import RasterSource, stamp
from engine.rasters.windows import PixelWindow

# Rows and columns of cells that are read at once: their surroundings overlap, and opening files takes time.
BLOCK = 8
# Of blocks that are kept in memory.
LARGEST_BYTES = 256_000_000
_NETWORK_STEP = 32
# FLAIR's patches of 512 pixels take 10 of the 40 satellite pixels around them.
_SHARE_OF_SIDE = 4

Cell = tuple[int, int]


@dataclass(frozen=True)
class CellSize:
    """How large a cell is.

    Args:
        pixels: Its side in pixels of the model grid.
        ground: Its side in satellite pixels.
    """

    pixels: int
    ground: int


def cell_size(manifest: Manifest) -> CellSize:
    """Return the size of the patches that a model with a season learnt with.

    Where its file does not tell, it is the size nearest to FLAIR's share of the satellite images: a whole number of
    satellite pixels, in the middle of `side`, and of model pixels that the network can halve.

    Raises:
        ModelError: There is no such size.
    """
    season = _season(manifest)
    ratio = season.ground_sampling_distance / manifest.ground_sampling_distance
    if season.patch is not None:
        ground = season.patch / ratio
        if not _whole(ground) or season.patch % _NETWORK_STEP or not 0 < round(ground) <= season.side:
            raise ModelError(
                f"The patches of {season.patch} pixels that '{manifest.name}' learnt with are {ground:g} of its "
                f"satellite pixels, which have no place in {season.side}.",
                "Get the file again.",
            )
        return CellSize(season.patch, round(ground))
    fitting = [
        count
        for count in range(1, season.side + 1)
        if (season.side - count) % 2 == 0 and _whole(count * ratio) and round(count * ratio) % _NETWORK_STEP == 0
    ]
    if not fitting:
        raise ModelError(
            f"No aerial patch of '{manifest.name}' is a whole number of its satellite pixels, which are {ratio:g} "
            "model pixels long.",
            "Get the file again.",
        )
    ground = min(fitting, key=lambda count: (abs(count * _SHARE_OF_SIDE - season.side), count))
    return CellSize(round(ground * ratio), ground)


def _whole(value: float) -> bool:
    return abs(value - round(value)) < 1e-6


def _season(manifest: Manifest) -> SeasonInput:
    if manifest.season is None:
        raise TypeError("The model has no season.")
    return manifest.season


@dataclass(frozen=True)
class _Block:
    """What the folder shows of a block of cells and around it.

    Args:
        pixels: Shape (T, bands, h, w), float32.
        missing: Shape (T, h, w).
        masks: Per cent of snow and cloud, shape (T, 2, h, w), 0 for images without masks.
        places: Month and day of each date.
    """

    pixels: npt.NDArray[np.float32]
    missing: npt.NDArray[np.bool_]
    masks: npt.NDArray[Any]
    places: tuple[tuple[int, int], ...]

    @property
    def bytes(self) -> int:
        return self.pixels.nbytes + self.missing.nbytes + self.masks.nbytes


class SeasonGround:
    """Cells of a model grid and their seasons; may be asked by several threads.

    Args:
        folder: The satellite images.
        manifest: Description of a model with a season.
        crs: CRS of the image.
        transform: Pixels of the model grid to CRS coordinates.
        height: Rows of the model grid.
        width: Columns of the model grid.
        channels: Places of the model's bands in the images; None for all as they are.

    Raises:
        ModelError: The model takes what cannot be had.
    """

    def __init__(
        self,
        folder: DateFolder,
        manifest: Manifest,
        crs: CRS,
        transform: Affine,
        height: int,
        width: int,
        channels: Sequence[int] | None = None,
    ) -> None:
        season = _season(manifest)
        if season.metadata:
            raise ModelError(
                f"'{manifest.name}' also takes camera, date and altitude of each aerial image, which a map's imagery "
                "does not tell.",
                "Take a model that was trained without metadata.",
            )
        self.input = season
        self.size = cell_size(manifest)
        self.rows, self.columns = -(-height // self.size.pixels), -(-width // self.size.pixels)
        self.ratio = season.ground_sampling_distance / manifest.ground_sampling_distance
        self._folder = folder
        self._channels = list(range(folder.bands) if channels is None else channels)
        self._crs = crs
        self._transform = transform
        self._blocks: OrderedDict[Cell, _Block] = OrderedDict()
        self._lock = threading.Lock()
        # A byte a cell: a country has fifty million of them.
        self._asked = np.zeros((self.rows, self.columns), dtype=np.bool_)
        self._empty = np.zeros_like(self._asked)

    @staticmethod
    def open(folder: str, manifest: Manifest, source: RasterSource, grid: ModelGrid) -> SeasonGround:
        """Lay the images of a folder under a raster.

        Raises:
            InputError: The folder cannot be used or lacks a band of the model, or the raster has no CRS.
            ModelError: The model takes what cannot be had.
        """
        images = SeasonFolder.open(folder)
        if images.dates is None:
            raise InputError(
                f"The satellite files in '{folder}' do not say where on earth they lie.",
                "Name a folder of images with a CRS; prepare-time-series makes one of Sentinel-2 downloads.",
            )
        names = [band_name(band.name) for band in _season(manifest).bands]
        missing = [name for name in names if name not in images.bands]
        if missing:
            raise InputError(
                f"The satellite images hold the bands {', '.join(images.bands)}; the model also needs "
                f"{', '.join(missing)}.",
                "Prepare the series for it (prepare-time-series).",
            )
        if source.crs is None:
            raise InputError(
                "The image has no CRS, so that no satellite image can be laid under it.",
                "Name it, such as --crs EPSG:2154.",
            )
        transform = source.transform * Affine.scale(1 / grid.scale_x, 1 / grid.scale_y)
        channels = [images.bands.index(name) for name in names]
        return SeasonGround(images.dates, manifest, source.crs, transform, grid.height, grid.width, channels)

    @property
    def dates(self) -> int:
        """Number of images."""
        return len(self._folder.files)

    def describe(self) -> str:
        """Return the names of the images, as many as a tag holds."""
        names = [file.name for file, _, _ in self._folder.files]
        more = f" and {len(names) - 40} more" if len(names) > 40 else ""
        return ", ".join(names[:40]) + more

    def tell_gaps(self, reporter: Reporter) -> None:
        """Warn of cells asked for that no date showed whole."""
        empty = np.count_nonzero(self._empty)
        if empty:
            reporter.warning(
                f"No satellite image shows {empty} of {np.count_nonzero(self._asked)} pieces of ground of "
                f"{self.size.pixels} pixels whole: the map says there what the aerial image alone tells."
            )

    def fingerprint(self) -> list[Any]:
        """Return what identifies the images, as JSON values: it changes when one of them does."""
        files = [file for file, _, _ in self._folder.files]
        masks = [self._folder.folder / MASKS / file.name for file in files]
        return [[str(file), *stamp(str(file))] for file in (*files, *masks) if file.exists()]

    def under(self, window: PixelWindow) -> tuple[range, range]:
        """Return rows and columns of the cells that a window of the model grid looks at.

        These are the cells under the window, and those whose middle is the next beyond its edge.
        """
        seen = window.expanded(self.size.pixels // 2)
        return (
            _cells(seen.row, seen.bottom, self.size.pixels, self.rows),
            _cells(seen.column, seen.right, self.size.pixels, self.columns),
        )

    def load(self, window: PixelWindow) -> None:
        """Read ahead what a window of the model grid looks at.

        Raises:
            InputError: An image cannot be read.
        """
        rows, columns = self.under(window)
        for place in product(_blocks(rows), _blocks(columns)):
            self._block(place)

    def series(self, cell: Cell) -> TimeSeries:
        """Return the season of a cell: the dates that show all of it and its surroundings; there may be none.

        Args:
            cell: Row and column of the cell.

        Raises:
            InputError: An image cannot be read.
        """
        block = self._block((cell[0] // BLOCK, cell[1] // BLOCK))
        side, ground = self.input.side, self.size.ground
        row, column = cell[0] % BLOCK * ground, cell[1] % BLOCK * ground
        part = (..., slice(row, row + side), slice(column, column + side))
        keep = ~block.missing[part].any((1, 2))
        if self.input.clear_only:
            keep &= clear_dates(block.masks[part])
        series = TimeSeries(
            block.pixels[part][keep],
            np.array([days_to_mid_may(*place) for place in block.places], dtype=np.int64)[keep],
            np.array([month for month, _ in block.places], dtype=np.int64)[keep],
        )
        self._asked[cell] = True
        self._empty[cell] = not series.dates
        return series.by_month() if self.input.monthly else series

    def cells(self, window: PixelWindow) -> Iterator[Cell]:
        """Yield the cells under a window of the model grid, block by block."""
        rows = _cells(window.row, window.bottom, self.size.pixels, self.rows)
        columns = _cells(window.column, window.right, self.size.pixels, self.columns)
        for row, column in product(_blocks(rows), _blocks(columns)):
            yield from product(_in_block(rows, row), _in_block(columns, column))

    def _block(self, place: Cell) -> _Block:
        with self._lock:
            block = self._blocks.get(place)
            if block is None:
                block = self._blocks[place] = self._read(place)
                held = sum(item.bytes for item in self._blocks.values())
                while held > LARGEST_BYTES and len(self._blocks) > 1:
                    held -= self._blocks.popitem(last=False)[1].bytes
            self._blocks.move_to_end(place)
            return block

    def _read(self, place: Cell) -> _Block:
        points = self._points(place)
        shown, masks, places = [], [], []
        none = np.zeros((2, *points.x.shape), dtype=np.uint8)
        for (file, month, day), found in self._folder.look(points):
            if found is None:
                continue
            covered = self._folder.masks(file, points) if self.input.clear_only else None
            shown.append(found)
            masks.append(none if covered is None else covered)
            places.append((month, day))
        shape = points.x.shape
        return _Block(
            np.stack([item.values[self._channels] for item in shown])
            if shown
            else np.zeros((0, len(self._channels), *shape), dtype=np.float32),
            np.stack([item.missing for item in shown]) if shown else np.zeros((0, *shape), dtype=np.bool_),
            np.stack(masks) if masks else np.zeros((0, 2, *shape), dtype=np.uint8),
            tuple(places),
        )

    def _points(self, place: Cell) -> Points:
        """Return the satellite pixels of a block: each cell's are its own patch's, as they are for a patch alone."""
        ground, around = self.size.ground, (self.input.side - self.size.ground) // 2
        steps = []
        for first, count in ((place[0] * BLOCK, self.rows), (place[1] * BLOCK, self.columns)):
            last = min(first + BLOCK, count)
            steps.append((np.arange(first * ground - around, last * ground + around) + 0.5) * self.ratio)
        columns, rows = np.meshgrid(steps[1], steps[0])
        x, y = self._transform * (columns, rows)
        return Points(self._crs, np.asarray(x), np.asarray(y))


def _blocks(cells: range) -> range:
    """Return the blocks, on one axis, that hold cells."""
    return range(cells.start // BLOCK, (cells.stop - 1) // BLOCK + 1)


def _in_block(cells: range, block: int) -> range:
    return range(max(cells.start, block * BLOCK), min(cells.stop, (block + 1) * BLOCK))


def _cells(start: int, stop: int, side: int, count: int) -> range:
    return range(max(0, min(start // side, count - 1)), max(1, min(-(-stop // side), count)))

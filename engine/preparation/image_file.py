"""Making the image: tiles that survive an interruption, then one Cloud Optimized GeoTIFF, read back to be sure."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.windows import Window

from engine.errors import Cancelled, InputError, OutputError
from engine.preparation.figures import Figures
from engine.preparation.stack import Stack, StackReaders, compose
from engine.preparation.stacked_vrt import BandSource, StackedBand, write_stacked_vrt
from engine.rasters.cog import copy_as_cog
from engine.rasters.disk import WRITE_ERRORS, output_error
from engine.rasters.parallel import each
from engine.rasters.tile_store import TileStore
from engine.rasters.virtual_raster import Layer, PlacedFile
from engine.rasters.windows import PixelWindow

IMAGE, MASK, FLAGS = "image", "mask", "flags"
_COG_OPTIONS = {
    "PREDICTOR": "YES",
    "OVERVIEW_RESAMPLING": "AVERAGE",
    # A block of black pixels is data where the mask says so; a missing block would not be.
    "SPARSE_OK": "FALSE",
}
# Aerial imagery shrinks to about two thirds, twice: once in tiles, once in the output; overviews add a third.
_LEAST_SHARE = 1.2

Progress = Callable[[float], None]


def layers_of(stack: Stack) -> list[Layer]:
    """Return what is stored for each tile."""
    return [Layer(IMAGE, len(stack.bands), "uint8", 0), Layer(MASK, 1, "uint8", 0), Layer(FLAGS, 1, "uint8", 0)]


def check_disk(stack: Stack, output: Path) -> None:
    """Check that the disk has room for the tiles and the output.

    Raises:
        OutputError: It has surely not.
    """
    pixels = sum(tile.pixels for tile in _tiles(stack))
    needed = _LEAST_SHARE * pixels * len(stack.bands)
    try:
        free = shutil.disk_usage(output.absolute().parent).free
    except OSError:
        return
    if free < needed:
        raise OutputError(
            f"The image needs about {needed / 1e9:.1f} GB while it is made; the disk of '{output.absolute().parent}' "
            f"has {free / 1e9:.1f} GB free.",
            "Free some space, choose another disk, or write a part of it with --extent.",
        )


def make_tiles(stack: Stack, store: TileStore, progress: Progress, cancelled: threading.Event) -> None:
    """Make all tiles that the store does not hold yet.

    Raises:
        Cancelled: `cancelled` was set.
        EngineError: A file cannot be read, or the disk is full.
    """

    def make(tile: PixelWindow) -> None:
        raw = readers.get().read(tile)
        if raw is None:
            store.write(tile, None)
            return
        pixels = compose(raw, stack.stretches)
        store.write(tile, {IMAGE: pixels.image, MASK: pixels.mask, FLAGS: pixels.flags})

    tiles = _tiles(stack)
    waiting = [tile for tile in tiles if tile not in store]
    with StackReaders(stack) as readers:
        for number, _ in enumerate(each(make, waiting, cancelled), len(tiles) - len(waiting) + 1):
            progress(number / len(tiles))
    if not store.placed(MASK):
        raise InputError(
            "No pixel of the image holds data" + (" and infrared." if stack.infrared else "."),
            "Check the extent, the nodata value and that the inputs show the same place.",
        )


def write_image(
    stack: Stack,
    store: TileStore,
    path: Path,
    output: Path,
    tags: Mapping[str, str],
    progress: Progress,
    cancelled: threading.Event,
) -> None:
    """Write the tiles as one Cloud Optimized GeoTIFF with overviews, and with a mask where pixels are invalid.

    Args:
        stack: The inputs.
        store: All tiles.
        path: File to write, a staged one.
        output: What errors call it.
        tags: Metadata of the file.
        progress: Called with the share done, 0 to 1.
        cancelled: Set to stop.

    Raises:
        Cancelled: `cancelled` was set.
        OutputError: The file could not be written.
    """
    tiles = [_band_source(item, 1) for item in store.placed(IMAGE)]
    bands = [
        StackedBand(name, [BandSource(item.path, number, item.size, item.window) for item in tiles])
        for number, name in enumerate(stack.bands, 1)
    ]
    mask = None if _all_valid(stack, store) else [_band_source(item, 1) for item in store.placed(MASK)]
    virtual = store.folder / "image.vrt"
    try:
        write_stacked_vrt(virtual, stack.target.grid, bands, tags, mask)
        # Overviews are written first, into a file beside it.
        expected = store.stored_bytes(IMAGE) * 5 // 3
        copy_as_cog(virtual, path, expected, progress=progress, cancelled=cancelled.is_set, options=_COG_OPTIONS)
    except WRITE_ERRORS as error:
        raise output_error(output.absolute(), error) from error


def inspect_image(
    stack: Stack,
    store: TileStore | None,
    path: Path,
    output: Path,
    progress: Progress,
    cancelled: threading.Event,
) -> Figures:
    """Read a finished image back, compare it with its tiles, and measure it.

    GDAL reports nothing when the disk fills up during its last writes, so that only reading tells.

    Args:
        stack: The inputs.
        store: The tiles it was made of; None for a virtual raster.
        path: The image, a staged one.
        output: What errors call it.
        progress: Called with the share done, 0 to 1.
        cancelled: Set to stop.

    Raises:
        Cancelled: `cancelled` was set.
        InputError: A file that a virtual raster refers to cannot be read.
        OutputError: The image is not what was made.
    """
    figures = Figures(stack.bands)
    stored = {name: {item.window: item.path for item in store.placed(name)} for name in store.layers} if store else {}
    tiles = _tiles(stack)
    try:
        with rasterio.open(path) as file:
            for number, tile in enumerate(tiles, 1):
                if cancelled.is_set():
                    raise Cancelled
                window = Window(tile.column, tile.row, tile.width, tile.height)
                image = file.read(window=window)
                valid = file.dataset_mask(window=window) > 0
                flags = np.zeros(valid.shape, dtype=np.uint8)
                if store:
                    same = np.array_equal(image, _stored(stored[IMAGE], tile, len(stack.bands)))
                    same &= np.array_equal(valid, _stored(stored[MASK], tile, 1)[0] > 0)
                    if not same:
                        raise OSError("what was written is not what was to be written")
                    flags = _stored(stored[FLAGS], tile, 1)[0]
                figures.add(image, valid, flags)
                progress(number / len(tiles))
    except WRITE_ERRORS as error:
        if store is None:
            raise InputError(
                f"A file of the image cannot be read: {error.__cause__ or error}.",
                "It is damaged or incomplete: copy or download it again.",
            ) from error
        raise output_error(output.absolute(), error) from error
    figures.pixels = stack.target.grid.width * stack.target.grid.height
    return figures


def flags_raster(store: TileStore) -> Path:
    """Return a virtual raster of the flags of all pixels.

    Raises:
        OutputError: The folder cannot be written.
    """
    return store.mosaic(FLAGS)


def _tiles(stack: Stack) -> list[PixelWindow]:
    return [tile for tile in stack.target.tiles() if stack.image.covers(stack.target.image_window(tile))]


def _band_source(item: PlacedFile, band: int) -> BandSource:
    return BandSource(str(item.path), band, (item.window.height, item.window.width), item.window)


def _stored(paths: Mapping[PixelWindow, Path], tile: PixelWindow, count: int) -> npt.NDArray[np.uint8]:
    if tile not in paths:
        return np.zeros((count, tile.height, tile.width), dtype=np.uint8)
    with rasterio.open(paths[tile]) as file:
        values: npt.NDArray[np.uint8] = file.read()
    return values


def _all_valid(stack: Stack, store: TileStore) -> bool:
    masks = {item.window: item.path for item in store.placed(MASK)}
    tiles = stack.target.tiles()
    return len(masks) == len(tiles) and all(bool(_stored(masks, tile, 1).all()) for tile in tiles)

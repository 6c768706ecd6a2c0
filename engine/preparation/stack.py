"""All inputs read on the grid to write."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.preparation.alignment import Alignment, Mask, resample, window_of
from engine.preparation.heights import HeightModel, HeightReading
from engine.preparation.sources import COLOURS, grid_of
from engine.preparation.stretch import Stretch
from engine.preparation.target import Target
from engine.rasters.reader import RasterReader
from engine.rasters.source import RasterSource
from engine.rasters.windows import PixelWindow

INFRARED_MISSING = 128
"""Flag of a pixel that is left out because it has no infrared; beside those of `HeightFlag`."""


@dataclass(frozen=True)
class Stack:
    """The inputs on one grid.

    Args:
        target: The grid to write.
        image: The orthophoto: red, green, blue.
        infrared: Near infrared alone, or a colour-infrared image: near infrared, red, green. All its bands are read,
            since dark water may be 0 in infrared where a nodata of 0 means black in all; or None.
        heights: Surface and terrain, or height above ground alone; empty for none.
        stretches: How bands of more than 8 bits become 8 bits, by name.
    """

    target: Target
    image: RasterSource
    infrared: RasterSource | None = None
    heights: tuple[HeightModel, ...] = ()
    stretches: Mapping[str, Stretch] = field(default_factory=dict)

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands to write."""
        return (*COLOURS, *(("infrared",) if self.infrared else ()), *(("elevation",) if self.heights else ()))

    def alignment(self, source: RasterSource) -> Alignment:
        """Return how a source lies under the grid to write."""
        return Alignment.of(self.target.grid, grid_of(source))


@dataclass(frozen=True)
class RawPixels:
    """A window of all inputs, before anything becomes 8 bits.

    Args:
        colours: Red, green, blue in the orthophoto's type, shape (3, height, width).
        valid: Where the orthophoto holds data.
        infrared: Near infrared, and where asked for the other bands of a colour-infrared image, shape (1 or 3, height,
            width); or None.
        infrared_valid: Where it holds data, or None.
        heights: Height above ground, or None.
    """

    colours: npt.NDArray[Any]
    valid: Mask
    infrared: npt.NDArray[Any] | None
    infrared_valid: Mask | None
    heights: HeightReading | None


@dataclass(frozen=True)
class Pixels:
    """A window as it is written.

    Args:
        image: Bands in the order of `Stack.bands`, uint8, 0 where invalid, shape (bands, height, width).
        mask: 255 where the image holds data, else 0.
        flags: What is to be known of valid pixels: `HeightFlag`; and `INFRARED_MISSING` of those that are left out.
    """

    image: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.uint8]
    flags: npt.NDArray[np.uint8]


class StackReader:
    """Reads a stack; use it in one thread, as a context manager."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._files = ExitStack()
        self._image = self._open(stack.image)
        self._infrared = self._open(stack.infrared) if stack.infrared else None
        self._heights = [self._open(model.source) for model in stack.heights]

    def __enter__(self) -> StackReader:
        return self

    def __exit__(self, *error: object) -> None:
        self._files.close()

    def _open(self, source: RasterSource) -> RasterReader:
        return self._files.enter_context(source.reader())

    def read(self, window: PixelWindow, *, all_infrared: bool = False) -> RawPixels | None:
        """Return the inputs in a window of the output; None where the orthophoto holds nothing.

        Args:
            window: Window of the output.
            all_infrared: Whether all bands of a colour-infrared image are wanted.

        Raises:
            InputError: A file cannot be read there.
        """
        stack = self._stack
        colours, valid = self._image.read_scaled(stack.target.scaled_window(window), stack.target.scaled)
        if not valid.any():
            return None
        heights = self._read_heights(window)
        if stack.infrared is None or self._infrared is None:
            return RawPixels(colours, valid, None, None, heights)
        wanted = len(stack.infrared.band_numbers) if all_infrared else 1
        alignment = stack.alignment(stack.infrared)
        infrared, found = read_aligned(self._infrared, stack.infrared, alignment, window, wanted)
        return RawPixels(colours, valid, infrared, found, heights)

    def _read_heights(self, window: PixelWindow) -> HeightReading | None:
        models = self._stack.heights
        if not models:
            return None
        read = [model.read(reader, window) for model, reader in zip(models, self._heights, strict=True)]
        metres, known, filled = read[0]
        for below, also_known, also_filled in read[1:]:
            metres, known, filled = metres - below, known & also_known, filled | also_filled
        return HeightReading(np.where(known, metres, 0.0), known, filled & known)


def read_aligned(
    reader: RasterReader, source: RasterSource, alignment: Alignment, window: PixelWindow, count: int
) -> tuple[npt.NDArray[Any], Mask]:
    """Return the first bands of a source in a window of the grid to write, in its own type.

    Copied where the grids agree, interpolated linearly where the source is coarser, averaged where it is finer; over
    valid pixels only.

    Args:
        reader: An open reader of the source.
        source: The source.
        alignment: How it lies under the grid.
        window: Window of the grid.
        count: Bands wanted.

    Returns:
        Values, shape (count, height, width), and validity, shape (height, width).
    """
    rows, columns = alignment.taps(window)
    kind = np.dtype(source.dtype)
    if not (rows.inside.any() and columns.inside.any()):
        shape = (window.height, window.width)
        return np.zeros((count, *shape), kind), np.zeros(shape, dtype=np.bool_)
    area = window_of(rows, columns)
    values, valid = reader.read(area)
    values = values[:count]
    if alignment.exact:
        at = np.ix_(rows.indices[:, 0] - area.row, columns.indices[:, 0] - area.column)
        inside = rows.inside[:, None] & columns.inside & valid[at]
        return np.where(inside, values[:, at[0], at[1]], 0).astype(kind), inside
    bands = [resample(band, valid, area, rows, columns) for band in values]
    found = np.stack([band for band, _ in bands])
    if kind.kind != "f":
        found = np.rint(found)
    return found.astype(kind), bands[0][1]


def compose(raw: RawPixels, stretches: Mapping[str, Stretch]) -> Pixels:
    """Return a window as it is written.

    Pixels without infrared are left out, since there is no harmless value for it. Pixels without height stay, with an
    elevation of 0 like the ground: most are water or beside a building, and a classification has colours to go by.
    """
    valid = raw.valid if raw.infrared_valid is None else raw.valid & raw.infrared_valid
    bands = [_to_bytes(band, stretches.get(name)) for name, band in zip(COLOURS, raw.colours, strict=True)]
    flags = np.zeros(valid.shape, dtype=np.uint8)
    if raw.infrared is not None:
        bands.append(_to_bytes(raw.infrared[0], stretches.get("infrared")))
    if raw.heights is not None:
        bands.append(raw.heights.elevation())
        flags = raw.heights.flags()
    image = np.stack(bands)
    image[:, ~valid] = 0
    flags[~valid] = 0
    if raw.infrared_valid is not None:
        flags[raw.valid & ~raw.infrared_valid] = INFRARED_MISSING
    return Pixels(image, np.where(valid, 255, 0).astype(np.uint8), flags)


def _to_bytes(band: npt.NDArray[Any], stretch: Stretch | None) -> npt.NDArray[np.uint8]:
    if stretch is None:
        return band.astype(np.uint8, copy=False)
    return stretch.apply(band)


class StackReaders:
    """Readers of a stack, one for each thread that asks; a context manager."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._own = threading.local()
        self._mutex = threading.Lock()
        self._readers: list[StackReader] = []

    def __enter__(self) -> StackReaders:
        return self

    def __exit__(self, *error: object) -> None:
        for reader in self._readers:
            reader.__exit__(None, None, None)

    def get(self) -> StackReader:
        """Return the reader of the calling thread."""
        if not hasattr(self._own, "reader"):
            self._own.reader = StackReader(self._stack)
            with self._mutex:
                self._readers.append(self._own.reader)
        reader: StackReader = self._own.reader
        return reader


def sample_windows(stack: Stack, side: int, most: int, seed: int = 0) -> Sequence[PixelWindow]:
    """Return windows of the output that may hold data: all of them where there are few, else some spread at random."""
    tiles = stack.target.tiles(side)
    order = np.random.default_rng(seed).permutation(len(tiles)) if len(tiles) > most else range(len(tiles))
    chosen: list[PixelWindow] = []
    for index in order:
        tile = tiles[int(index)]
        if stack.image.covers(stack.target.image_window(tile)):
            chosen.append(tile)
        if len(chosen) == most:
            break
    return sorted(chosen)

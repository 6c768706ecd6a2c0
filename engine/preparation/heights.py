"""Height above ground, and the band that FLAIR makes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntFlag

import numpy as np
import numpy.typing as npt
from rasterio.fill import fillnodata

from engine.preparation.alignment import Alignment, Heights, Mask, resample, window_of
from engine.rasters.reader import RasterReader
from engine.rasters.source import RasterSource
from engine.rasters.windows import PixelWindow

STEPS_PER_METRE = 5
# Heights of the earth's surface in metres; what lies outside is an undeclared nodata value.
LOWEST, HIGHEST = -1000.0, 9500.0
# Under this the surface lies below the ground: noise of two models ends here.
BELOW_GROUND = -1.0
# No building of France and no tree is higher.
ABSURD = 200.0
_HOLE = np.float32(-1e30)


class HeightFlag(IntFlag):
    """What is to be known of a pixel's height; bits of a uint8."""

    MISSING = 1
    FILLED = 2
    BELOW_GROUND = 4
    ABSURD = 8


@dataclass(frozen=True)
class HeightModel:
    """A raster of heights under the grid to write.

    Args:
        source: The raster; one band.
        alignment: How it lies under the grid.
        factor: Metres per unit of its values.
        fill_pixels: How many of its own pixels away a hole is filled from.
    """

    source: RasterSource
    alignment: Alignment
    factor: float
    fill_pixels: float

    def read(self, reader: RasterReader, window: PixelWindow) -> tuple[Heights, Mask, Mask]:
        """Return heights in metres in a window of the grid, which of them are data, and which of these were filled.

        Holes are filled on the raster's own grid, from the nearest data in each quadrant weighted by the inverse
        distance, before anything is interpolated. What is read reaches as far beyond the window as filling does, so
        that a pixel gets the same height whichever window asks for it.
        """
        rows, columns = self.alignment.taps(window)
        shape = (window.height, window.width)
        if not (rows.inside.any() and columns.inside.any()):
            return np.zeros(shape), np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
        needed = window_of(rows, columns)
        full = PixelWindow(0, 0, self.source.height, self.source.width)
        read = needed.expanded(math.ceil(self.fill_pixels) + 1 if self.fill_pixels else 0).intersection(full)
        values, valid = reader.read(read)
        metres = values[0].astype(np.float64) * self.factor
        valid = valid & (metres > LOWEST) & (metres < HIGHEST)
        inner = needed.slices_in(read)
        if valid[inner].all() or not self.fill_pixels:
            heights, known = resample(metres[inner], valid[inner], needed, rows, columns)
            return heights, known, np.zeros(shape, dtype=np.bool_)
        _, measured = resample(metres[inner], valid[inner], needed, rows, columns)
        metres, found = fill_holes(metres, valid, self.fill_pixels)
        heights, known = resample(metres[inner], found[inner], needed, rows, columns)
        return heights, known, known & ~measured


def fill_holes(metres: Heights, valid: Mask, distance: float) -> tuple[Heights, Mask]:
    """Fill holes from their surroundings.

    Args:
        metres: Heights, shape (height, width).
        valid: Which of them are data; they stay as they are.
        distance: How far away data may be, in pixels.

    Returns:
        The heights, and which of them are data now.
    """
    if valid.all() or not valid.any():
        return metres, valid
    holes = np.where(valid, metres, _HOLE).astype(np.float32)
    # GDAL keeps its intermediate rasters in files otherwise.
    filled = fillnodata(holes, valid.astype(np.uint8), distance, 0, TEMP_FILE_DRIVER="MEM")
    found = filled > LOWEST
    return np.where(valid, metres, filled.astype(np.float64)), found


@dataclass(frozen=True)
class HeightReading:
    """Heights above ground in a window.

    Args:
        metres: Height above ground, 0 where it is missing, shape (height, width).
        known: Where there is one.
        filled: Where it is made of filled holes.
    """

    metres: Heights
    known: Mask
    filled: Mask

    def elevation(self) -> npt.NDArray[np.uint8]:
        """Return the band of FLAIR: clip(round(5 * max(height, 0)), 0, 255); 0 where the height is missing."""
        return encode_elevation(np.where(self.known, self.metres, 0.0))

    def flags(self) -> npt.NDArray[np.uint8]:
        """Return a `HeightFlag` for each pixel."""
        flags = np.where(self.known, 0, HeightFlag.MISSING).astype(np.uint8)
        for flag, where in (
            (HeightFlag.FILLED, self.filled),
            (HeightFlag.BELOW_GROUND, self.metres < BELOW_GROUND),
            (HeightFlag.ABSURD, self.metres > ABSURD),
        ):
            flags[self.known & where] |= np.uint8(flag)
        return flags


def encode_elevation(metres: Heights) -> npt.NDArray[np.uint8]:
    """Return heights above ground in steps of 0.2 m, as FLAIR was trained on: clip(round(5 * max(h, 0)), 0, 255)."""
    steps = np.rint(STEPS_PER_METRE * np.maximum(metres, 0.0))
    encoded: npt.NDArray[np.uint8] = np.clip(steps, 0, 255).astype(np.uint8)
    return encoded

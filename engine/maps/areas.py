"""Square metres by class, of a raster and of polygons on it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.maps.class_map import ClassMap
from engine.maps.zones import Zones
from engine.nomenclature import LandCoverClass
from engine.rasters.parallel import each
from engine.rasters.pixel_area import PixelAreas
from engine.rasters.reader import RasterReader
from engine.rasters.thread_readers import ThreadReaders
from engine.rasters.windows import PixelWindow

HECTARE = 10_000.0


@dataclass(frozen=True)
class ClassAreas:
    """Areas of the classes, in the order of a nomenclature; the last place is what has no class.

    Args:
        square_metres: float64, shape (K + 1,) or (polygons, K + 1).
        pixels: int64, likewise.
    """

    square_metres: npt.NDArray[np.float64]
    pixels: npt.NDArray[np.int64]

    def row(self, number: int) -> ClassAreas:
        """Return the areas of one polygon."""
        return ClassAreas(self.square_metres[number], self.pixels[number])

    @property
    def hectares(self) -> npt.NDArray[np.float64]:
        """Hectares of the classes, without what has none, shape (..., K)."""
        return np.asarray(self.square_metres[..., :-1] / HECTARE)

    @property
    def unclassified(self) -> npt.NDArray[np.float64]:
        """Hectares of what has no class."""
        return np.asarray(self.square_metres[..., -1] / HECTARE)

    @property
    def shares(self) -> npt.NDArray[np.float64]:
        """Shares of the classes in all that has a class, 0 to 1; 0 where nothing has."""
        total = self.hectares.sum(axis=-1, keepdims=True)
        return np.asarray(self.hectares / np.where(total > 0, total, 1.0))


@dataclass(frozen=True)
class Counted:
    """What counting gave.

    Args:
        classes: The classes, in the order of the areas.
        whole: All pixels, or those that lie in a polygon, each once.
        zones: Those of each polygon; pixels in several polygons count in each.
        strange: Pixels by value of what is no class.
    """

    classes: tuple[LandCoverClass, ...]
    whole: ClassAreas
    zones: ClassAreas
    strange: Counter[int]


def count_areas(
    raster: ClassMap,
    areas: PixelAreas,
    zones: Zones | None,
    progress: Callable[[float], None],
    cancelled: threading.Event,
) -> Counted:
    """Count the areas of all classes in one pass; memory does not grow with the raster.

    Args:
        raster: The class raster.
        areas: Areas of its pixels.
        zones: Polygons with figures of their own; None for the raster as a whole.
        progress: Called with the share that is done, 0 to 1.
        cancelled: Set to stop.

    Raises:
        InputError: The raster cannot be read, or holds fractions.
        Cancelled: `cancelled` was set.
    """
    classes = raster.nomenclature.classes
    size = len(classes) + 1
    places = np.full(256, size - 1, np.int64)
    places[list(raster.nomenclature.codes)] = np.arange(len(classes))
    count = len(zones) if zones is not None else 0
    whole, by_zone = _empty((size,)), _empty((count, size))
    strange: Counter[int] = Counter()
    total = raster.source.width * raster.source.height

    def work(tile: PixelWindow) -> _Tile | None:
        burnt = list(zones.burn(tile)) if zones is not None else []
        if zones is not None and not burnt:
            return None
        reader: RasterReader = readers.get()
        codes, odd = raster.codes(*reader.read(tile))
        where, metres = places[codes], areas.of(tile)
        if zones is None:
            return _Tile(_counted(where, metres, size), [], odd)
        inside = np.zeros(where.shape, np.bool_)
        found = []
        for numbers, ids in burnt:
            inside |= ids > 0
            key = (ids.astype(np.int64) * size + where)[ids > 0] - size
            sums = _counted(key, metres[ids > 0], len(numbers) * size)
            found.append((numbers, ClassAreas(sums.square_metres.reshape(-1, size), sums.pixels.reshape(-1, size))))
        return _Tile(_counted(where[inside], metres[inside], size), found, odd)

    done = 0
    with ThreadReaders(raster.source.reader) as readers:
        for tile, found in each(work, raster.tiles(), cancelled):
            if found is not None:
                _add(whole, found.whole, slice(None))
                for numbers, sums in found.zones:
                    _add(by_zone, sums, numbers)
                strange.update(found.strange)
            done += tile.pixels
            progress(done / total)
    return Counted(classes, whole, by_zone, strange)


@dataclass(frozen=True)
class _Tile:
    whole: ClassAreas
    zones: list[tuple[npt.NDArray[np.int64], ClassAreas]]
    strange: dict[int, int]


def _counted(keys: npt.NDArray[np.int64], metres: npt.NDArray[np.float64], size: int) -> ClassAreas:
    flat = keys.ravel()
    return ClassAreas(
        np.bincount(flat, weights=np.asarray(metres).ravel(), minlength=size).astype(np.float64),
        np.bincount(flat, minlength=size).astype(np.int64),
    )


def _empty(shape: tuple[int, ...]) -> ClassAreas:
    return ClassAreas(np.zeros(shape), np.zeros(shape, np.int64))


def _add(total: ClassAreas, part: ClassAreas, where: slice | npt.NDArray[np.int64]) -> None:
    total.square_metres[where] += part.square_metres
    total.pixels[where] += part.pixels

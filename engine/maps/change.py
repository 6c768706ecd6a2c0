"""What changed between two class rasters."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import RequestError
from engine.maps.areas import HECTARE
from engine.maps.class_map import ClassMap
from engine.maps.nearest import NearestRaster, NearestReader
from engine.maps.regions import SmallRegions, TileRegions
from engine.maps.transitions import LEFT_OUT, UNCHANGED, Transitions
from engine.maps.zones import Zones
from engine.nomenclature import Nomenclature
from engine.rasters.class_codes import class_codes
from engine.rasters.parallel import each
from engine.rasters.pixel_area import PixelAreas
from engine.rasters.thread_readers import ThreadReaders
from engine.rasters.tile_pile import TilePile
from engine.rasters.windows import PixelWindow

# Numbers in the matrices of all polygons: 160 MB.
_MOST_NUMBERS = 20_000_000
Codes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Pair:
    """Two class rasters on the grid of the later one.

    Args:
        after: The later one.
        before: The earlier one.
        confidences: Rasters of per cent that a change needs enough of.
        least_confidence: How much; a pixel without a confidence has none.
        transitions: Codes of changes, over the classes of both.
        areas: Areas of the pixels.
        zones: Polygons with a matrix of their own; None for none.
    """

    after: ClassMap
    before: NearestRaster
    confidences: Sequence[NearestRaster]
    least_confidence: float
    transitions: Transitions
    areas: PixelAreas
    zones: Zones | None

    def __post_init__(self) -> None:
        size = len(self.transitions.classes)
        if self.zones is not None and len(self.zones) * size * size > _MOST_NUMBERS:
            raise RequestError(
                f"{len(self.zones)} polygons with a matrix of {size} classes each are too many; up to "
                f"{_MOST_NUMBERS // size**2} are possible.",
                "Choose fewer and larger ones.",
            )


@dataclass(frozen=True)
class Matrix:
    """Areas by class before and after.

    Args:
        square_metres: float64, shape (..., K, K): rows before, columns after.
        pixels: int64, likewise.
    """

    square_metres: npt.NDArray[np.float64]
    pixels: npt.NDArray[np.int64]

    @property
    def hectares(self) -> npt.NDArray[np.float64]:
        """Hectares."""
        return np.asarray(self.square_metres / HECTARE)

    @property
    def changed(self) -> npt.NDArray[np.float64]:
        """Hectares whose class is another one."""
        # Summed, not subtracted: nothing must be nothing.
        return np.asarray((self.hectares * (1 - np.eye(self.pixels.shape[-1]))).sum(axis=(-2, -1)))


@dataclass(frozen=True)
class Change:
    """What comparing two rasters gave.

    Args:
        whole: All pixels that have a class in both; changes that were left out count as unchanged.
        zones: Those of each polygon.
        left_out: Hectares of changes that are too small or not certain enough.
        strange: Pixels by value of what is no class, before and after.
    """

    whole: Matrix
    zones: Matrix
    left_out: float
    strange: tuple[Counter[int], Counter[int]]


def compare(
    pair: Pair,
    least_area: float,
    pile: TilePile,
    progress: Callable[[float], None],
    cancelled: threading.Event,
) -> Change:
    """Compare two rasters in one pass, or in two where small changes are left out.

    A change is small when the pixels of one transition that share edges cover less than `least_area` together, across
    the tiles in which the rasters are read.

    Args:
        pair: The rasters.
        least_area: Smallest change in square metres; 0 keeps all.
        pile: Takes the codes of changes.
        progress: Called with the share that is done, 0 to 1.
        cancelled: Set to stop.

    Raises:
        InputError: A raster cannot be read, or holds fractions.
        OutputError: The codes cannot be written.
        Cancelled: `cancelled` was set.
    """
    with ThreadReaders(lambda: _Readers(pair)) as readers:
        reading = _Reading(pair, readers)
        regions = None
        if least_area > 0:
            regions = SmallRegions(least_area)
            _walk(pair, reading.regions, regions.add, lambda done: progress(0.5 * done), cancelled)
            regions.finish()
        summing = _Summing(pair)
        share = 0.5 if regions is not None else 1.0
        work = _Counting(pair, reading, regions, pile)
        _walk(pair, work.tile, summing.add, lambda done: progress(1 - share + share * done), cancelled)
    return summing.change()


def _walk(
    pair: Pair,
    work: Callable[[PixelWindow], Any],
    take: Callable[[PixelWindow, Any], None],
    progress: Callable[[float], None],
    cancelled: threading.Event,
) -> None:
    done, total = 0, pair.after.source.width * pair.after.source.height
    for tile, found in each(work, pair.after.tiles(), cancelled):
        take(tile, found)
        done += tile.pixels
        progress(done / total)


class _Readers:
    """All readers of one thread."""

    def __init__(self, pair: Pair) -> None:
        self._stack = ExitStack()
        self.after = self._stack.enter_context(pair.after.source.reader())
        self.before = self._stack.enter_context(pair.before.reader())
        self.confidences: list[NearestReader] = [self._stack.enter_context(item.reader()) for item in pair.confidences]

    def __enter__(self) -> _Readers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


@dataclass(frozen=True)
class _Seen:
    """A tile of both rasters.

    Args:
        before: Codes, 0 where one of both has no class.
        after: Likewise.
        uncertain: Changes that are not certain enough.
        changes: Codes of the changes that are, 0 elsewhere.
        strange: Values that are no class, before and after.
    """

    before: Codes
    after: Codes
    uncertain: npt.NDArray[np.bool_]
    changes: npt.NDArray[np.uint16]
    strange: tuple[dict[int, int], dict[int, int]]


class _Reading:
    def __init__(self, pair: Pair, readers: ThreadReaders[_Readers]) -> None:
        self._pair, self._readers = pair, readers
        classes = pair.transitions.classes
        self._classes = Nomenclature("both", classes)
        self._known = np.zeros(256, np.bool_)
        self._known[[item.code for item in classes]] = True

    def see(self, tile: PixelWindow) -> _Seen:
        """Read both rasters."""
        pair, readers = self._pair, self._readers.get()
        values, valid = readers.after.read(tile)
        after, odd_after = class_codes(values[0], valid, self._classes, pair.after.what)
        before, odd_before = class_codes(*readers.before.read(tile), self._classes, pair.before.what)
        compared = self._known[before] & self._known[after]
        before, after = np.where(compared, before, 0).astype(np.uint8), np.where(compared, after, 0).astype(np.uint8)
        changed = before != after
        uncertain = np.zeros(changed.shape, np.bool_)
        for reader in readers.confidences:
            per_cent, known = reader.read(tile)
            uncertain |= changed & ~(known & (per_cent >= pair.least_confidence))
        changes = np.where(changed & ~uncertain, pair.transitions.codes(before, after), 0).astype(np.uint16)
        return _Seen(before, after, uncertain, changes, (odd_before, odd_after))

    def regions(self, tile: PixelWindow) -> TileRegions:
        """Return the regions of changes in a tile."""
        return TileRegions.of(self.see(tile).changes, self._pair.areas.of(tile))


@dataclass(frozen=True)
class _Counted:
    whole: Matrix
    zones: list[tuple[npt.NDArray[np.int64], Matrix]]
    left_out: float
    strange: tuple[dict[int, int], dict[int, int]]


class _Counting:
    def __init__(self, pair: Pair, reading: _Reading, regions: SmallRegions | None, pile: TilePile) -> None:
        self._pair, self._reading, self._small, self._pile = pair, reading, regions, pile
        self._size = len(pair.transitions.classes)
        self._places = np.zeros(256, np.int64)
        self._places[[item.code for item in pair.transitions.classes]] = np.arange(self._size)

    def tile(self, tile: PixelWindow) -> _Counted:
        """Count a tile, and write its codes."""
        seen, metres = self._reading.see(tile), self._pair.areas.of(tile)
        left_out = seen.uncertain
        if self._small is not None:
            left_out = left_out | self._small.small(tile, seen.changes, metres)
        compared = seen.before != 0
        codes = np.where(compared, UNCHANGED, 0).astype(np.uint16)
        codes = np.where(left_out, LEFT_OUT, np.where(seen.changes != 0, seen.changes, codes)).astype(np.uint16)
        self._pile.write(tile, codes)
        now = np.where(left_out, seen.before, seen.after)
        cells = self._places[seen.before] * self._size + self._places[now]
        zones = []
        for numbers, ids in self._pair.zones.burn(tile) if self._pair.zones is not None else ():
            inside = (ids > 0) & compared
            keys = (ids[inside].astype(np.int64) - 1) * self._size**2 + cells[inside]
            zones.append((numbers, self._matrix(keys, metres[inside], (len(numbers),))))
        whole = self._matrix(cells[compared], metres[compared], ())
        return _Counted(whole, zones, float(metres[left_out].sum()), seen.strange)

    def _matrix(self, keys: npt.NDArray[np.int64], metres: npt.NDArray[np.float64], lead: tuple[int, ...]) -> Matrix:
        shape = (*lead, self._size, self._size)
        count = int(np.prod(shape))
        return Matrix(
            np.bincount(keys, weights=metres, minlength=count).astype(np.float64).reshape(shape),
            np.bincount(keys, minlength=count).astype(np.int64).reshape(shape),
        )


class _Summing:
    def __init__(self, pair: Pair) -> None:
        size = len(pair.transitions.classes)
        self._whole, self._zones = _empty((size, size)), _empty((len(pair.zones) if pair.zones else 0, size, size))
        self._left_out = 0.0
        self._strange: tuple[Counter[int], Counter[int]] = (Counter(), Counter())

    def add(self, tile: PixelWindow, found: _Counted) -> None:
        """Add a tile."""
        del tile
        _add(self._whole, found.whole, slice(None))
        for numbers, matrix in found.zones:
            _add(self._zones, matrix, numbers)
        self._left_out += found.left_out
        for total, part in zip(self._strange, found.strange, strict=True):
            total.update(part)

    def change(self) -> Change:
        """Return the sums."""
        return Change(self._whole, self._zones, self._left_out / HECTARE, self._strange)


def _empty(shape: tuple[int, ...]) -> Matrix:
    return Matrix(np.zeros(shape), np.zeros(shape, np.int64))


def _add(total: Matrix, part: Matrix, where: slice | npt.NDArray[np.int64]) -> None:
    total.square_metres[where] += part.square_metres
    total.pixels[where] += part.pixels

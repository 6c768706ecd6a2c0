"""Reads prediction and truth tile by tile and compares them; memory does not grow with the rasters."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.comparison.error_map import ErrorTiles
from engine.comparison.prediction import Prediction
from engine.comparison.tally import Compared, Comparer, Tally, most_units
from engine.comparison.words import speaking_of_truth
from engine.comparison.zones import Zones
from engine.evaluation.confusion import ConfusionMatrix
from engine.extraction.class_mapping import LabelValue
from engine.extraction.labels import Labels
from engine.extraction.readers import Readers
from engine.rasters.area import AreaOfInterest
from engine.rasters.parallel import each
from engine.rasters.windows import PixelWindow

# Side of what is read at once, in pixels. A tile's arrays take some 25 MB, those of blocks of 2048 four times as much,
# in each of up to eight threads.
TILE = 1024

Codes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Comparison:
    """What is compared with what.

    Args:
        prediction: The raster to judge.
        truth: Labels on its grid.
        comparer: The rule.
        area: Part to look at.
        zones: Polygons that get a matrix of their own.
        block: Side in pixels of the blocks that intervals are drawn from and whose worst are shown.
    """

    prediction: Prediction
    truth: Labels
    comparer: Comparer
    area: AreaOfInterest
    zones: Zones
    block: int

    @property
    def tile(self) -> int:
        """Side of a tile: whole blocks."""
        return self.block * max(1, TILE // self.block)

    @property
    def merged(self) -> int:
        """Blocks along each side that make one unit of the bootstrap: more than 1 on very large rasters."""
        window = self.area.window
        most, merged = most_units(len(self.prediction.nomenclature.classes)), 1
        while _steps(window, self.block * merged) > most:
            merged *= 2
        return merged

    def tiles(self) -> Iterator[PixelWindow]:
        """Yield the tiles that may hold pixels of the area, from the upper left."""
        for tile in _cut(self.area.window, self.tile):
            if self.area.touches(tile) and self.truth.touches(tile):
                yield tile


@dataclass(frozen=True)
class _Tile:
    blocks: list[tuple[PixelWindow, Compared]]
    zones: list[tuple[int, Compared]]
    values: dict[LabelValue, int]
    strange: dict[int, int]
    contested: int


@dataclass(frozen=True)
class Outcome:
    """What a comparison gave.

    Args:
        tally: The sum over all blocks, and the worst blocks.
        zones: Matrix of each polygon.
        strange: Pixels by predicted value that is no class.
        contested: Pixels to which labels of different classes lay claim.
    """

    tally: Tally[PixelWindow]
    zones: list[ConfusionMatrix]
    strange: Counter[int]
    contested: int


def compare(
    comparison: Comparison,
    errors: ErrorTiles | None,
    kept: int,
    progress: Callable[[float], None],
    cancelled: threading.Event,
) -> Outcome:
    """Compare all pixels of the area.

    Args:
        comparison: What is compared.
        errors: Takes the verdicts; None where no map is wanted.
        kept: Number of the worst blocks to keep.
        progress: Called with the share that is done, 0 to 1.
        cancelled: Set to stop.

    Raises:
        InputError: A file cannot be read, or holds what is no class.
        OutputError: The verdicts cannot be written.
        Cancelled: `cancelled` was set.
    """
    nomenclature = comparison.prediction.nomenclature
    window, side = comparison.area.window, comparison.block * comparison.merged
    tally: Tally[PixelWindow] = Tally(nomenclature, _steps(window, side), kept)
    zones = [ConfusionMatrix(nomenclature) for _ in comparison.zones.names]
    values: Counter[LabelValue] = Counter()
    strange: Counter[int] = Counter()
    contested = 0
    total = _steps(window, comparison.tile)
    with speaking_of_truth(), Readers(comparison.prediction.source, comparison.truth) as readers:
        work = _worker(comparison, readers, errors)
        for tile, found in each(work, comparison.tiles(), cancelled):
            for block, compared in found.blocks:
                tally.add(_unit(block, window, side), compared, lambda block=block: block)  # type: ignore[misc]
            for number, compared in found.zones:
                zones[number].add_matrix(_dense(compared, len(nomenclature.classes) + 1))
            values.update(found.values)
            strange.update(found.strange)
            contested += found.contested
            progress(_number(tile, window, comparison.tile) / total)
        comparison.truth.check(values)
    return Outcome(tally, zones, strange, contested)


def read_pair(comparison: Comparison, readers: Readers, window: PixelWindow) -> tuple[Codes, Codes]:
    """Return truth and prediction of a window as codes, 0 outside the area."""
    image, labels = readers.get()
    predicted, _ = comparison.prediction.codes(*image.read(window))
    truth = labels.read(window).codes
    inside = comparison.area.mask(window)
    return np.where(inside, truth, 0).astype(np.uint8), np.where(inside, predicted, 0).astype(np.uint8)


def _worker(comparison: Comparison, readers: Readers, errors: ErrorTiles | None) -> Callable[[PixelWindow], _Tile]:
    comparer, area = comparison.comparer, comparison.area

    def work(tile: PixelWindow) -> _Tile:
        image, labels = readers.get()
        found = labels.read(tile, examine=True)
        truth = found.codes
        if area.geometry is not None:
            truth[~area.mask(tile)] = 0
        predicted, strange = comparison.prediction.codes(*image.read(tile))
        verdicts = comparer.verdicts(truth, predicted)

        def part(window: PixelWindow) -> Compared:
            place = window.slices_in(tile)
            return comparer.compare(truth[place], predicted[place], verdicts[place])

        blocks = [(block, part(block)) for block in _cut(tile, comparison.block)]
        zones = []
        for number in comparison.zones.touching(tile):
            zone = comparison.zones.areas[number]
            window = zone.window.intersection(tile)
            inside, place = zone.mask(window), window.slices_in(tile)
            zones.append((number, comparer.compare(*(array[place][inside] for array in (truth, predicted, verdicts)))))
        if errors is not None:
            errors.write(tile, verdicts)
        return _Tile(blocks, zones, found.values, strange, found.contested)

    return work


def _cut(window: PixelWindow, side: int) -> Iterator[PixelWindow]:
    """Yield the squares of a window, cut at its lower and right edge."""
    for row in range(window.row, window.bottom, side):
        for column in range(window.column, window.right, side):
            yield PixelWindow(row, column, side, side).intersection(window)


def _steps(window: PixelWindow, side: int) -> int:
    return -(-window.height // side) * -(-window.width // side)


def _unit(part: PixelWindow, window: PixelWindow, side: int) -> int:
    """Return the number of the square of a window that a part of it lies in."""
    return (part.row - window.row) // side * -(-window.width // side) + (part.column - window.column) // side


def _number(tile: PixelWindow, window: PixelWindow, side: int) -> int:
    return _unit(tile, window, side) + 1


def _dense(compared: Compared, size: int) -> npt.NDArray[np.int64]:
    counts = np.zeros(size * size, dtype=np.int64)
    counts[compared.cells] = compared.counts
    return counts.reshape(size, size)

"""The first look at all places for patches: what labels they hold."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.errors import Cancelled, InputError
from engine.extraction.class_mapping import LabelValue
from engine.extraction.labels import Codes, LabelReader, Labels
from engine.extraction.patch_grid import PatchGrid
from engine.extraction.readers import Readers
from engine.nomenclature import Nomenclature
from engine.rasters.area import AreaOfInterest
from engine.rasters.parallel import each
from engine.rasters.source import RasterSource
from engine.rasters.windows import PixelWindow

Cell = tuple[int, int]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Survey:
    """The patches to cut.

    Args:
        cells: Row and column of each patch in the grid, shape (patches, 2).
        pixels: Pixels of each class of the nomenclature in each patch, shape (patches, classes).
        invalid: Pixels without data in each patch, shape (patches,).
        contested: Pixels to which labels of different classes lay claim, in all places together.
        poor: Places that have labels, but too few.
    """

    cells: Integers
    pixels: Integers
    invalid: Integers
    contested: int
    poor: int


def mask_of(
    window: PixelWindow, labels: LabelReader, valid: npt.NDArray[np.bool_], area: AreaOfInterest | None
) -> Codes:
    """Return the mask of a patch: class codes, 0 without a label, without data and outside the area."""
    codes = labels.read(window).codes
    codes[~valid] = 0
    if area is not None:
        codes[~area.mask(window)] = 0
    return codes


def survey(
    grid: PatchGrid,
    source: RasterSource,
    labels: Labels,
    area: AreaOfInterest | None,
    nomenclature: Nomenclature,
    labelled: float,
    progress: Callable[[float], None],
    cancelled: threading.Event,
) -> Survey:
    """Look at the labels of all places and choose those that become patches.

    Args:
        grid: The places.
        source: The image.
        labels: Its labels.
        area: Part to stay in; None for everywhere.
        nomenclature: The classes.
        labelled: Least share of pixels of classes that can be learnt; one such pixel is always needed.
        progress: Called with the share that is done, 0 to 1.
        cancelled: Set to stop.

    Raises:
        InputError: A file cannot be read, labels are unknown, or no place has enough labels.
        Cancelled: `cancelled` was set.
    """
    codes = np.array(nomenclature.codes)
    learnt = np.array([not item.disabled for item in nomenclature.classes])

    def places() -> Iterator[Cell]:
        for row in range(grid.rows):
            if cancelled.is_set():
                raise Cancelled
            for column in range(grid.columns):
                window = grid.window(row, column)
                if labels.touches(window) and source.covers(window) and (area is None or area.touches(window)):
                    yield row, column
            progress(min(0.99, row / grid.rows))

    def look(cell: Cell) -> tuple[Integers, int, int, dict[LabelValue, int]]:
        image, reader = readers.get()
        window = grid.window(*cell)
        found = reader.read(window, examine=True)
        mask = found.codes
        if area is not None:
            mask[~area.mask(window)] = 0
        if not mask.any():
            return np.zeros(len(codes), dtype=np.int64), 0, found.contested, found.values
        valid = image.valid(window)
        counts = np.bincount(mask[valid], minlength=256)
        return counts[codes].astype(np.int64), int((~valid).sum()), found.contested, found.values

    cells: list[Cell] = []
    pixels: list[Integers] = []
    invalid: list[int] = []
    contested = poor = 0
    best = 0
    values: Counter[LabelValue] = Counter()
    with Readers(source, labels) as readers:
        for cell, (counts, without, claims, met) in each(look, places(), cancelled):
            values.update(met)
            contested += claims
            useful = int(counts[learnt].sum())
            best = max(best, useful)
            if useful and useful >= labelled * grid.size**2:
                cells.append(cell)
                pixels.append(counts)
                invalid.append(without)
            else:
                poor += bool(useful)
    labels.check(values)
    if not cells:
        raise _nothing(grid, best, poor, labelled)
    return Survey(np.array(cells), np.stack(pixels), np.array(invalid), contested, poor)


def _nothing(grid: PatchGrid, best: int, poor: int, labelled: float) -> InputError:
    if not best:
        return InputError(
            "No patch holds a pixel with both data and a label.",
            "Check that labels and image show the same place, and that not all classes are left out.",
        )
    share = best / grid.size**2
    return InputError(
        f"All {poor} patches with labels have less than {labelled:.0%} of their pixels labelled; the best has "
        f"{share:.1%}.",
        f"Label more, give a smaller --patch-size, or allow less with --labelled {max(0.001, share * 0.5):.1g}.",
    )

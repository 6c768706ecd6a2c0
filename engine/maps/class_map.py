"""A class raster whose pixels are counted, compared or recoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyogrio
from rasterio.crs import CRS

from engine.errors import InputError
from engine.events import Reporter, SilentReporter
from engine.nomenclature import Nomenclature, resolve_nomenclature
from engine.rasters.class_codes import class_codes, strange_values
from engine.rasters.ground_sampling import ground_sampling_distance
from engine.rasters.named_classes import named_classes
from engine.rasters.pixel_area import PixelAreas
from engine.rasters.polygons import VECTOR_ERRORS
from engine.rasters.raster_file import describe
from engine.rasters.source import RasterSource
from engine.rasters.windows import PixelWindow
from engine.remote_path import is_remote
from engine.storage.inputs import check_readable

# Pixels of what is read at once, and its side where the file is not made of long rows.
TILE = 1024


@dataclass(frozen=True)
class ClassMap:
    """A class raster.

    Args:
        source: Its pixels.
        nomenclature: Its classes.
        what: What errors call it, at the beginning of a sentence.
    """

    source: RasterSource
    nomenclature: Nomenclature
    what: str

    @property
    def crs(self) -> CRS:
        """Its CRS.

        Raises:
            InputError: It has none.
        """
        if self.source.crs is None:
            raise InputError(
                f"{self.what} has no CRS, so its hectares are unknown.", "Give it one (--crs), such as EPSG:2154."
            )
        return self.source.crs

    @property
    def window(self) -> PixelWindow:
        """All pixels."""
        return PixelWindow(0, 0, self.source.height, self.source.width)

    def tiles(self) -> Iterator[PixelWindow]:
        """Yield the parts in which the raster is read, from the upper left; whole rows where its blocks are."""
        height, width = TILE, TILE
        if self.source.block_shape[1] >= self.source.width:
            height, width = max(1, TILE * TILE // self.source.width), self.source.width
        for row in range(0, self.source.height, height):
            for column in range(0, self.source.width, width):
                yield PixelWindow(row, column, height, width).intersection(self.window)

    def codes(
        self, values: npt.NDArray[Any], valid: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.uint8], dict[int, int]]:
        """Return pixels, as the source reads them, as codes; see `engine.rasters.class_codes.class_codes`."""
        return class_codes(values[0], valid, self.nomenclature, self.what)

    def areas(self, reporter: Reporter) -> PixelAreas:
        """Return the areas of the pixels.

        Args:
            reporter: Is warned of a local CRS, whose units are taken as metres.

        Raises:
            InputError: There is no CRS, or it does not hold where the raster lies.
        """
        source, crs = self.source, self.crs
        ground_sampling_distance(crs, source.transform, source.width, source.height, reporter)
        return PixelAreas(crs, source.transform, source.width, source.height)

    def warning_of(self, strange: Counter[int], effect: str) -> str:
        """Return a warning of values that are no class, empty where there are none.

        Args:
            strange: Their pixels.
            effect: What becomes of them, such as "they are not counted".
        """
        if not strange:
            return ""
        return (
            f"{self.what} holds what is no class of '{self.nomenclature.name}': {strange_values(strange)}; {effect}. "
            "Name its classes with --nomenclature if they are others."
        )


def open_class_map(path: str, *, nomenclature: str | None, crs: str | None, what: str, reporter: Reporter) -> ClassMap:
    """Open a class raster.

    Args:
        path: File of one band of class codes.
        nomenclature: Name or file of its classes; None takes those that the file names, else FLAIR's.
        crs: CRS of a file that carries none.
        what: What sentences call it, such as "The class raster".
        reporter: Is told what was found.

    Raises:
        InputError: The file cannot be used.
        ModelError: The nomenclature cannot be used.
    """
    if is_remote(path):
        check_readable(path)
    try:
        file = describe(path)
    except InputError as error:
        raise _polygons_instead(path, what) or error from None
    name = f"{what} '{file.name}'"
    if len(file.data_bands) != 1:
        raise InputError(
            f"{name} has {len(file.data_bands)} bands: it holds colours or probabilities, not class codes.",
            "Choose a raster of one band that holds codes.",
        )
    source = RasterSource.open(
        [path],
        ("class",),
        bands={"class": file.data_bands[0]},
        crs=crs,
        # What a pixel measures is asked where it matters.
        ground_sampling_distance=1.0,
        reporter=SilentReporter(),
    )
    if crs is not None and file.crs is not None and source.crs == file.crs and CRS.from_user_input(crs) != file.crs:
        reporter.warning(f"{name} carries a CRS of its own, which is kept; {crs} is not used.")
    classes = resolve_nomenclature(nomenclature) if nomenclature else named_classes(file)
    reporter.log(
        f"{name}: {source.width} x {source.height} pixels, {len(classes.enabled)} classes of '{classes.name}'."
    )
    return ClassMap(source, classes, name)


def _polygons_instead(path: str, what: str) -> InputError | None:
    try:
        holds_layers = len(pyogrio.list_layers(path)) > 0
    except VECTOR_ERRORS:
        return None
    return InputError(f"{what} '{path}' holds polygons, not pixels.", "Choose a raster.") if holds_layers else None

"""A class raster, read as codes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from engine.errors import InputError
from engine.events import Reporter, SilentReporter
from engine.nomenclature import Nomenclature
from engine.rasters.class_codes import class_codes
from engine.rasters.raster_file import describe
from engine.rasters.reader import RasterReader
from engine.rasters.source import RasterSource
from engine.rasters.windows import PixelWindow

_HIGHEST = 254


class _Warnings(SilentReporter):
    """Passes warnings on; what else is found, such as the band's number, says nothing new of a class raster."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def warning(self, text: str) -> None:
        """Pass it on."""
        self._reporter.warning(text)


def open_class_raster(path: str, crs: str | None, reporter: Reporter) -> RasterSource:
    """Open a raster of one band of class codes that lies somewhere on earth.

    Args:
        path: The raster.
        crs: CRS, where the file carries none.
        reporter: Receives warnings.

    Raises:
        InputError: It cannot be read, has several bands, or no CRS.
        RequestError: `crs` is no CRS.
    """
    file = describe(path)
    if len(file.data_bands) != 1:
        raise InputError(
            f"'{file.name}' has {len(file.data_bands)} bands: it holds colours or probabilities, not class codes.",
            "Choose a raster of one band that holds codes.",
        )
    if file.crs is None and crs is None and not file.ground_control_points:
        raise InputError(f"{file.name} has no CRS, so its place is unknown.", "Give it one (--crs), such as EPSG:2154.")
    bands = {"class": file.data_bands[0]}
    return RasterSource.open([path], ("class",), bands=bands, crs=crs, reporter=_Warnings(reporter))


def read_codes(reader: RasterReader, window: PixelWindow, classes: Nomenclature, name: str) -> npt.NDArray[np.uint8]:
    """Return the class codes of a window, 0 where there is none.

    Codes that the nomenclature does not have are kept.

    Args:
        reader: Reads the class raster.
        window: Rows and columns to read.
        classes: The classes.
        name: Name of the file, for the errors.

    Raises:
        InputError: It cannot be read, or holds fractions or numbers that are no codes.
    """
    values, valid = reader.read(window)
    codes, strange = class_codes(values[0], valid, classes, f"The class raster '{name}'")
    wrong = [value for value in strange if not 0 <= value <= _HIGHEST]
    if wrong:
        raise InputError(
            f"The class raster '{name}' holds numbers such as {wrong[0]}; class codes are 1 to {_HIGHEST}.",
            "Choose another raster, or give its classes other codes first.",
        )
    return codes


def strips_of(source: RasterSource, rows: int) -> Iterator[PixelWindow]:
    """Return windows over the whole width of a raster, from the top."""
    for row in range(0, source.height, rows):
        yield PixelWindow(row, 0, min(rows, source.height - row), source.width)

"""Kilometric sheets: how a class raster is cut into one GeoTIFF per square of a regular grid."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from engine.errors import OutputError
from engine.rasters.staged_output import check_overwrite
from engine.rasters.virtual_raster import OutputGrid
from engine.rasters.windows import PixelWindow

_SMALLEST = 64

Place = tuple[int, int]
"""Row and column of a sheet among the sheets."""


@dataclass(frozen=True)
class Sheet:
    """One sheet.

    Args:
        name: File name without suffix.
        window: Its pixels in the output grid.
    """

    name: str
    window: PixelWindow


def sheets_folder(output: Path) -> Path:
    """Return the folder that holds the sheets of a mosaic (.vrt)."""
    return output.with_name(f"{output.stem}_sheets")


def check_sheets(output: Path, grid: OutputGrid, sheet_size: float, *, overwrite: bool) -> None:
    """Check before any work that sheets can be written.

    Args:
        output: The mosaic over the sheets (.vrt).
        grid: Grid of the classification.
        sheet_size: Side of a sheet in units of the CRS.
        overwrite: Whether an existing mosaic and its sheets may be replaced.

    Raises:
        OutputError: The grid is rotated or geographic, the sheets are too small or exist already, or their folder
            holds other files.
    """
    transform = grid.transform
    if transform.b or transform.d or transform.a <= 0 or transform.e >= 0:
        raise OutputError(
            "Sheets need an image with north at the top; this one is rotated or flipped.",
            "Choose one file as layout (--layout single), or warp the image first (gdalwarp).",
        )
    if grid.crs is not None and grid.crs.is_geographic:
        raise OutputError(
            "Sheets need a projected coordinate system; this image is in degrees.",
            "Choose one file as layout (--layout single), or reproject the image first.",
        )
    pixel = max(transform.a, -transform.e)
    if sheet_size < _SMALLEST * pixel:
        raise OutputError(
            f"Sheets of {sheet_size:g} units are smaller than {_SMALLEST} pixels.",
            f"Give a sheet size of at least {_SMALLEST * pixel:g}, in units of the image's coordinate system.",
        )
    check_overwrite(output, overwrite=overwrite)
    check_overwrite(sheets_folder(output), overwrite=overwrite)
    _check_only_sheets(sheets_folder(output), output.stem)


class SheetGrid:
    """Squares that cut a north-up grid at the multiples of the sheet size, moved to whole pixels.

    Every pixel belongs to exactly one sheet. A sheet at the edge of the grid is smaller and still named by the
    upper-left corner of its square: in kilometres, or in the CRS's units where the size is not whole kilometres.

    Args:
        grid: Grid of the classification.
        sheet_size: Side of a sheet in units of the CRS.
        stem: Begin of each sheet's name.
    """

    def __init__(self, grid: OutputGrid, sheet_size: float, stem: str) -> None:
        transform = grid.transform
        self._size, self._stem = sheet_size, stem
        self._columns = _Cuts(transform.c, transform.a, grid.width, sheet_size)
        self._rows = _Cuts(-transform.f, -transform.e, grid.height, sheet_size)

    @property
    def row_edges(self) -> list[int]:
        """Row at which each row of sheets begins, and the end of the last."""
        return self._rows.edges

    @property
    def column_edges(self) -> list[int]:
        """Column at which each column of sheets begins, and the end of the last."""
        return self._columns.edges

    def touched(self, window: PixelWindow) -> list[Place]:
        """Return row and column of the sheets that a window touches."""
        columns = self._columns.between(window.column, window.right)
        return [(row, column) for row in self._rows.between(window.row, window.bottom) for column in columns]

    def sheet(self, place: Place) -> Sheet:
        """Return the sheet at a row and column of sheets."""
        row, column = place
        top, left = self.row_edges[row], self.column_edges[column]
        x, y = self._columns.corner(column), -self._rows.corner(row)
        return Sheet(
            f"{self._stem}_{_label(x, self._size)}_{_label(y, self._size)}",
            PixelWindow(top, left, self.row_edges[row + 1] - top, self.column_edges[column + 1] - left),
        )


class _Cuts:
    """Where the multiples of a size cut a line of pixels.

    Args:
        origin: Coordinate at which the first pixel begins; grows with the pixels.
        pixel: Size of a pixel, over 0.
        count: Number of pixels.
        size: Distance between cuts, in the coordinate's units.
    """

    def __init__(self, origin: float, pixel: float, count: int, size: float) -> None:
        self._size = size
        first, last = math.floor(origin / size), math.ceil((origin + count * pixel) / size)
        inner = [(index, round((index * size - origin) / pixel)) for index in range(first + 1, last)]
        # A cut within half a pixel of the line's ends makes no part.
        inner = [(index, edge) for index, edge in inner if 0 < edge < count]
        begin = inner[0][0] - 1 if inner else math.floor((origin + count * pixel / 2) / size)
        self._first = begin
        self.edges = [0, *(edge for _, edge in inner), count]

    def between(self, start: int, stop: int) -> range:
        """Return the numbers of the parts that the pixels from `start` to before `stop` touch."""
        return range(bisect_right(self.edges, start) - 1, bisect_left(self.edges, stop))

    def corner(self, part: int) -> float:
        """Return the coordinate at which the square of a part begins."""
        return (self._first + part) * self._size


def _label(value: float, size: float) -> str:
    if size % 1000 == 0:
        return f"{round(value / 1000):04d}"
    exponent = Decimal(str(size)).normalize().as_tuple().exponent
    decimals = max(0, -exponent) if isinstance(exponent, int) else 0
    return f"{value + 0.0:0{8 + decimals if decimals else 7}.{decimals}f}"


def _check_only_sheets(folder: Path, stem: str) -> None:
    """Check that replacing the folder of an earlier mosaic loses nothing but its sheets.

    Raises:
        OutputError: Other files lie in it.
    """
    if folder.is_dir():
        others = [item.name for item in folder.iterdir() if not item.name.startswith(f"{stem}_") or item.is_dir()]
        if others:
            raise OutputError(
                f"The folder '{folder}' would be replaced, but holds files that are not sheets, such as '{others[0]}'.",
                "Move them away, or give the output another name.",
            )

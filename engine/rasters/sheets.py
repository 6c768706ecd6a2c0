"""The class raster as kilometric sheets: one GeoTIFF per square of a regular grid, and a VRT over them."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from engine.errors import OutputError
from engine.nomenclature import Nomenclature
from engine.rasters.class_raster import class_dressing, stale_companions, write_companions
from engine.rasters.cog import Cancel, Progress, write_cog
from engine.rasters.disk import output_error
from engine.rasters.pyramid import BLOCK
from engine.rasters.staged_output import StagedOutput, check_overwrite
from engine.rasters.style import category_lines, class_qml
from engine.rasters.tile_store import CLASSES, TileStore
from engine.rasters.virtual_raster import OutputGrid, PlacedFile, write_vrt
from engine.rasters.windows import PixelWindow

_SMALLEST = 64


@dataclass(frozen=True)
class Sheet:
    """One sheet.

    Args:
        name: File name without suffix.
        window: Its pixels in the output grid.
        tiles: The files that hold them, placed in the output grid.
    """

    name: str
    window: PixelWindow
    tiles: tuple[PlacedFile, ...]


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


def plan_sheets(grid: OutputGrid, sheet_size: float, stem: str, tiles: Iterable[PlacedFile]) -> list[Sheet]:
    """Cut a north-up grid at the multiples of the sheet size, moved to whole pixels.

    Every pixel belongs to exactly one sheet. A sheet at the edge of the grid is smaller and still named by the
    upper-left corner of its square: in kilometres, or in the CRS's units where the size is not whole kilometres.

    Args:
        grid: Grid of the classification.
        sheet_size: Side of a sheet in units of the CRS.
        stem: Begin of each sheet's name.
        tiles: Files in the grid; squares that none of them touches have no sheet.
    """
    transform = grid.transform
    columns = _Cuts(transform.c, transform.a, grid.width, sheet_size)
    rows = _Cuts(-transform.f, -transform.e, grid.height, sheet_size)
    touched: dict[tuple[int, int], list[PlacedFile]] = {}
    for tile in tiles:
        for row in rows.between(tile.window.row, tile.window.bottom):
            for column in columns.between(tile.window.column, tile.window.right):
                touched.setdefault((row, column), []).append(tile)
    return [
        Sheet(
            f"{stem}_{_label(columns.corner(column), sheet_size)}_{_label(-rows.corner(row), sheet_size)}",
            PixelWindow(
                rows.edges[row],
                columns.edges[column],
                rows.edges[row + 1] - rows.edges[row],
                columns.edges[column + 1] - columns.edges[column],
            ),
            tuple(touched[row, column]),
        )
        for row, column in sorted(touched)
    ]


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


def write_sheets(
    store: TileStore,
    output: Path,
    nomenclature: Nomenclature,
    sheet_size: float,
    tags: Mapping[str, str],
    *,
    overwrite: bool,
    progress: Progress,
    cancelled: Cancel,
) -> int:
    """Write the stored classes as sheets in `<stem>_sheets/` and `output`, a VRT over them with palette and style.

    Sheets without any classified pixel are left out. Each sheet is a file like that of `write_class_raster`.

    Args:
        store: Finished tiles, with the layer `classes`.
        output: The mosaic to write (.vrt).
        nomenclature: Classes with names and colours.
        sheet_size: Side of a sheet in units of the CRS.
        tags: Metadata to keep in each sheet and in the mosaic.
        overwrite: Whether an existing mosaic and its sheets may be replaced, at the end.
        progress: Called with the share done, 0 to 1.
        cancelled: Asked about ten times a second.

    Returns:
        The number of sheets.

    Raises:
        Cancelled: `cancelled` said so.
        OutputError: See `check_sheets`; or a file could not be written whole.
    """
    check_sheets(output, store.grid, sheet_size, overwrite=overwrite)
    folder = sheets_folder(output).name
    layer, dressing = store.layers[CLASSES], class_dressing(nomenclature, tags)
    sheets = plan_sheets(store.grid, sheet_size, output.stem, store.placed(CLASSES))
    written: list[PlacedFile] = []
    with StagedOutput(output, overwrite=overwrite) as staged:
        try:
            staged.path(folder).mkdir()
            for index, sheet in enumerate(sheets):
                name = f"{folder}/{sheet.name}.tif"
                if write_cog(
                    staged.path(name),
                    output,
                    store.grid.part(sheet.window),
                    layer,
                    [_moved(tile, sheet.window) for tile in sheet.tiles],
                    dressing,
                    "mode",
                    lambda share, done=index: progress((done + share) / len(sheets)),  # type: ignore[misc]
                    cancelled,
                    skip_empty=True,
                ):
                    write_companions(staged, name, nomenclature)
                    written.append(PlacedFile(staged.path(name), sheet.window, (BLOCK, BLOCK)))
            categories = category_lines(nomenclature, indent="    ")
            mosaic = replace(dressing, band_lines=[*dressing.band_lines, *categories])
            write_vrt(staged.path(output.name), store.grid, layer, written, mosaic)
        except OSError as error:
            raise output_error(output.absolute(), error) from error
        style = output.with_suffix(".qml").name
        staged.write_text(style, class_qml(nomenclature))
        stale = [f"{output.name}.aux.xml", *stale_companions(output.name)]
        staged.commit([folder, style, output.name], stale=stale)
    return len(written)


def _moved(tile: PlacedFile, origin: PixelWindow) -> PlacedFile:
    """Return a tile of the output grid as placed in a window of it."""
    window = tile.window
    inside = PixelWindow(window.row - origin.row, window.column - origin.column, window.height, window.width)
    return replace(tile, window=inside)


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

"""GDAL's virtual raster (VRT) over output files that lie side by side."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from affine import Affine

from engine.rasters.style import xml_text
from engine.rasters.windows import PixelWindow

if TYPE_CHECKING:
    from rasterio.crs import CRS

_DATA_TYPES = {"uint8": "Byte", "uint16": "UInt16", "int16": "Int16", "float32": "Float32"}


@dataclass(frozen=True)
class OutputGrid:
    """The pixels of an output raster and where they lie.

    Args:
        width: Columns.
        height: Rows.
        transform: Pixel (column, row) to CRS coordinates; may be rotated.
        crs: None when the image has none.
    """

    width: int
    height: int
    transform: Affine
    crs: CRS | None

    @property
    def window(self) -> PixelWindow:
        """All pixels."""
        return PixelWindow(0, 0, self.height, self.width)

    def part(self, window: PixelWindow) -> OutputGrid:
        """Return the grid of a window of this one."""
        a, b, c, d, e, f = self.transform[:6]
        x, y = c + a * window.column + b * window.row, f + d * window.column + e * window.row
        return OutputGrid(window.width, window.height, Affine(a, b, x, d, e, y), self.crs)


@dataclass(frozen=True)
class Layer:
    """One kind of value that a run writes for each pixel.

    Args:
        name: `classes`, `confidence` or `probabilities`; names its folder in the store.
        count: Bands.
        dtype: numpy's name of the data type.
        nodata: Value of pixels without a result.
    """

    name: str
    count: int
    dtype: str
    nodata: int


@dataclass(frozen=True)
class PlacedFile:
    """A raster file and the pixels that it takes in a larger raster; it may reach beyond that.

    Args:
        path: The file.
        window: Its pixels, all of them, in the larger raster.
        block: Height and width of the blocks inside the file.
    """

    path: Path
    window: PixelWindow
    block: tuple[int, int] = (512, 512)


@dataclass(frozen=True)
class Dressing:
    """What a raster carries besides pixels.

    Args:
        tags: Metadata of the file.
        descriptions: Names of the bands, one each.
        color_interpretation: GDAL's name for the first band's: `Palette` or `Gray`.
        band_lines: More VRT lines of each band, such as a colour table.
        overviews: Files of the smaller versions, largest first.
    """

    tags: Mapping[str, str] = field(default_factory=dict)
    descriptions: Sequence[str] = ()
    color_interpretation: str = "Gray"
    band_lines: Sequence[str] = ()
    overviews: Sequence[Path] = ()


def write_vrt(
    path: Path, grid: OutputGrid, layer: Layer, files: Iterable[PlacedFile], dressing: Dressing | None = None
) -> None:
    """Write a VRT; files below its folder are named relative to it, so that both can be moved.

    Raises:
        OSError: The file could not be written.
    """
    placed = [item for item in files if item.window.intersection(grid.window).pixels]
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(line + "\n" for line in _lines(path.parent, grid, layer, placed, dressing or Dressing()))


def _lines(
    folder: Path, grid: OutputGrid, layer: Layer, placed: Sequence[PlacedFile], dressing: Dressing
) -> Iterator[str]:
    yield f'<VRTDataset rasterXSize="{grid.width}" rasterYSize="{grid.height}">'
    if grid.crs is not None:
        yield f"  <SRS>{xml_text(grid.crs.to_wkt())}</SRS>"
    if not grid.transform.is_identity:
        yield f"  <GeoTransform>{', '.join(repr(float(value)) for value in grid.transform.to_gdal())}</GeoTransform>"
    if dressing.tags:
        yield "  <Metadata>"
        for key, value in dressing.tags.items():
            yield f'    <MDI key="{xml_text(key)}">{xml_text(value)}</MDI>'
        yield "  </Metadata>"
    kind = _DATA_TYPES[layer.dtype]
    for band in range(1, layer.count + 1):
        yield f'  <VRTRasterBand dataType="{kind}" band="{band}">'
        if dressing.descriptions:
            yield f"    <Description>{xml_text(dressing.descriptions[band - 1])}</Description>"
        yield f"    <NoDataValue>{layer.nodata}</NoDataValue>"
        # Without it GDAL takes the bands of a many-band image for red, green, blue and alpha.
        yield f"    <ColorInterp>{dressing.color_interpretation if band == 1 else 'Undefined'}</ColorInterp>"
        yield from dressing.band_lines
        for item in placed:
            yield _source(folder, grid, item, band, kind)
        for overview in dressing.overviews:
            yield f"    <Overview>{_file_name(folder, overview)}<SourceBand>{band}</SourceBand></Overview>"
        yield "  </VRTRasterBand>"
    yield "</VRTDataset>"


def _source(folder: Path, grid: OutputGrid, item: PlacedFile, band: int, kind: str) -> str:
    inside = item.window.intersection(grid.window)
    size = f'xSize="{inside.width}" ySize="{inside.height}"'
    # Size, type and blocks spare GDAL opening every file when it opens the raster.
    return (
        f"    <SimpleSource>{_file_name(folder, item.path)}<SourceBand>{band}</SourceBand>"
        f'<SourceProperties RasterXSize="{item.window.width}" RasterYSize="{item.window.height}" DataType="{kind}"'
        f' BlockXSize="{item.block[1]}" BlockYSize="{item.block[0]}"/>'
        f'<SrcRect xOff="{inside.column - item.window.column}" yOff="{inside.row - item.window.row}" {size}/>'
        f'<DstRect xOff="{inside.column}" yOff="{inside.row}" {size}/></SimpleSource>'
    )


def _file_name(folder: Path, file: Path) -> str:
    relative = file.is_relative_to(folder)
    name = str(file.relative_to(folder) if relative else file).replace(os.sep, "/")
    return f'<SourceFilename relativeToVRT="{int(relative)}">{xml_text(name)}</SourceFilename>'

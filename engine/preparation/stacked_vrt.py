"""GDAL's virtual raster of named bands, each from files of its own, with an optional mask."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.rasters.style import xml_text
from engine.rasters.virtual_raster import OutputGrid
from engine.rasters.windows import PixelWindow

_COLOURS = {"red": "Red", "green": "Green", "blue": "Blue"}


@dataclass(frozen=True)
class BandSource:
    """A file that a band is read from, pixel by pixel.

    Args:
        path: The file.
        band: Number of its band.
        size: Rows and columns of the file.
        window: Its pixels, all of them, in the virtual raster; it may reach beyond that.
    """

    path: str
    band: int
    size: tuple[int, int]
    window: PixelWindow


@dataclass(frozen=True)
class StackedBand:
    """A band of the virtual raster.

    Args:
        name: Its description; `red`, `green` and `blue` are also its colour.
        sources: What it is read from, later ones on top.
        nodata: Value that means no data, or None.
    """

    name: str
    sources: Sequence[BandSource]
    nodata: float | None = None


def write_stacked_vrt(
    path: Path,
    grid: OutputGrid,
    bands: Sequence[StackedBand],
    tags: Mapping[str, str],
    mask: Sequence[BandSource] | None = None,
    beside: Path | None = None,
) -> None:
    """Write a virtual raster of uint8 bands.

    Args:
        path: File to write.
        grid: Its grid.
        bands: Its bands.
        tags: Its metadata.
        mask: Files of 255 for valid and 0 for invalid pixels; None where all are valid.
        beside: Folder in which it will lie: files below that are named relative to it, so that both can be moved. None
            names all by their whole path.

    Raises:
        OSError: The file could not be written.
    """
    folder = beside.absolute() if beside else None
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(line + "\n" for line in _lines(folder, grid, bands, tags, mask))


def _lines(
    folder: Path | None,
    grid: OutputGrid,
    bands: Sequence[StackedBand],
    tags: Mapping[str, str],
    mask: Sequence[BandSource] | None,
) -> Iterator[str]:
    yield f'<VRTDataset rasterXSize="{grid.width}" rasterYSize="{grid.height}">'
    if grid.crs is not None:
        yield f"  <SRS>{xml_text(grid.crs.to_wkt())}</SRS>"
    yield f"  <GeoTransform>{', '.join(repr(float(value)) for value in grid.transform.to_gdal())}</GeoTransform>"
    yield "  <Metadata>"
    for key, value in tags.items():
        yield f'    <MDI key="{xml_text(key)}">{xml_text(value)}</MDI>'
    yield "  </Metadata>"
    for number, band in enumerate(bands, 1):
        yield f'  <VRTRasterBand dataType="Byte" band="{number}">'
        yield f"    <Description>{xml_text(band.name)}</Description>"
        if band.nodata is not None:
            yield f"    <NoDataValue>{band.nodata:g}</NoDataValue>"
        # Undefined, not left out: GDAL would take a fourth band for alpha.
        yield f"    <ColorInterp>{_COLOURS.get(band.name, 'Undefined')}</ColorInterp>"
        yield from _sources(folder, grid, band.sources)
        yield "  </VRTRasterBand>"
    if mask is not None:
        yield '  <MaskBand><VRTRasterBand dataType="Byte">'
        yield from _sources(folder, grid, mask)
        yield "  </VRTRasterBand></MaskBand>"
    yield "</VRTDataset>"


def _sources(folder: Path | None, grid: OutputGrid, sources: Sequence[BandSource]) -> Iterator[str]:
    for item in sources:
        inside = item.window.intersection(grid.window)
        if not inside.pixels:
            continue
        size = f'xSize="{inside.width}" ySize="{inside.height}"'
        # Size and type spare GDAL opening every file when it opens the raster.
        yield (
            f"    <SimpleSource>{_file_name(folder, item.path)}<SourceBand>{item.band}</SourceBand>"
            f'<SourceProperties RasterXSize="{item.size[1]}" RasterYSize="{item.size[0]}" DataType="Byte"/>'
            f'<SrcRect xOff="{inside.column - item.window.column}" yOff="{inside.row - item.window.row}" {size}/>'
            f'<DstRect xOff="{inside.column}" yOff="{inside.row}" {size}/></SimpleSource>'
        )


def _file_name(folder: Path | None, path: str) -> str:
    if path.startswith("/vsi"):
        return f'<SourceFilename relativeToVRT="0">{xml_text(path)}</SourceFilename>'
    file = Path(path).absolute()
    if folder is None or not file.is_relative_to(folder):
        return f'<SourceFilename relativeToVRT="0">{xml_text(str(file).replace(os.sep, "/"))}</SourceFilename>'
    return f'<SourceFilename relativeToVRT="1">{xml_text(file.relative_to(folder).as_posix())}</SourceFilename>'

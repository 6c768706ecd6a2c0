"""The pieces of a copy as one raster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import rasterio

from engine.rasters.style import xml_text
from engine.rasters.virtual_raster import OutputGrid
from engine.rasters.windows import PixelWindow
from engine.text_file import write_whole

_TYPES = {
    "uint8": "Byte", "int8": "Int8", "uint16": "UInt16", "int16": "Int16", "uint32": "UInt32", "int32": "Int32",
    "float32": "Float32", "float64": "Float64",
}  # fmt: skip


def write_virtual(
    path: Path, grid: OutputGrid, pieces: Sequence[tuple[PixelWindow, Path]], colours: bool, about: dict[str, str]
) -> None:
    """Write a virtual raster over pieces; where there is none, nothing is valid.

    The last band of whole numbers is validity; real numbers are NaN where there is nothing.

    Args:
        path: File to write, in the folder of the pieces; one of the same content stays as it is.
        grid: Its pixels.
        pieces: Windows of the grid and their files; at least one.
        colours: Whether its bands are red, green and blue.
        about: Metadata of the raster.

    Raises:
        OSError: It cannot be written.
    """
    with rasterio.open(pieces[0][1]) as first:
        count, dtype = first.count, str(first.dtypes[0])
    text = "\n".join(_lines(grid, pieces, count, dtype, colours, about)) + "\n"
    # Its time tells whether a run that was interrupted may go on.
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_whole(path, text)


def _lines(
    grid: OutputGrid,
    pieces: Sequence[tuple[PixelWindow, Path]],
    count: int,
    dtype: str,
    colours: bool,
    about: dict[str, str],
) -> Iterator[str]:
    yield f'<VRTDataset rasterXSize="{grid.width}" rasterYSize="{grid.height}">'
    if grid.crs is not None:
        yield f"  <SRS>{xml_text(grid.crs.to_wkt())}</SRS>"
    yield f"  <GeoTransform>{', '.join(repr(float(value)) for value in grid.transform.to_gdal())}</GeoTransform>"
    yield "  <Metadata>"
    yield from (f'    <MDI key="{xml_text(key)}">{xml_text(value)}</MDI>' for key, value in about.items())
    yield "  </Metadata>"
    real = dtype.startswith("float")
    for band in range(1, count + 1):
        yield f'  <VRTRasterBand dataType="{_TYPES[dtype]}" band="{band}">'
        if real:
            yield "    <NoDataValue>nan</NoDataValue>"
        alpha = not real and band == count
        name = ("Red", "Green", "Blue")[band - 1] if colours and not alpha else "Undefined"
        yield f"    <ColorInterp>{'Alpha' if alpha else name}</ColorInterp>"
        for window, file in pieces:
            size = f'xSize="{window.width}" ySize="{window.height}"'
            yield (
                f'    <SimpleSource><SourceFilename relativeToVRT="1">{xml_text(file.name)}</SourceFilename>'
                f"<SourceBand>{band}</SourceBand>"
                f'<SourceProperties RasterXSize="{window.width}" RasterYSize="{window.height}" '
                f'DataType="{_TYPES[dtype]}" BlockXSize="256" BlockYSize="256"/>'
                f'<SrcRect xOff="0" yOff="0" {size}/><DstRect xOff="{window.column}" yOff="{window.row}" {size}/>'
                "</SimpleSource>"
            )
        yield "  </VRTRasterBand>"
    yield "</VRTDataset>"

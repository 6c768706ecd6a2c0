"""A mosaic as one Cloud Optimized GeoTIFF, checked after writing."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import rasterio
import rasterio.shutil
from rasterio.errors import NotGeoreferencedWarning

from engine.errors import Cancelled
from engine.rasters.disk import WRITE_ERRORS, output_error
from engine.rasters.pyramid import BLOCK, Pyramid, Reducer, build_pyramid, chunk_window
from engine.rasters.virtual_raster import Dressing, Layer, OutputGrid, PlacedFile, write_vrt

# Overviews have no place of their own, and an image without coordinates makes a map without.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)

Progress = Callable[[float], None]
Cancel = Callable[[], bool]

_GDAL_OPTIONS = {
    # GDAL would list the whole folder for each of thousands of tiles that it opens.
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    # It would leave an .aux.xml of its own making beside the output.
    "GDAL_PAM_ENABLED": "NO",
    # Blocks are read once: its default, 5 % of the memory, would fill with what nobody asks for again.
    "GDAL_CACHEMAX": 64 * 1024 * 1024,
}

# DEFLATE, since not every build of GDAL that QGIS ships with reads Zstandard.
_COG_OPTIONS = {
    "COMPRESS": "DEFLATE",
    "LEVEL": "6",
    "BLOCKSIZE": str(BLOCK),
    "OVERVIEWS": "AUTO",
    "SPARSE_OK": "TRUE",
    "BIGTIFF": "IF_SAFER",
    "NUM_THREADS": "ALL_CPUS",
}

_AFTER_PYRAMID, _AFTER_COPY = 0.35, 0.9


class _NotWholeError(Exception):
    """What was written is not what was to be written."""


def write_cog(
    path: Path,
    output: Path,
    grid: OutputGrid,
    layer: Layer,
    files: Sequence[PlacedFile],
    dressing: Dressing,
    reducer: Reducer,
    progress: Progress,
    cancelled: Cancel,
    *,
    skip_empty: bool = False,
    at_once: bool = False,
) -> bool:
    """Write tiles as one Cloud Optimized GeoTIFF with overviews, and read it back to be sure.

    Args:
        path: File to write; a staged one, since it is incomplete until this returns. Temporary files lie beside it.
        output: What errors call it.
        grid: Grid of the file.
        layer: What the tiles hold.
        files: Tiles; parts outside the grid are left out.
        dressing: Tags, colour table and names; its overviews are replaced.
        reducer: How overviews are made.
        progress: Called with the share done, 0 to 1.
        cancelled: Asked about ten times a second.
        skip_empty: Write nothing when every pixel is nodata.
        at_once: See `copy_as_cog`; for small ones.

    Returns:
        Whether the file was written.

    Raises:
        Cancelled: `cancelled` said so. A copy in the background may go on into files that are deleted already.
        OutputError: The file could not be written whole.
    """
    inside = [item for item in files if item.window.intersection(grid.window).pixels]
    if skip_empty and not inside:
        return False

    def step(share: float) -> None:
        if cancelled():
            raise Cancelled
        progress(_AFTER_PYRAMID * share)

    # A folder of their own, so that no temporary file can have the name of an output.
    work = path.with_name(f"{path.name}.work")
    plain, dressed = work / "plain.vrt", work / "dressed.vrt"
    try:
        work.mkdir()
        with rasterio.Env(**_GDAL_OPTIONS):
            write_vrt(plain, grid, layer, inside)
            windows = [item.window.intersection(grid.window) for item in inside]
            pyramid = build_pyramid(plain, layer, windows, work, reducer, step)
            if skip_empty and not pyramid.filled:
                return False
            write_vrt(dressed, grid, layer, inside, replace(dressing, overviews=pyramid.overviews))
            sources = [*(item.path for item in inside), *pyramid.overviews]
            expected = sum(source.stat().st_size for source in sources)
            copy_as_cog(dressed, path, expected, progress=_between(progress), cancelled=cancelled, at_once=at_once)
            _check(path, pyramid, progress, cancelled)
    except (*WRITE_ERRORS, _NotWholeError) as error:
        raise output_error(output.absolute(), error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    progress(1.0)
    return True


def copy_as_cog(
    source: Path,
    path: Path,
    expected: int,
    *,
    progress: Progress,
    cancelled: Cancel,
    options: Mapping[str, str] | None = None,
    at_once: bool = False,
) -> None:
    """Let GDAL write a raster as Cloud Optimized GeoTIFF, in a thread of its own.

    Args:
        source: Raster to copy, with or without overviews.
        path: File to write; incomplete until this returns, and to be read back then, since GDAL reports nothing when
            the disk fills up during its last writes.
        expected: About how many bytes it will have. rasterio passes no callback on, so that progress is its size.
        progress: Called with the share done, 0 to 1.
        cancelled: Asked about twenty times a second.
        options: Creation options beside the usual ones, or in their place.
        at_once: Write it in this thread, without asking `cancelled`: of thousands of files that take but a moment,
            starting threads would be most of the work.

    Raises:
        Cancelled: `cancelled` said so. The copy may go on into files that are deleted already.
        OSError: Or an error of rasterio's: the file could not be written.
    """
    failures: list[Exception] = []
    chosen = {**_COG_OPTIONS, **(options or {})}
    if at_once:
        with rasterio.Env(**_GDAL_OPTIONS):
            rasterio.shutil.copy(source, path, driver="COG", **{**chosen, "NUM_THREADS": "1"})
        return

    def work() -> None:
        try:
            with rasterio.Env(**_GDAL_OPTIONS):
                rasterio.shutil.copy(source, path, driver="COG", **chosen)
        except Exception as error:  # handed over to the thread that waits
            failures.append(error)

    # A daemon, so that a process that was cancelled can end without waiting for it.
    thread = threading.Thread(target=work, name="cog", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.05)
        if cancelled():
            raise Cancelled
        # GDAL makes missing overviews first, in files of that name with another ending.
        written = sum(size for name, size in _sizes(path.parent) if name.startswith(path.name))
        progress(min(1.0, written / max(expected, 1)))
    if failures:
        raise failures[0]


def _sizes(folder: Path) -> list[tuple[str, int]]:
    """Return names and sizes of a folder's files; one that vanishes meanwhile has none."""
    sizes = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.is_file():
                    sizes.append((entry.name, entry.stat().st_size))
    return sizes


def _between(progress: Progress) -> Progress:
    return lambda share: progress(_AFTER_PYRAMID + (_AFTER_COPY - _AFTER_PYRAMID) * share)


def _check(path: Path, pyramid: Pyramid, progress: Progress, cancelled: Cancel) -> None:
    """Read the pixels back: GDAL reports nothing when the disk fills up during its last writes.

    Raises:
        _NotWholeError: Pixels differ from the tiles'.
        RasterioError: They cannot be read.
    """
    with rasterio.open(path) as file:
        for index, (chunk, checksum) in enumerate(pyramid.checksums.items()):
            if cancelled():
                raise Cancelled
            progress(_AFTER_COPY + (1 - _AFTER_COPY) * index / len(pyramid.checksums))
            data = file.read(window=chunk_window(chunk, pyramid.side, file.height, file.width))
            if zlib.crc32(data) != checksum:
                raise _NotWholeError

"""Reading pixels: one reader per thread, each with its own open files."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from engine.errors import InputError
from engine.rasters.coverage import Coverage
from engine.rasters.model_grid import ModelGrid
from engine.rasters.raster_file import GDAL_ERRORS, RasterFile, open_dataset
from engine.rasters.resampling import apply_taps, make_taps, reflect
from engine.rasters.validity import ValidityRule
from engine.rasters.windows import PixelWindow
from engine.remote_path import is_remote

if TYPE_CHECKING:
    from engine.rasters.source import RasterSource

Pixels = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

_OPEN_FILES = 48
# As many bands all at 0 are black; fewer, such as an elevation alone, are an ordinary measurement.
_COLOURS = 3
# Samples held at once while validity is read.
_STRIP_SAMPLES = 16_000_000


class FileReader:
    """One open file.

    Args:
        file: The raster.
        bands: Numbers of the bands to read.
        dtype: Type to return.
        rule: Which pixels are valid.
        coverage: Where it can hold data; None for anywhere.
    """

    def __init__(
        self, file: RasterFile, bands: tuple[int, ...], dtype: str, rule: ValidityRule, coverage: Coverage | None
    ) -> None:
        self._file = file
        self._bands = bands
        self._dtype = np.dtype(dtype)
        self._rule = rule
        self._coverage = coverage
        self._dataset = open_dataset(file.path)
        self._one_type = len({file.dtypes[number - 1] for number in bands}) == 1

    def close(self) -> None:
        """Close the file."""
        self._dataset.close()

    def read(self, window: PixelWindow) -> tuple[Pixels, Mask]:
        """Return pixels (bands, height, width), 0 where invalid, and validity; the window lies inside the file."""
        values = self._values(window)
        valid = self._valid(window, values)
        if not valid.all():
            values[:, ~valid] = 0
        return values, valid

    def valid(self, window: PixelWindow) -> Mask:
        """Return validity alone; the window lies inside the file."""
        return self._valid(window, self._values(window) if self._rule.needs_values else None)

    def _values(self, window: PixelWindow) -> Pixels:
        area = _rasterio_window(window)
        if self._one_type:
            values = self._guard(window, lambda: self._dataset.read(list(self._bands), window=area))
        else:
            # rasterio refuses to read bands of different types in one call.
            values = self._guard(window, lambda: np.stack([self._dataset.read(n, window=area) for n in self._bands]))
        return values.astype(self._dtype, copy=False)

    def _valid(self, window: PixelWindow, values: Pixels | None) -> Mask:
        valid = np.ones((window.height, window.width), dtype=np.bool_)
        if values is not None and self._rule.needs_values:
            valid &= self._rule.of_values(values)
        area = _rasterio_window(window)
        if self._rule.mask_band:
            valid &= self._guard(window, lambda: self._dataset.read_masks(self._bands[0], window=area)) > 0
        if self._rule.alpha is not None:
            valid &= self._guard(window, lambda: self._dataset.read(self._rule.alpha, window=area)) > 0
        if self._coverage is not None:
            valid &= self._coverage.mask(window)
        return valid

    def _guard(self, window: PixelWindow, read: Callable[[], Any]) -> Pixels:
        try:
            values: Pixels = read()
        except (*GDAL_ERRORS, OSError, ValueError) as error:
            reason = str(error.__cause__ or error).strip().splitlines()
            raise InputError(
                f"'{self._file.path}' cannot be read in rows {window.row} to {window.bottom - 1}, columns "
                f"{window.column} to {window.right - 1}" + (f": {reason[0].rstrip('.')}." if reason else "."),
                "The connection or the storage failed: run the same command again, it goes on where it can."
                if is_remote(self._file.path)
                else "The file is damaged or incomplete: copy or download it again.",
            ) from error
        return values


class RasterReader:
    """Reads a source; use it in one thread, as a context manager.

    Args:
        source: What to read.
    """

    def __init__(self, source: RasterSource) -> None:
        self._source = source
        self._files: OrderedDict[int, FileReader] = OrderedDict()

    def __enter__(self) -> RasterReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all files."""
        while self._files:
            self._files.popitem()[1].close()

    def valid(self, window: PixelWindow) -> Mask:
        """Return which pixels of a window inside the raster hold data, shape (height, width).

        Raises:
            InputError: A file cannot be read there.
        """
        valid = np.zeros((window.height, window.width), dtype=np.bool_)
        if not self._source.covers(window):
            return valid
        if self._source.all_valid:
            valid[:] = True
            return valid
        for part in self._parts(window):
            valid[part.slices_in(window)] = self._inside(part, with_values=False)[1]
        return valid

    def read(self, window: PixelWindow) -> tuple[Pixels, Mask]:
        """Return the pixels and validity of a window.

        Beyond the raster's edge pixels are mirrored (repeated where the raster is 1 pixel wide or high) and invalid.
        Invalid pixels inside the raster hold 0.

        Returns:
            Pixels of the source's type, shape (bands, height, width), and validity, shape (height, width).

        Raises:
            InputError: A file cannot be read there.
        """
        values, valid = self._mirrored(window)
        rows, columns = self._inside_axes(window)
        if not (rows.all() and columns.all()):
            valid &= rows[:, None] & columns
        return values, valid

    def read_scaled(self, window: PixelWindow, grid: ModelGrid) -> tuple[Pixels, Mask]:
        """Return the pixels and validity of a window of the model's grid.

        Interpolated linearly where the model's grid is finer, averaged where it is coarser, over valid pixels only.
        A pixel is the same whichever window it is read in. It is valid where at least half of what it is made of is,
        and holds 0 where nothing of it is.

        Args:
            window: Window in pixels of the model's grid; beyond it pixels are mirrored and invalid.
            grid: The model's grid over this source.

        Returns:
            Pixels of the source's type, shape (bands, height, width), and validity, shape (height, width).

        Raises:
            InputError: A file cannot be read there.
        """
        if grid.identity:
            return self.read(window)
        rows = make_taps(window.row, window.height, grid.scale_y)
        columns = make_taps(window.column, window.width, grid.scale_x)
        first_row, first_column = int(rows.indices.min()), int(columns.indices.min())
        image = PixelWindow(
            first_row,
            first_column,
            int(rows.indices.max()) - first_row + 1,
            int(columns.indices.max()) - first_column + 1,
        )
        values, valid = self._mirrored(image)

        def resample(array: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
            return apply_taps(apply_taps(array, rows, first_row, axis=-2), columns, first_column, axis=-1)

        # Band by band: whole windows of float32 would be the largest arrays of all.
        result = np.stack([resample(band.astype(np.float32)) for band in values])
        inside_row = (np.arange(window.row, window.bottom) >= 0) & (np.arange(window.row, window.bottom) < grid.height)
        steps = np.arange(window.column, window.right)
        inside = inside_row[:, None] & ((steps >= 0) & (steps < grid.width))
        if not valid.all():
            share = resample(valid.astype(np.float32))
            result /= np.maximum(share, 1e-6)
            image_rows, image_columns = self._inside_axes(image)
            within = resample((image_rows[:, None] & image_columns).astype(np.float32))
            data = resample((valid & image_rows[:, None] & image_columns).astype(np.float32))
            inside &= data >= 0.5 * within - 1e-4
            inside &= data > 0
        return _to_type(result, self._source.dtype), inside

    def _inside_axes(self, window: PixelWindow) -> tuple[Mask, Mask]:
        rows = np.arange(window.row, window.bottom)
        columns = np.arange(window.column, window.right)
        return (rows >= 0) & (rows < self._source.height), (columns >= 0) & (columns < self._source.width)

    def _mirrored(self, window: PixelWindow) -> tuple[Pixels, Mask]:
        """Return pixels and validity, both mirrored beyond the edges."""
        full = PixelWindow(0, 0, self._source.height, self._source.width)
        if window.intersection(full) == window:
            return self._inside(window)
        rows = reflect(np.arange(window.row, window.bottom), full.height)
        columns = reflect(np.arange(window.column, window.right), full.width)
        row, column = int(rows.min()), int(columns.min())
        part = PixelWindow(row, column, int(rows.max()) - row + 1, int(columns.max()) - column + 1)
        values, valid = self._inside(part)
        where = np.ix_(rows - row, columns - column)
        return values[:, where[0], where[1]], valid[where]

    def _inside(self, window: PixelWindow, with_values: bool = True) -> tuple[Pixels, Mask]:
        """Return pixels (none unless `with_values`) and validity of a window inside the raster."""
        source = self._source
        count = len(source.band_numbers) if with_values else 0
        if source.mosaic is None:
            file = self._file(0)
            return file.read(window) if with_values else (np.empty((0, 0, 0), source.dtype), file.valid(window))
        values = np.zeros((count, window.height, window.width), dtype=source.dtype)
        valid = np.zeros((window.height, window.width), dtype=np.bool_)
        settled = np.zeros_like(valid) if with_values else valid
        for index in reversed(source.files_in(window)):
            placement = source.mosaic.placements[index]
            part = placement.window.intersection(window)
            target = part.slices_in(window)
            missing = ~settled[target]
            if not missing.any():
                continue
            rows = placement.file_rows(part.row, part.height)
            columns = placement.file_columns(part.column, part.width)
            row, column = int(rows[0]), int(columns[0])
            area = PixelWindow(row, column, int(rows[-1]) - row + 1, int(columns[-1]) - column + 1)
            where = np.ix_(rows - row, columns - column)
            if with_values:
                pixels, fresh = self._file(index).read(area)
                fill = fresh[where] & missing
                if count >= _COLOURS:
                    # Slivers at the edges of tiles are often black without being declared as no data: they give way
                    # to any other file. Where there is none they stand as they are, since the values begin as 0.
                    valid[target] |= fill
                    fill &= pixels[:, where[0], where[1]].any(axis=0)
                np.copyto(values[:, target[0], target[1]], pixels[:, where[0], where[1]], where=fill)
            else:
                fill = self._file(index).valid(area)[where] & missing
            valid[target] |= fill
            settled[target] |= fill
        return values, valid

    def _file(self, index: int) -> FileReader:
        if index in self._files:
            self._files.move_to_end(index)
            return self._files[index]
        while len(self._files) >= _OPEN_FILES:
            self._files.popitem(last=False)[1].close()
        reader = self._source.file_reader(index)
        self._files[index] = reader
        return reader

    def _parts(self, window: PixelWindow) -> Iterator[PixelWindow]:
        """Yield pieces of bounded size that cover a window, along the file's blocks."""
        block_height, block_width = self._source.block_shape
        bands = max(1, len(self._source.band_numbers))
        width = (
            window.width if block_width >= self._source.width else max(block_width, 2048 // block_width * block_width)
        )
        height = max(1, _STRIP_SAMPLES // (bands * max(1, min(width, window.width))))
        height = max(block_height, height // block_height * block_height)
        for row in _steps(window.row, window.bottom, height):
            for column in _steps(window.column, window.right, width):
                yield PixelWindow(row, column, height, width).intersection(window)


def _steps(start: int, stop: int, step: int) -> range:
    return range(start - start % step, stop, step)


def _rasterio_window(window: PixelWindow) -> Window:
    return Window(window.column, window.row, window.width, window.height)


def _to_type(values: npt.NDArray[np.float32], dtype: str) -> Pixels:
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return values.astype(kind, copy=False)
    limits = np.iinfo(kind)
    return np.clip(np.rint(values), limits.min, limits.max).astype(kind)

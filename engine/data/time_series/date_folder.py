"""A folder of satellite images, one file a date, cut to the ground of a patch."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.warp import transform
from rasterio.windows import Window

from engine.data.patch_file import READ_ERRORS, missing_pixels
from engine.data.time_series.days import days_to_mid_may
from engine.data.time_series.series import TimeSeries
from engine.errors import InputError

SUFFIXES = (".tif", ".tiff", ".jp2", ".vrt")
# The first date of a name is that of the image, a later one that of its making.
_DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?!\d)")
# Sentinel-2's own value for no data, where a file names none.
_NODATA = 0.0
# Of a pixel: less is rounding of coordinates.
_NOISE = 1e-4
_Pixels = npt.NDArray[Any]


@dataclass(frozen=True)
class Ground:
    """A square grid of points, centred on an aerial patch and parallel to it.

    Args:
        crs: CRS of the patch.
        transform: The patch's pixels to CRS coordinates.
        height: Rows of the patch.
        width: Columns of the patch.
        ratio: Side of a satellite pixel in pixels of the patch.
        side: Rows and columns of the grid.
    """

    crs: CRS
    transform: Affine
    height: int
    width: int
    ratio: float
    side: int

    def points(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return CRS coordinates x and y of the grid's points, each of shape (side, side)."""
        steps = (np.arange(self.side) - (self.side - 1) / 2) * self.ratio
        columns, rows = np.meshgrid(steps + self.width / 2, steps + self.height / 2)
        x, y = self.transform * (columns, rows)
        return np.asarray(x), np.asarray(y)


@dataclass(frozen=True)
class Cut:
    """What a folder shows of a ground.

    Args:
        series: Dates that show all of it.
        offsets: How far a point in the middle of the grid lies from the centre of the image's nearest pixel, in rows
            and columns of a pixel from -0.5 to 0.5, shape (T, 2); values between pixels are bilinear.
        dropped: Files that do not show all of it, by name.
    """

    series: TimeSeries
    offsets: npt.NDArray[np.float64]
    dropped: tuple[str, ...]


@dataclass(frozen=True)
class DateFolder:
    """Images by date.

    Args:
        folder: The folder.
        files: Files in order of their dates, with month and day.
        bands: Bands of each file.
    """

    folder: Path
    files: tuple[tuple[Path, int, int], ...]
    bands: int

    @staticmethod
    def open(folder: Path) -> DateFolder:
        """Look through a folder.

        Raises:
            InputError: There are no images, or one has no date in its name, no CRS, or other bands than the first.
        """
        dated = []
        try:
            files = sorted(item for item in folder.iterdir() if item.suffix.lower() in SUFFIXES)
        except OSError as error:
            raise InputError(f"'{folder}' cannot be read: {error.strerror}.", "Name a folder of images.") from error
        for file in files:
            match = _DATE.search(file.stem)
            if match is None:
                raise InputError(
                    f"The name '{file.name}' carries no date.", "Each image's name needs its date as YYYYMMDD."
                )
            days_to_mid_may(int(match[2]), int(match[3]))
            dated.append((match[0], file, int(match[2]), int(match[3])))
        if not dated:
            raise InputError(f"'{folder}' holds no satellite images.", f"Images end in {', '.join(SUFFIXES)}.")
        counts = {}
        for _, file, _, _ in dated:
            with _opened(file) as dataset:
                counts[file] = dataset.count
                if not dataset.crs:
                    raise InputError(f"'{file}' has no CRS.", "Give it one: nothing else says where it lies.")
        first = dated[0][1]
        for file, count in counts.items():
            if count != counts[first]:
                raise InputError(
                    f"'{file.name}' has {count} bands and '{first.name}' {counts[first]}.",
                    "All dates need the same bands in the same order.",
                )
        return DateFolder(folder, tuple(item[1:] for item in sorted(dated)), counts[first])

    def descriptions(self) -> tuple[str, ...]:
        """Return what the first image calls its bands; empty texts where it does not say.

        Raises:
            InputError: It cannot be read.
        """
        with _opened(self.files[0][0]) as dataset:
            return tuple(text or "" for text in dataset.descriptions)

    def cut(self, ground: Ground) -> Cut:
        """Return the dates that show all of a ground, real pixels alone.

        A date is dropped when a point of the grid would need a pixel beyond the image or without data (in all bands
        the file's nodata value, 0 where it names none).

        Raises:
            InputError: A file cannot be read.
        """
        pixels, offsets, places, dropped = [], [], [], []
        for file, month, day in self.files:
            found = _sample(file, ground)
            if found is None:
                dropped.append(file.name)
                continue
            pixels.append(found[0])
            offsets.append(found[1])
            places.append((month, day))
        shape = (0, self.bands, ground.side, ground.side)
        series = TimeSeries(
            np.stack(pixels) if pixels else np.zeros(shape, dtype=np.float32),
            np.array([days_to_mid_may(*place) for place in places], dtype=np.int64),
            np.array([month for month, _ in places], dtype=np.int64),
        )
        return Cut(series, np.array(offsets, dtype=np.float64).reshape(-1, 2), tuple(dropped))


def _opened(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            return rasterio.open(path)
    except READ_ERRORS as error:
        raise InputError(f"'{path}' cannot be read: {error}.", "Copy or download it again.") from error


def _sample(path: Path, ground: Ground) -> tuple[_Pixels, tuple[float, float]] | None:
    """Return pixels (bands, side, side) and the offset of the grid's centre, None where not all of it is shown."""
    with _opened(path) as dataset:
        x, y = ground.points()
        try:
            moved = transform(ground.crs, dataset.crs, x.ravel(), y.ravel()) if ground.crs != dataset.crs else (x, y)
        except READ_ERRORS as error:
            raise InputError(f"The patch cannot be brought to the CRS of '{path.name}': {error}.") from error
        columns, rows = ~dataset.transform * tuple(np.reshape(part, x.shape) for part in moved)
        # Counted from the centre of the first pixel.
        rows, columns = _snapped(rows - 0.5), _snapped(columns - 0.5)
        if not (np.isfinite(rows).all() and np.isfinite(columns).all()):
            return None
        top, left = int(np.floor(rows.min())), int(np.floor(columns.min()))
        bottom, right = int(np.ceil(rows.max())), int(np.ceil(columns.max()))
        if top < 0 or left < 0 or bottom >= dataset.height or right >= dataset.width:
            return None
        try:
            read = dataset.read(window=Window(left, top, right - left + 1, bottom - top + 1))
        except READ_ERRORS as error:
            raise InputError(f"'{path}' cannot be read: {error}.", "Copy or download it again.") from error
        nodata = _NODATA if dataset.nodata is None else float(dataset.nodata)
    missing = missing_pixels(read, nodata)
    if missing.any() and _bilinear(missing[None].astype(np.float32), rows - top, columns - left).any():
        return None
    read = read.astype(np.float32)
    # Beside the grid, and of no weight in it; what is not finite would weigh all the same.
    read[:, missing] = 0
    values = _bilinear(read, rows - top, columns - left)
    middle = (ground.side - 1) // 2
    offset = tuple(float(part[middle, middle] - np.rint(part[middle, middle])) for part in (rows, columns))
    return values, (offset[0], offset[1])


def _snapped(places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    near = np.rint(places)
    return np.where(np.abs(places - near) < _NOISE, near, places)


def _bilinear(values: _Pixels, rows: npt.NDArray[np.float64], columns: npt.NDArray[np.float64]) -> _Pixels:
    """Return values (bands, H, W) at places between pixel centres, shape (bands, *places)."""
    top = np.minimum(rows.astype(np.int64), values.shape[1] - 1)
    left = np.minimum(columns.astype(np.int64), values.shape[2] - 1)
    bottom, right = np.minimum(top + 1, values.shape[1] - 1), np.minimum(left + 1, values.shape[2] - 1)
    down, across = (rows - top).astype(np.float32), (columns - left).astype(np.float32)
    above = values[:, top, left] * (1 - across) + values[:, top, right] * across
    below = values[:, bottom, left] * (1 - across) + values[:, bottom, right] * across
    return np.asarray(above * (1 - down) + below * down, dtype=np.float32)

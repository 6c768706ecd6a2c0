"""A folder of satellite images, one file a date, cut to the ground of a patch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from affine import Affine
from rasterio.crs import CRS

from engine.data.time_series.days import days_to_mid_may
from engine.data.time_series.season_sampling import Points, Sampled, opened, sample, sample_nearest
from engine.data.time_series.series import TimeSeries, clear_dates
from engine.errors import InputError

SUFFIXES = (".tif", ".tiff", ".jp2", ".vrt")
MASKS = "masks"
"""Folder beside the images with the per cent of snow and of cloud of each, under the image's name."""
# The first date of a name is that of the image, a later one that of its making.
_DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)([-_]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?!\d)")
_Pixels = npt.NDArray[Any]


def date_of(name: str) -> tuple[int, int, int] | None:
    """Return year, month and day that a file's name carries, as YYYYMMDD, YYYY-MM-DD or YYYY_MM_DD; None without.

    Raises:
        InputError: There is no such day.
    """
    match = _DATE.search(name)
    if match is None:
        return None
    year, month, day = int(match[1]), int(match[3]), int(match[4])
    days_to_mid_may(month, day)
    return year, month, day


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
        dropped: Files that do not show all of it, or too much snow and cloud, by name.
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
            date = date_of(file.stem)
            if date is None:
                raise InputError(
                    f"The name '{file.name}' carries no date.",
                    "Each image's name needs its date as YYYYMMDD or YYYY-MM-DD; see prepare-time-series.",
                )
            dated.append((date, file))
        if not dated:
            raise InputError(f"'{folder}' holds no satellite images.", f"Images end in {', '.join(SUFFIXES)}.")
        counts = {}
        for _, file in dated:
            with opened(file) as dataset:
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
        return DateFolder(folder, tuple((file, date[1], date[2]) for date, file in sorted(dated)), counts[first])

    def descriptions(self) -> tuple[str, ...]:
        """Return what the first image calls its bands; empty texts where it does not say.

        Raises:
            InputError: It cannot be read.
        """
        with opened(self.files[0][0]) as dataset:
            return tuple(text or "" for text in dataset.descriptions)

    def look(self, points: Points) -> Iterator[tuple[tuple[Path, int, int], Sampled | None]]:
        """Yield each file, with month and day, and what it shows at points; None where it shows nothing of them.

        Raises:
            InputError: A file cannot be read.
        """
        for file in self.files:
            yield file, sample(file[0], points)

    def masks(self, file: Path, points: Points) -> _Pixels | None:
        """Return per cent of snow and of cloud at points, shape (2, H, W); None for an image without masks.

        Raises:
            InputError: The masks cannot be read, or are none.
        """
        path = self.folder / MASKS / file.name
        if not path.is_file():
            return None
        found = sample_nearest(path, points)
        if len(found) != 2:
            raise InputError(
                f"'{MASKS}/{file.name}' has {len(found)} bands instead of snow and cloud.",
                "Prepare the series again (prepare-time-series), or leave the masks out.",
            )
        return found

    def cut(self, ground: Ground, *, clear_only: bool = True) -> Cut:
        """Return the dates that show all of a ground, real pixels alone.

        A date is dropped when a point of the grid would need a pixel beyond the image or without data (in all bands
        the file's nodata value, 0 where it names none).

        Args:
            ground: The ground.
            clear_only: Also drop dates whose masks tell of too much snow and cloud.

        Raises:
            InputError: A file cannot be read.
        """
        pixels, offsets, places, dropped = [], [], [], []
        points = Points(ground.crs, *ground.points())
        middle = (ground.side - 1) // 2
        for (file, month, day), found in self.look(points):
            if found is None or found.missing.any() or (clear_only and not self._clear(file, points)):
                dropped.append(file.name)
                continue
            pixels.append(found.values)
            offsets.append(
                [float(at[middle, middle] - np.rint(at[middle, middle])) for at in (found.rows, found.columns)]
            )
            places.append((month, day))
        shape = (0, self.bands, ground.side, ground.side)
        series = TimeSeries(
            np.stack(pixels) if pixels else np.zeros(shape, dtype=np.float32),
            np.array([days_to_mid_may(*place) for place in places], dtype=np.int64),
            np.array([month for month, _ in places], dtype=np.int64),
        )
        return Cut(series, np.array(offsets, dtype=np.float64).reshape(-1, 2), tuple(dropped))

    def _clear(self, file: Path, points: Points) -> bool:
        masks = self.masks(file, points)
        return masks is None or bool(clear_dates(masks[None])[0])

"""A season as a person names it: a folder of dated images, or FLAIR #2's files with the centres of patches."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.data.time_series.date_folder import MASKS, SUFFIXES, DateFolder
from engine.data.time_series.series import SeasonSource, TimeSeries
from engine.data.time_series.sources import AreaSeasons, FolderSeasons
from engine.data.time_series.super_patch import DATA, open_array, read_centroids
from engine.errors import InputError

# The order of FLAIR #2's satellite files.
SENTINEL_2 = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
# Metres of a pixel of FLAIR #2's satellite files, which carry no place.
AREA_PIXEL = 10.24
_BOTH = (
    "Name a folder with one GeoTIFF a date and YYYYMMDD in its name, or FLAIR #2's satellite folder with DOMAIN/AREA "
    "below it."
)


@dataclass(frozen=True)
class SeasonFolder:
    """Satellite images of many dates.

    Args:
        root: The folder.
        bands: Names of the files' bands, in their order.
        dates: Dated images; None for FLAIR #2's files.
        centroids: Row and column of each patch's centre in its area, by file name; for FLAIR #2's files.
    """

    root: Path
    bands: tuple[str, ...]
    dates: DateFolder | None
    centroids: Mapping[str, tuple[int, int]]

    @staticmethod
    def open(folder: str, centroids: str | None = None) -> SeasonFolder:
        """Find out what a folder holds.

        Args:
            folder: The folder.
            centroids: JSON file of the patches' centres; default: the one in the folder or beside it.

        Raises:
            InputError: It holds no satellite images, they cannot be used, or there are no centres for them.
        """
        root = Path(folder).expanduser().absolute()
        if not root.is_dir():
            raise InputError(f"There is no folder '{folder}' of satellite images.", _BOTH)
        if any(item.suffix.lower() in SUFFIXES for item in root.iterdir()):
            if centroids is not None:
                raise InputError(
                    f"'{root.name}' holds images that say where they lie, so that centres of patches have no effect.",
                    "Leave --centroids out.",
                )
            dates = DateFolder.open(root)
            return SeasonFolder(root, _names_of(dates), dates, {})
        data = next(_area_files(root), None)
        if data is None:
            raise InputError(f"'{folder}' holds no satellite images.", _BOTH)
        path = Path(centroids).expanduser() if centroids else _found_centroids(root)
        return SeasonFolder(root, _default_names(open_array(data).shape[1]), None, read_centroids(path))

    @property
    def fingerprint(self) -> str:
        """SHA-256 over names and sizes of all files; the folder may be moved."""
        if self.dates is not None:
            files: list[Path] = [file for file, _, _ in self.dates.files]
            files += [mask for mask in (self.root / MASKS / file.name for file in files) if mask.is_file()]
        else:
            files = sorted(_area_files(self.root))
        digest = hashlib.sha256(repr(sorted(self.centroids.items())).encode())
        for file in files:
            digest.update(repr((file.relative_to(self.root).as_posix(), file.stat().st_size)).encode())
        return digest.hexdigest()

    def channels(self, wanted: Sequence[str]) -> tuple[int, ...]:
        """Return the places of bands in the files, from 0.

        Raises:
            InputError: The files do not hold all of them, or one is named twice.
        """
        names = [band_name(name) for name in wanted]
        missing = [name for name in names if name not in self.bands]
        if missing or len(set(names)) != len(names):
            raise InputError(
                f"The satellite images hold the bands {', '.join(self.bands)}, not {', '.join(missing or names)}.",
                "Name a folder that holds them; a training chooses among those that there are with --season-bands.",
            )
        return tuple(self.bands.index(name) for name in names)

    def of(
        self,
        images: Sequence[Path],
        *,
        bands: Sequence[str],
        ratio: float,
        side: int,
        clear_only: bool = True,
        monthly: bool = True,
    ) -> SeasonSource:
        """Return the seasons of aerial patches.

        Args:
            images: The patches' files.
            bands: Satellite bands to return, in this order.
            ratio: Side of a satellite pixel in aerial pixels; of no effect on FLAIR #2's files, whose pixels stay.
            side: Rows and columns around a patch's centre.
            clear_only: Drop dates under snow and clouds, where the files tell of them.
            monthly: Average by month.

        Raises:
            InputError: The files do not hold the bands.
        """
        source: SeasonSource
        if self.dates is not None:
            source = FolderSeasons(tuple(images), self.dates, ratio, side, monthly, clear_only)
        else:
            source = AreaSeasons(tuple(images), self.root, self.centroids, side, clear_only, monthly)
        channels = self.channels(bands)
        return source if channels == tuple(range(len(self.bands))) else ChosenBands(source, channels)


@dataclass(frozen=True)
class ChosenBands:
    """Seasons with some of their bands.

    Args:
        source: Seasons with all bands.
        channels: Places of those to keep, in order.
    """

    source: SeasonSource
    channels: tuple[int, ...]

    def read(self, index: int) -> TimeSeries:
        """Return the season of a patch."""
        series = self.source.read(index)
        return TimeSeries(series.pixels[:, list(self.channels)], series.days, series.months)


def band_name(text: str) -> str:
    """Return the name of a satellite band as it is written here: `B2` and `b02` are `B02`; others stay as they are."""
    short = text.strip().upper()
    if short[:1] == "B" and short[1:].isdecimal():
        return f"B{int(short[1:]):02d}"
    return short if short in SENTINEL_2 else text.strip()


def _names_of(dates: DateFolder) -> tuple[str, ...]:
    names = tuple(band_name(text) for text in dates.descriptions())
    return names if all(names) and len(set(names)) == len(names) else _default_names(dates.bands)


def _default_names(count: int) -> tuple[str, ...]:
    return SENTINEL_2 if count == len(SENTINEL_2) else tuple(f"band {number}" for number in range(1, count + 1))


def _area_files(root: Path) -> Iterator[Path]:
    return root.rglob(f"*{DATA}")


def _found_centroids(root: Path) -> Path:
    for folder in (root, root.parent):
        found = sorted(folder.glob("*centroids*.json"))
        if len(found) == 1:
            return found[0]
        if found:
            raise InputError(
                f"'{folder}' holds {len(found)} lists of centres: {', '.join(item.name for item in found)}.",
                "Name the right one with --centroids.",
            )
    raise InputError(
        f"Nothing says where the patches lie in the satellite files of '{root}'.",
        "Name FLAIR #2's JSON file with --centroids, such as flair-2_centroids_sp_to_patch.json.",
    )

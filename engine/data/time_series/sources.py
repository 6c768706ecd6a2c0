"""Where the seasons of a data set's patches come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.data.patch_file import read_header
from engine.data.time_series.date_folder import DateFolder, Ground
from engine.data.time_series.series import TimeSeries
from engine.data.time_series.super_patch import SIDE, SuperPatch
from engine.errors import InputError


@dataclass(frozen=True)
class AreaSeasons:
    """Seasons of FLAIR #2's patches, out of its super-patches.

    Args:
        images: Aerial patches, `DOMAIN/AREA/img/IMG_000826.tif` below some folder.
        root: Folder of the satellite files, `DOMAIN/AREA` below it.
        centroids: Row and column of each patch's centre in its area, by file name.
        side: Rows and columns around it.
        clear_only: Drop dates under snow and clouds.
        monthly: Average by month.
    """

    images: tuple[Path, ...]
    root: Path
    centroids: Mapping[str, tuple[int, int]]
    side: int = SIDE
    clear_only: bool = True
    monthly: bool = True

    def read(self, index: int) -> TimeSeries:
        """Return the season of a patch.

        Raises:
            InputError: Its area or its centre is not known, or its files cannot be used.
        """
        image = self.images[index]
        folder = self._folder(image)
        row, column = self.centroids[image.name]
        files = SuperPatch.find(folder)
        return files.cut(row, column, self.side, clear_only=self.clear_only, monthly=self.monthly)

    def check(self) -> None:
        """Look for the centre and the folder of every patch; no file is opened.

        Raises:
            InputError: A patch has none.
        """
        for image in self.images:
            self._folder(image)

    def _folder(self, image: Path) -> Path:
        if image.name not in self.centroids:
            raise InputError(
                f"The list of centres does not name '{image.name}'.", "Take the list that came with the patches."
            )
        domain, area = image.parts[-4:-2] if len(image.parts) >= 4 else ("", "")
        folder = self.root / domain / area
        if not domain or not folder.is_dir():
            raise InputError(
                f"There are no satellite files '{folder}' for '{image}'.",
                "Patches lie in DOMAIN/AREA/img, satellite files in DOMAIN/AREA of their own folder.",
            )
        return folder


@dataclass(frozen=True)
class FolderSeasons:
    """Seasons of patches with a CRS, out of a folder of dated images.

    A date is used for the patches that it shows whole. Clouds are known where masks lie beside the images
    (prepare-time-series); otherwise leave cloudy images out of the folder, or make their pixels nodata.

    Args:
        images: Aerial patches.
        folder: The satellite images.
        ratio: Side of a satellite pixel in aerial pixels.
        side: Rows and columns around a patch's centre.
        monthly: Average by month.
        clear_only: Drop dates whose masks tell of too much snow and cloud.
    """

    images: tuple[Path, ...]
    folder: DateFolder
    ratio: float
    side: int = SIDE
    monthly: bool = True
    clear_only: bool = True

    def read(self, index: int) -> TimeSeries:
        """Return the season of a patch; it is empty where no date shows all of it.

        Raises:
            InputError: The patch has no CRS, or a file cannot be read.
        """
        header = read_header(self.images[index])
        if header.crs is None:
            raise InputError(
                f"'{self.images[index]}' has no CRS, so that no satellite image can be laid under it.",
                "Extract the patches again from imagery with a CRS.",
            )
        ground = Ground(header.crs, header.transform, header.height, header.width, self.ratio, self.side)
        series = self.folder.cut(ground, clear_only=self.clear_only).series
        return series.by_month() if self.monthly else series

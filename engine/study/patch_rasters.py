"""Class rasters of patches: where they go, and what they carry."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio

from engine.data.pairs import Pair
from engine.data.patch_file import read_header
from engine.errors import OutputError
from engine.nomenclature import NODATA, Nomenclature
from engine.rasters.class_raster import SOFTWARE
from engine.rasters.disk import WRITE_ERRORS, output_error
from engine.rasters.staged_output import StagedOutput, check_writable
from engine.rasters.style import class_qml, color_table
from engine.text_file import write_whole

STYLE = "classes.qml"
"""One style for all rasters of a folder; the colours are in every file as well."""


class PatchRasters:
    """Writes the class raster of each patch, in the folders in which the images lie.

    Args:
        folder: Where they go; made when it is not there.
        pairs: All patches; what their folders have in common is left out of the names.
        nomenclature: The classes.

    Raises:
        OutputError: The folder cannot be made.
    """

    def __init__(self, folder: Path, pairs: Sequence[Pair], nomenclature: Nomenclature) -> None:
        self._folder = folder
        self._nomenclature = nomenclature
        self._colors = dict(enumerate(color_table(nomenclature)))
        self._base = _common([pair.image for pair in pairs])
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise output_error(folder, error) from error
        write_whole(folder / STYLE, class_qml(nomenclature))

    def path(self, pair: Pair) -> Path:
        """Return the file of a patch."""
        image = pair.image.resolve()
        # On Windows, images on several drives have no folder in common.
        inside = image.relative_to(self._base) if self._base else Path(*image.parts[1:])
        return (self._folder / inside).with_suffix(".tif")

    def write(self, pair: Pair, codes: npt.NDArray[np.uint8]) -> None:
        """Write a patch, whole or not at all: codes, 0 for nothing, with colours, placed as its image is.

        Args:
            pair: The patch.
            codes: Shape (height, width).

        Raises:
            InputError: The image cannot be read.
            OutputError: The file cannot be written.
        """
        header = read_header(pair.image)
        path = self.path(pair)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with rasterio.open(
                partial,
                "w",
                driver="GTiff",
                count=1,
                dtype="uint8",
                height=codes.shape[0],
                width=codes.shape[1],
                nodata=NODATA,
                compress="deflate",
                crs=header.crs,
                transform=header.transform,
            ) as file:
                file.write(codes, 1)
                file.write_colormap(1, self._colors)
                file.set_band_description(1, "Land cover")
                file.update_tags(TIFFTAG_SOFTWARE=SOFTWARE)
            partial.replace(path)
        except WRITE_ERRORS as error:
            raise output_error(path, error) from error
        finally:
            partial.unlink(missing_ok=True)


def check_rasters_folder(folder: Path, *, overwrite: bool) -> None:
    """Check that a folder of patch rasters can be written without losing anything else.

    Raises:
        OutputError: It is a file, or holds something, or its own folder is missing or cannot be written.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        raise OutputError(f"'{folder}' is a file.", "Give the name of a folder for the predictions.")
    entries = [item.name for item in folder.iterdir()] if folder.is_dir() else []
    if entries and not overwrite:
        raise OutputError(
            f"The folder '{folder}' exists already.", "Give another name, or allow it to be replaced (--overwrite)."
        )
    if entries and STYLE not in entries:
        raise OutputError(
            f"The folder '{folder}' holds '{sorted(entries)[0]}', so it is not replaced: no predictions were written "
            "there.",
            "Give another name for the predictions.",
        )
    check_writable(folder, folder=True)


@contextmanager
def staged_rasters(folder: Path, pairs: Sequence[Pair], nomenclature: Nomenclature) -> Iterator[PatchRasters]:
    """Let patch rasters be written out of sight, and let their folder appear when all went well.

    Args:
        folder: Where they go; see `check_rasters_folder`.
        pairs: All patches.
        nomenclature: The classes.

    Raises:
        OutputError: The folder cannot be written.
    """
    with StagedOutput(folder, overwrite=True) as staged:
        yield PatchRasters(staged.path(folder.name), pairs, nomenclature)
        staged.commit([folder.name], stale=[folder.name] if folder.is_dir() else [])


def _common(images: Sequence[Path]) -> Path | None:
    try:
        return Path(os.path.commonpath([image.resolve().parent for image in images]))
    except ValueError:
        return None

"""The map of what is right and what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.evaluation.verdicts import IGNORED, RIGHT, WRONG
from engine.nomenclature import LandCoverClass, Nomenclature
from engine.rasters.class_raster import class_dressing
from engine.rasters.cog import Cancel, Progress, write_cog
from engine.rasters.disk import output_error
from engine.rasters.style import class_aux_xml, class_qml
from engine.rasters.tile_pile import TilePile
from engine.rasters.virtual_raster import Layer, OutputGrid
from engine.rasters.windows import PixelWindow

# Pale and dark, so that they differ for the colour-blind and in print too.
VERDICTS = Nomenclature(
    "verdicts", (LandCoverClass(RIGHT, "right", "#a6dba0"), LandCoverClass(WRONG, "wrong", "#b2182b"))
)
_LAYER = Layer("verdicts", 1, "uint8", IGNORED)


class ErrorTiles:
    """Verdicts on their way to a raster: one small file a tile. `write` is safe to call from several threads.

    Args:
        folder: Where the tiles lie; must exist.
        output: What errors call the raster.
        grid: Grid of the raster.
        origin: The raster's pixels on the prediction's grid.
    """

    def __init__(self, folder: Path, output: Path, grid: OutputGrid, origin: PixelWindow) -> None:
        self._output, self._origin = output, origin
        self._pile = TilePile(folder, output, grid, _LAYER)

    def write(self, tile: PixelWindow, verdicts: npt.NDArray[np.uint8]) -> None:
        """Keep the verdicts of a tile of the prediction's grid, shape (height, width).

        Raises:
            OutputError: The disk is full or the folder cannot be written.
        """
        row, column = tile.row - self._origin.row, tile.column - self._origin.column
        self._pile.write(PixelWindow(row, column, tile.height, tile.width), verdicts)

    def finish(self, path: Path, tags: Mapping[str, str], progress: Progress, cancelled: Cancel) -> list[str]:
        """Write the raster with its colours and names beside it.

        Args:
            path: File to write (.tif), a Cloud Optimized GeoTIFF: 1 right, 2 wrong, 0 nodata.
            tags: Metadata of the file.
            progress: Called with the share done, 0 to 1.
            cancelled: Asked about ten times a second.

        Returns:
            Names of all files written.

        Raises:
            Cancelled: `cancelled` said so.
            OutputError: It could not be written whole.
        """
        dressing = replace(class_dressing(VERDICTS, tags), descriptions=("Right and wrong",))
        write_cog(path, self._output, self._pile.grid, _LAYER, self._pile.files, dressing, "mode", progress, cancelled)
        companions = {f"{path.name}.aux.xml": class_aux_xml(VERDICTS), f"{path.stem}.qml": class_qml(VERDICTS)}
        try:
            for name, text in companions.items():
                (path.parent / name).write_text(text, encoding="utf-8", newline="\n")
        except OSError as error:
            raise output_error(self._output, error) from error
        return [path.name, *companions]

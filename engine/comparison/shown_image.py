"""The image that is shown beside errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from affine import Affine

from engine.events import Reporter
from engine.extraction.image import open_image
from engine.rasters.raster_file import describe
from engine.rasters.source import RasterSource
from engine.rasters.windows import PixelWindow

# Side in pixels of the image beyond which a window is not read for a picture of 400.
_LARGEST = 4096


@dataclass(frozen=True)
class ShownImage:
    """An image, and how it lies on the prediction.

    Args:
        source: The image.
        names: Names of its bands.
        to_image: Pixels (column, row) of the prediction to those of the image.
    """

    source: RasterSource
    names: tuple[str, ...]
    to_image: Affine

    @classmethod
    def open(
        cls, paths: Sequence[str], bands: Mapping[str, int] | None, prediction: RasterSource, reporter: Reporter
    ) -> ShownImage | None:
        """Open an image; None, with a warning, where it lies in another CRS than the prediction.

        Args:
            paths: Image files.
            bands: Band numbers by name; None lets the file tell.
            prediction: The prediction.
            reporter: Is told what was found.

        Raises:
            InputError: A file cannot be used.
        """
        # A picture needs no size on the ground, so that an image which cannot tell it is welcome.
        distance = None if describe(paths[0]).crs else 1.0
        source, names = open_image(
            paths, bands=bands, crs=None, ground_sampling_distance=distance, nodata=None, reporter=reporter
        )
        if source.crs is not None and prediction.crs is not None and source.crs != prediction.crs:
            reporter.warning("The image lies in another CRS than the prediction and is not shown.")
            return None
        return cls(source, names, ~source.transform * prediction.transform)

    def read(self, window: PixelWindow) -> npt.NDArray[Any] | None:
        """Return the image of a window of the prediction, shape (bands, height, width), 0 where it has no pixels.

        None where the image lies elsewhere, or is so much finer that the window holds too many of its pixels.
        """
        ends = [
            self.to_image * (column, row)
            for column in (window.column, window.right)
            for row in (window.row, window.bottom)
        ]
        columns, rows = [round(x) for x, _ in ends], [round(y) for _, y in ends]
        wanted = PixelWindow(min(rows), min(columns), max(rows) - min(rows), max(columns) - min(columns))
        inside = wanted.intersection(PixelWindow(0, 0, self.source.height, self.source.width))
        if not inside.pixels or max(wanted.height, wanted.width) > _LARGEST:
            return None
        with self.source.reader() as reader:
            values, _ = reader.read(inside)
        shown = np.zeros((len(values), wanted.height, wanted.width), dtype=values.dtype)
        rows_in, columns_in = inside.slices_in(wanted)
        shown[:, rows_in, columns_in] = values
        return shown

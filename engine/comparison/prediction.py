"""The class raster that is judged, and the classes that it says it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyogrio

from engine.errors import InputError
from engine.events import Reporter, SilentReporter
from engine.nomenclature import Nomenclature, resolve_nomenclature
from engine.rasters.class_codes import class_codes, strange_values
from engine.rasters.mosaic import differ_in_size
from engine.rasters.named_classes import named_classes
from engine.rasters.polygons import VECTOR_ERRORS
from engine.rasters.raster_file import RasterFile, describe
from engine.rasters.source import RasterSource
from engine.remote_path import is_remote
from engine.storage.inputs import check_readable


@dataclass(frozen=True)
class Prediction:
    """A class raster, or several as a mosaic.

    Args:
        source: Its pixels; they are the grid on which everything is compared.
        nomenclature: Its classes.
    """

    source: RasterSource
    nomenclature: Nomenclature

    def codes(
        self, values: npt.NDArray[Any], valid: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.uint8], dict[int, int]]:
        """Return pixels as codes.

        Args:
            values: As the source reads them, shape (1, height, width).
            valid: Shape (height, width).

        Returns:
            Codes, uint8 of shape (height, width), 0 where nothing was predicted; and the pixels by value of what is no
            class of the nomenclature.

        Raises:
            InputError: The raster holds fractions.
        """
        return class_codes(values[0], valid, self.nomenclature, f"The prediction '{self.source.files[0].name}'")

    def warn_of(self, strange: Counter[int], reporter: Reporter) -> None:
        """Warn of predicted values that are no class."""
        if strange:
            reporter.warning(
                f"The prediction holds what is no class of '{self.nomenclature.name}': {strange_values(strange)}; "
                "it counts as wrong. Name its classes with --nomenclature if they are others."
            )


def open_prediction(
    paths: Sequence[str], *, nomenclature: str | None, crs: str | None, nodata: float | None, reporter: Reporter
) -> Prediction:
    """Open the raster to judge.

    Args:
        paths: Files of one band of class codes; several make a mosaic, later ones on top.
        nomenclature: Name or file of its classes; None takes those that the first file names, else FLAIR's.
        crs: CRS of files that carry none.
        nodata: Value that means no prediction, in place of the files' own.
        reporter: Is told what was found.

    Raises:
        InputError: A file cannot be used.
        ModelError: The nomenclature cannot be used.
    """
    files = [_described(path) for path in paths]
    first = files[0]
    for file in files:
        if len(file.data_bands) != 1:
            raise InputError(
                f"The prediction '{file.name}' has {len(file.data_bands)} bands: it holds colours or probabilities, "
                "not class codes.",
                "Choose a raster of one band that holds codes.",
            )
    band = {"class": first.data_bands[0]}
    # What a pixel measures on the ground decides nothing here.
    source = RasterSource.open(
        paths, ("class",), bands=band, crs=crs, ground_sampling_distance=1.0, nodata=nodata, reporter=SilentReporter()
    )
    if differ_in_size(source.files):
        reporter.warning("The predictions have pixels of different sizes; all are read on the grid of the first.")
    classes = resolve_nomenclature(nomenclature) if nomenclature else named_classes(first)
    what = first.name if len(files) == 1 else f"{len(files)} files"
    reporter.log(
        f"Prediction: {what}, {source.width} x {source.height} pixels; "
        f"{len(classes.enabled)} classes of '{classes.name}'."
    )
    return Prediction(source, classes)


def _described(path: str) -> RasterFile:
    if is_remote(path):
        check_readable(path)
    try:
        return describe(path)
    except InputError as error:
        try:
            layers = len(pyogrio.list_layers(path))
        except VECTOR_ERRORS:
            raise error from None
        if not layers:
            raise
        raise InputError(
            f"The prediction '{path}' holds polygons, not pixels.",
            "Name polygons with --truth and the class raster with --prediction.",
        ) from error

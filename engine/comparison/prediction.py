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
from engine.rasters.mosaic import differ_in_size
from engine.rasters.named_classes import named_classes
from engine.rasters.polygons import VECTOR_ERRORS
from engine.rasters.raster_file import RasterFile, describe
from engine.rasters.source import RasterSource

# In place of values that no uint8 can hold: never a class.
_NO_CODE = 255


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
        band = values[0]
        if band.dtype.kind == "f" and (band[valid] != np.rint(band[valid])).any():
            broken = float(band[valid & (band != np.rint(band))][0])
            raise InputError(
                f"The prediction '{self.source.files[0].name}' holds fractions such as {broken:g}, which are no class "
                "codes.",
                "Choose the class raster; a confidence or an elevation cannot be evaluated.",
            )
        known = np.zeros(256, dtype=np.bool_)
        known[[0, *self.nomenclature.codes]] = True
        strange: dict[int, int] = {}
        if band.dtype == np.uint8:
            codes = np.where(valid, band, 0).astype(np.uint8, copy=False)
            counts = np.bincount(codes.ravel(), minlength=256)
            strange = {int(code): int(counts[code]) for code in np.flatnonzero(~known & (counts > 0))}
            return codes, strange
        fits = valid & (band >= 0) & (band <= 255)
        codes = np.where(fits, band, _NO_CODE).astype(np.uint8)
        codes[~valid] = 0
        odd = valid & ~(fits & known[codes])
        if odd.any():
            found, counts = np.unique(band[odd], return_counts=True)
            strange = {int(value): int(count) for value, count in zip(found, counts, strict=True)}
        return codes, strange

    def warn_of(self, strange: Counter[int], reporter: Reporter) -> None:
        """Warn of predicted values that are no class."""
        if strange:
            shown = ", ".join(f"{value} ({count} pixels)" for value, count in strange.most_common(6))
            reporter.warning(
                f"The prediction holds what is no class of '{self.nomenclature.name}': {shown}; it counts as wrong. "
                "Name its classes with --nomenclature if they are others."
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

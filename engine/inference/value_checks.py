"""Whether an image holds what a model was trained on, told from samples before any prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.band import Band
from engine.errors import InputError
from engine.events import Reporter
from engine.models.manifest import Manifest

Sample = tuple[npt.NDArray[np.generic], npt.NDArray[np.bool_]]

SAMPLES = 6
SAMPLE_SIDE = 256
# A smaller image may well lie on one roof: that it is constant, or bright, says nothing.
FEWEST_PIXELS = 64
# Share of pixels over a band's maximum that is taken for a stray value, not for another unit.
STRAY_SHARE = 0.01
# Reflectances end at 1; sensors and corrections overshoot a little.
REFLECTANCE_MAXIMUM = 2.0
MEAN_DEVIATIONS = 3.0
# 10 m above ground everywhere is not what aerial imagery of land shows.
LIFTED_ELEVATION = 50


@dataclass(frozen=True)
class _BandSample:
    """Valid values of one band, shape (pixels,)."""

    band: Band
    number: int
    values: npt.NDArray[np.float64]

    @property
    def label(self) -> str:
        return f"Band {self.number} ({self.band.name})"


def check_values(
    samples: Sequence[Sample], manifest: Manifest, numbers: Sequence[int], *, allow_range: bool, reporter: Reporter
) -> None:
    """Compare sampled values with what the model's bands hold.

    Args:
        samples: Windows of the image: (C, h, w) values in the model's band order, (h, w) validity.
        manifest: Description of the model.
        numbers: Band numbers in the file, for messages.
        allow_range: Report values outside the model's range instead of refusing them.
        reporter: Receives what is suspicious.

    Raises:
        InputError: Values are outside the model's range, or the image is constant.
    """
    if not samples:
        return
    bands = [
        _BandSample(band, numbers[index], np.concatenate([values[index][valid] for values, valid in samples]))
        for index, band in enumerate(manifest.bands)
    ]
    telling = max(item.values.size for item in bands) >= FEWEST_PIXELS
    problem = _range_problem(bands) or (_constant_problem(bands) if telling else None)
    if problem is not None:
        if not allow_range:
            raise problem
        reporter.warning(problem.message)
    for item in bands if telling else ():
        for text in _suspicions(item):
            reporter.warning(text)


def _range_problem(bands: Sequence[_BandSample]) -> InputError | None:
    # An elevation may be right beside colours that are not.
    scaled = [item for item in bands if item.band.maximum >= 100 and item.band.name != "elevation"]
    if scaled and all(_looks_like_reflectance(item) for item in scaled):
        return InputError(
            f"The image holds values from {min(i.values.min() for i in scaled):.3g} to "
            f"{max(i.values.max() for i in scaled):.3g}, as reflectances do; the model expects 0 to 255.",
            "Convert it first, for example: gdal_translate -ot Byte -scale 0 1 0 255 image.tif image8.tif "
            "(or allow it with --allow-range).",
        )
    for item in bands:
        low, high = item.band.minimum, item.band.maximum
        outside = float(((item.values < low) | (item.values > high)).mean())
        if outside <= STRAY_SHARE:
            continue
        found = f"{item.label} holds values from {item.values.min():.4g} to {item.values.max():.4g}"
        if item.band.name == "elevation":
            return InputError(
                f"{found}; the model expects heights above ground in steps of 0.2 m, {low:g} to {high:g}.",
                "Compute it as clip(round(5 * max(DSM - DTM, 0)), 0, 255) (or allow it with --allow-range).",
            )
        return InputError(
            f"{found}; the model expects {low:g} to {high:g}.",
            "Convert the image to 8 bits first, for example: gdal_translate -ot Byte -scale image.tif image8.tif "
            "(or allow it with --allow-range).",
        )
    return None


def _looks_like_reflectance(item: _BandSample) -> bool:
    fractional = item.values.dtype.kind == "f" and bool((item.values != np.rint(item.values)).any())
    return fractional and float(item.values.max()) <= REFLECTANCE_MAXIMUM


def _constant_problem(bands: Sequence[_BandSample]) -> InputError | None:
    if any(item.values.size and item.values.min() != item.values.max() for item in bands):
        return None
    return InputError(
        f"The image is constant: every pixel looked at has the values {[float(item.values[0]) for item in bands]}.",
        "Check that this is the right file; name its empty value with --nodata (or allow it with --allow-range).",
    )


def _suspicions(item: _BandSample) -> list[str]:
    band, values = item.band, item.values
    texts = []
    if values.min() == values.max():
        texts.append(f"{item.label} is constant ({values.min():g}); the model expects it to vary.")
    elif band.name == "elevation" and float(np.percentile(values, 2)) > LIFTED_ELEVATION:
        texts.append(
            f"{item.label} is nowhere near 0: it looks like terrain height instead of height above ground (DSM - DTM)."
        )
    elif abs(float(values.mean()) - band.mean) > MEAN_DEVIATIONS * band.std:
        texts.append(
            f"{item.label} has a mean of {values.mean():.1f}, far from the {band.mean:.1f} the model was trained on; "
            "check the band order."
        )
    return texts

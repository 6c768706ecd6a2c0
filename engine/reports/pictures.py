"""Small pictures of imagery and classes that travel inside a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from engine.nomenclature import NODATA, Nomenclature

LARGEST = 400
"""Longest side in pixels: a third of a page's width in print, and 300 kB a picture."""
TRUE_COLOR = ("red", "green", "blue")
COLOR_INFRARED = ("infrared", "red", "green")


def picture(pixels: npt.NDArray[Any], names: Sequence[str], largest: int = LARGEST) -> str:
    """Return a picture of an image: true colour, colour-infrared where blue is missing, else grey.

    Args:
        pixels: Shape (bands, height, width). uint8 is shown as it is; of other types each shown band is stretched from
            its 2nd to its 98th percentile. NaN and infinite values are black.
        names: One name a band.
        largest: Longest side of the picture in pixels; larger images are reduced.

    Returns:
        A `data:` address of a PNG.

    Raises:
        ValueError: The array is not three-dimensional, or has another number of bands.
    """
    if pixels.ndim != 3 or len(pixels) != len(names) or not pixels.size:
        raise ValueError(f"Expected {len(names)} bands, height and width, not an array of shape {pixels.shape}")
    shown = shown_bands(names)
    bands = [pixels[list(names).index(name)] for name in shown]
    colors = np.stack([band if band.dtype == np.uint8 else _stretched(band) for band in bands], axis=-1)
    image = Image.fromarray(colors if len(shown) == 3 else colors[:, :, 0])
    image.thumbnail((largest, largest), Image.Resampling.LANCZOS)
    return _address(image)


def shown_bands(names: Sequence[str]) -> tuple[str, ...]:
    """Return the bands that a picture shows as red, green and blue, or the only one that it shows as grey."""
    for wanted in (TRUE_COLOR, COLOR_INFRARED):
        if set(wanted) <= set(names):
            return wanted
    return (names[0],)


def class_picture(codes: npt.NDArray[np.uint8], nomenclature: Nomenclature, largest: int = LARGEST) -> str:
    """Return a picture of classes in their colours; 0 and codes of no class are transparent.

    Args:
        codes: Class codes, uint8 of shape (height, width).
        nomenclature: Gives the colours.
        largest: Longest side of the picture in pixels; larger rasters are thinned out, never mixed.

    Returns:
        A `data:` address of a PNG.

    Raises:
        ValueError: The array is not uint8 or not two-dimensional.
    """
    if codes.ndim != 2 or codes.dtype != np.uint8 or not codes.size:
        raise ValueError(f"Expected uint8 codes of height and width, not {codes.dtype} of shape {codes.shape}")
    known = np.full(256, NODATA, dtype=np.uint8)
    palette = np.zeros((256, 3), dtype=np.uint8)
    for item in nomenclature.classes:
        known[item.code] = item.code
        palette[item.code] = item.rgb
    image = Image.fromarray(known[codes])
    image.thumbnail((largest, largest), Image.Resampling.NEAREST)
    image.putpalette(palette.tobytes())
    return _address(image, transparency=NODATA)


def _stretched(band: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return a band as uint8, its 2nd percentile black and its 98th white."""
    values = band.astype(np.float64)
    valid = np.isfinite(values)
    if not valid.any():
        return np.zeros(band.shape, dtype=np.uint8)
    low, high = np.percentile(values[valid], (2, 98))
    scaled = (np.where(valid, values, low) - low) / (high - low if high > low else 1.0)
    stretched: npt.NDArray[np.uint8] = (np.clip(scaled, 0, 1) * 255).round().astype(np.uint8)
    return stretched


def _address(image: Image.Image, **options: Any) -> str:
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True, **options)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")

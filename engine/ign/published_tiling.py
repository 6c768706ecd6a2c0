"""The published way of classifying a raster, written afresh, for those who need its very pixels.

Windows with a margin on all sides; zeros beyond the raster, before normalisation; no class masked; cores written in
the published order, so that of two cores that overlap at the right and upper edge the later one stays.

It is defined where the raster is not rotated, where the size of its pixels has at most five decimals (the published
tools round it to them), and where it is at least as large as a core: below that theirs begin outside of it. The input's
nodata value is not copied: 0 would hide the class of index 0.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.windows import Window

from engine.errors import Cancelled, InputError, RequestError
from engine.events import Reporter
from engine.ign.bands import Channels
from engine.ign.detection import Detection
from engine.rasters.disk import WRITE_ERRORS, output_error
from engine.rasters.staged_output import StagedOutput

if TYPE_CHECKING:
    from torch import nn

STRIDE = 32
DECIMALS = 5


@dataclass(frozen=True)
class Core:
    """The part of a window that is written.

    Args:
        row: Its first row in the raster.
        column: Its first column in the raster.
    """

    row: int
    column: int


def published_cores(height: int, width: int, side: int, margin: int) -> list[Core]:
    """Return the cores in the order in which they are written: columns from the left, each from the bottom up.

    Args:
        height: Rows of the raster.
        width: Columns of the raster.
        side: Side of a window in pixels.
        margin: Margin in pixels; a core is `side - 2 * margin` wide.

    Raises:
        InputError: The raster is smaller than a core.
    """
    step = side - 2 * margin
    if min(height, width) < step:
        raise InputError(
            f"The published behaviour is not defined for a raster of {width} x {height} pixels, smaller than a core of "
            f"{step}.",
            "Leave --published-behaviour out, or choose smaller windows in the file.",
        )
    columns = _starts(width, step, margin)
    # Their grid begins at the lower left corner.
    rows = [height - step - start for start in _starts(height, step, margin)]
    return [Core(row, column) for column in columns for row in rows]


def _starts(length: int, step: int, margin: int) -> list[int]:
    # The last core is moved back to end with the raster; further ones would be the same again.
    return list(dict.fromkeys(min(start, length - step) for start in range(0, length + 2 * margin, step)))


def check_defined(wanted: Detection, reporter: Reporter) -> None:
    """Check that the published behaviour is defined for a raster.

    Raises:
        RequestError: The windows do not suit the network.
        InputError: The raster is rotated or too small.
    """
    if wanted.side % STRIDE:
        raise RequestError(
            f"Windows of {wanted.side} pixels do not suit the network, which needs multiples of {STRIDE}.",
            "Change 'img_pixels_detection'.",
        )
    with rasterio.open(wanted.image) as source:
        transform, height, width = source.transform, source.height, source.width
    if transform.b or transform.d or transform.a <= 0 or transform.e >= 0:
        raise InputError(
            "The published behaviour is not defined for a raster that is rotated or upside down.",
            "Leave --published-behaviour out, or warp the raster first.",
        )
    published_cores(height, width, wanted.side, wanted.margin)
    if any(round(size, DECIMALS) != size for size in (transform.a, -transform.e)):
        reporter.warning(
            f"The published tools round the pixel size of {transform.a!r} to {DECIMALS} decimals, which moves their "
            "windows; here they stay on the pixels, and the result can differ."
        )


def detect_as_published(
    wanted: Detection,
    network: nn.Module,
    device: str,
    *,
    overwrite: bool,
    reporter: Reporter,
    cancelled: threading.Event,
) -> None:
    """Classify a raster as the published tool does and write `wanted.output`.

    Args:
        wanted: What the file asks for; see `check_defined`.
        network: Network in evaluation mode, with all outputs.
        device: `cpu`, `mps`, `cuda` or `cuda:N`.
        overwrite: Whether an existing output may be replaced.
        reporter: Receives progress.
        cancelled: Set to stop; nothing is left behind.

    Raises:
        Cancelled: `cancelled` was set.
        OutputError: The output cannot be written.
    """
    outputs = len(wanted.nomenclature.classes)
    network.to(device)
    name = wanted.output.name
    with StagedOutput(wanted.output, overwrite=overwrite) as staged, rasterio.open(wanted.image) as source:
        cores = published_cores(source.height, source.width, wanted.side, wanted.margin)
        profile = {
            "driver": "GTiff",
            "width": source.width,
            "height": source.height,
            "count": 1 if wanted.output_type == "argmax" else outputs,
            "dtype": "uint8",
            "crs": source.crs,
            "transform": source.transform,
            "tiled": True,
            "blockxsize": wanted.side,
            "blockysize": wanted.side,
            "compress": "lzw",
            "BIGTIFF": "YES",
        }
        try:
            with rasterio.open(staged.path(name), "w", **profile) as target:
                done = 0
                for batch in _batches(cores, wanted.batch_size):
                    if cancelled.is_set():
                        raise Cancelled
                    for core, values in zip(batch, _predict(source, batch, wanted, network, device), strict=True):
                        size = values.shape[-1]
                        target.write(values, window=Window(core.column, core.row, size, size))
                    done += len(batch)
                    reporter.progress(0.99 * done / len(cores), f"Window {done} of {len(cores)}")
        except WRITE_ERRORS as error:
            raise output_error(wanted.output, error) from error
        staged.commit([name], stale=[f"{name}.aux.xml", f"{name}.ovr", f"{name}.msk"])


def _batches(cores: list[Core], size: int) -> Iterator[list[Core]]:
    for start in range(0, len(cores), size):
        yield cores[start : start + size]


def _predict(
    source: Any, cores: list[Core], wanted: Detection, network: nn.Module, device: str
) -> list[npt.NDArray[np.uint8]]:
    """Return the cores' values, shape (1 or outputs, core, core)."""
    import torch

    images = np.stack([published_values(_window(source, core, wanted), wanted.channels) for core in cores])
    with torch.no_grad():
        shares = torch.softmax(network(torch.from_numpy(images).to(device)), dim=1).cpu().numpy()
    inner = slice(wanted.margin, wanted.side - wanted.margin)
    return [_written(item[:, inner, inner], wanted.output_type) for item in shares]


def _window(source: Any, core: Core, wanted: Detection) -> npt.NDArray[Any]:
    """Return raw pixels, zeros beyond the raster, shape (bands, side, side)."""
    top, left = core.row - wanted.margin, core.column - wanted.margin
    first_row, first_column = max(0, top), max(0, left)
    height = min(source.height, top + wanted.side) - first_row
    width = min(source.width, left + wanted.side) - first_column
    inside = source.read(
        list(wanted.channels.numbers), window=Window(first_column, first_row, width, height), masked=False
    )
    pixels = np.zeros((len(inside), wanted.side, wanted.side), dtype=inside.dtype)
    row, column = first_row - top, first_column - left
    pixels[:, row : row + height, column : column + width] = inside
    return pixels


def published_values(pixels: npt.NDArray[Any], channels: Channels) -> npt.NDArray[np.float32]:
    """Return normalised pixels, computed in float64 as theirs are; shape (bands, height, width) in and out."""
    if channels.norm_type == "without":
        return pixels.astype(np.float32)
    if channels.norm_type == "scaling":
        if pixels.dtype.kind == "f":
            return pixels.astype(np.float32)
        # scikit-image multiplies by the inverse, which is not the same last bit as a division.
        scaled = pixels.astype(np.float64) * (1.0 / float(np.iinfo(pixels.dtype).max))
        return np.maximum(scaled, -1.0).astype(np.float32)
    values = pixels.astype(np.float64)
    for index, band in enumerate(channels.bands):
        values[index] = (values[index] - band.mean) / band.std
    return values.astype(np.float32)


def _written(shares: npt.NDArray[np.float32], output_type: str) -> npt.NDArray[np.uint8]:
    if output_type == "argmax":
        return np.asarray(shares.argmax(axis=0)[np.newaxis], dtype=np.uint8)
    # Truncated, as theirs: 0.999 becomes 254. Where rounding leaves a share above 1 theirs breaks off.
    return np.asarray((np.minimum(shares, np.float32(1)) * np.float32(255)).astype(np.uint8))

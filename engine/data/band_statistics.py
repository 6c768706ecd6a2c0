"""Mean and deviation of a data set's bands."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import numpy as np

from engine.band import Band
from engine.data.pairs import Pair
from engine.data.patch_file import PatchHeader, missing_pixels, read_image
from engine.errors import Cancelled, InputError
from engine.events import Reporter

# Enough for two digits more than a network notices; reading all of a large set would take longer than an epoch.
LARGEST_SAMPLE = 1000


def measure_bands(
    pairs: Sequence[Pair],
    names: Sequence[str],
    header: PatchHeader,
    reporter: Reporter,
    cancelled: threading.Event,
    span: tuple[float, float] = (0.0, 1.0),
    seed: int = 0,
) -> tuple[Band, ...]:
    """Return mean and standard deviation of each band over the pixels that hold data.

    Args:
        pairs: Training patches; at most `LARGEST_SAMPLE` of them, drawn by the seed, are read.
        names: Band names in the order of the files.
        header: Header of the images.
        reporter: Receives progress.
        cancelled: Set to stop.
        span: Part of the progress bar that this takes.
        seed: Seed of the draw.

    Raises:
        InputError: An image cannot be read, or no pixel is valid.
        Cancelled: `cancelled` was set.
    """
    chosen = list(pairs)
    if len(chosen) > LARGEST_SAMPLE:
        order = np.random.default_rng(seed).permutation(len(chosen))[:LARGEST_SAMPLE]
        chosen = [pairs[index] for index in sorted(order.tolist())]
    count = np.zeros(len(names))
    total, squares = np.zeros(len(names)), np.zeros(len(names))
    low, high = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    began = time.monotonic()
    for number, pair in enumerate(chosen):
        if cancelled.is_set():
            raise Cancelled
        image = read_image(pair.image)
        present = ~missing_pixels(image, header.nodata)
        if not present.any():
            continue
        for band, values in enumerate(image):
            kept = values[present].astype(np.float64)
            count[band] += kept.size
            total[band] += kept.sum()
            squares[band] += np.square(kept).sum()
            low[band], high[band] = min(low[band], kept.min()), max(high[band], kept.max())
        done = (number + 1) / len(chosen)
        left = (time.monotonic() - began) / done * (1 - done)
        reporter.progress(span[0] + (span[1] - span[0]) * done, "Measuring the bands", left)
    if not count.all():
        empty = [name for name, pixels in zip(names, count, strict=True) if not pixels]
        raise InputError(f"The images hold no valid pixel in: {', '.join(empty)}.", "Check their nodata value.")
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
    # Eight-bit bands have one range whatever a sample of them holds.
    fixed = header.dtype == "uint8"
    return tuple(
        Band(
            name,
            float(mean[index]),
            float(max(deviation[index], 1e-3)),
            0.0 if fixed else float(low[index]),
            255.0 if fixed else float(high[index]),
        )
        for index, name in enumerate(names)
    )

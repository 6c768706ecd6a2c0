"""Whether satellite images hold what a model was trained on, told from a few pieces of ground before any prediction."""

from __future__ import annotations

import threading

import numpy as np

from engine.errors import Cancelled, InputError
from engine.events import Reporter
from engine.inference.season_ground import SeasonGround
from engine.rasters.windows import PixelWindow

# Reflectances end at 1; corrections overshoot a little.
REFLECTANCE_MAXIMUM = 2.0
STRAY_SHARE = 0.01
MEAN_DEVIATIONS = 3.0


def check_season(
    ground: SeasonGround, area: PixelWindow, *, allow_range: bool, reporter: Reporter, cancelled: threading.Event
) -> None:
    """Look for the first ground that is shown, and compare its values with what the model's bands hold.

    Args:
        ground: The season under the image.
        area: Pixels of the model grid that are wanted.
        allow_range: Report values outside the model's range instead of refusing them.
        reporter: Receives what is suspicious.
        cancelled: Set to stop.

    Raises:
        InputError: No date shows any ground of the area, or the values are of another kind.
        Cancelled: It was asked to stop.
    """
    for cell in ground.cells(area):
        if cancelled.is_set():
            raise Cancelled
        series = ground.series(cell)
        if series.dates:
            _check_values(series.pixels, ground, allow_range, reporter)
            return
    raise InputError(
        f"None of the {ground.dates} satellite images shows the image's ground and "
        f"{(ground.input.side - ground.size.ground) // 2} satellite pixels around it.",
        "Check that both lie at the same place; cut the series anew with a wider margin (prepare-time-series).",
    )


def _check_values(
    pixels: np.ndarray[tuple[int, ...], np.dtype[np.float32]], ground: SeasonGround, allow: bool, reporter: Reporter
) -> None:
    problem = None
    for number, band in enumerate(ground.input.bands):
        values = pixels[:, number]
        # A range that does not even hold the band's usual values was never stated.
        stated = band.maximum > band.mean + band.std
        outside = float(((values < band.minimum) | (values > band.maximum)).mean()) if stated else 0.0
        if float(values.max()) <= REFLECTANCE_MAXIMUM and band.mean > 10 * REFLECTANCE_MAXIMUM:
            problem = InputError(
                f"The satellite images hold values up to {values.max():.3g}, as reflectances do; the model expects "
                f"about {band.mean:.0f} in '{band.name}'.",
                "Give them as they are delivered, 10000 for a reflectance of 1 (or allow it with --allow-range).",
            )
        elif outside > STRAY_SHARE:
            reporter.warning(
                f"Satellite band {number + 1} ({band.name}) holds values from {values.min():.4g} to "
                f"{values.max():.4g}; the model learnt from {band.minimum:g} to {band.maximum:g}: check the order of "
                "the bands and their unit."
            )
        elif abs(float(values.mean()) - band.mean) > MEAN_DEVIATIONS * band.std:
            reporter.warning(
                f"Satellite band {number + 1} ({band.name}) has a mean of {values.mean():.0f}, far from the "
                f"{band.mean:.0f} the model was trained on; check the band order."
            )
        if problem is not None:
            if not allow:
                raise problem
            reporter.warning(problem.message)
            return

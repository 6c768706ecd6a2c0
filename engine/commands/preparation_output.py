"""What a prepared image's figures amount to: warnings, the report, and the values of the result."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import Resampling

from engine.band import Band
from engine.events import format_duration
from engine.preparation.checks import OrderCheck
from engine.preparation.figures import Figures
from engine.preparation.heights import ABSURD, BELOW_GROUND, STEPS_PER_METRE, HeightFlag
from engine.preparation.job import Job, SourceFacts
from engine.preparation.sources import pixel_metres
from engine.reports.pictures import TRUE_COLOR, picture
from engine.reports.preparation_report import BandRow, Picture, PreparationReport, SourceRow, render
from engine.requests import PrepareInputRequest

# Further from the mean of the data that the models were trained on than this, an image is another kind of image.
MEAN_DEVIATIONS = 2.0
SATURATED_SHARE = 0.05
FILLED_SHARE = 0.1
NEGATIVE_SHARE = 0.02
_SIDE = 400
_HOLE_COLOUR = (214, 60, 150)
_TITLES = {
    "rgb": "Orthophoto",
    "irc": "Colour-infrared",
    "nir": "Near infrared",
    "dsm": "Surface model",
    "dtm": "Terrain model",
    "height": "Height model",
}


@dataclass(frozen=True)
class Outcome:
    """What is known of a finished image.

    Args:
        figures: Its figures.
        pictures: Pictures of its colours and bands.
        order: How infrared goes together with the orthophoto, or None.
        warnings: All that was warned of.
        statistics: What the models of the catalogue were trained on, by band.
    """

    figures: Figures
    pictures: Sequence[Picture]
    order: OrderCheck | None
    warnings: Sequence[str]
    statistics: Mapping[str, Band]


def doubts(job: Job, figures: Figures, statistics: Mapping[str, Band]) -> list[str]:
    """Return what is to be warned of in a finished image."""
    texts = []
    for name in figures.bands:
        band = figures.band(name)
        expected = statistics[name]
        if abs(band.mean - expected.mean) > MEAN_DEVIATIONS * expected.std:
            texts.append(
                f"The mean of {name} is {band.mean:.1f}, more than {MEAN_DEVIATIONS:g} standard deviations from the "
                f"{expected.mean:.1f} of FLAIR: the models have not seen such images."
            )
        saturated = max(band.at_0, band.at_255)
        if name != "elevation" and saturated > SATURATED_SHARE:
            value = 0 if band.at_0 > band.at_255 else 255
            texts.append(f"{saturated:.1%} of {name} stand at {value}: detail is lost there.")
    if figures.without_infrared:
        share = figures.without_infrared / (figures.valid + figures.without_infrared)
        texts.append(f"{_share(share)} of the orthophoto have no infrared and are left out (masked).")
    texts += _height_doubts(job, figures)
    return texts


def _height_doubts(job: Job, figures: Figures) -> list[str]:
    texts = []
    missing, below = figures.share(HeightFlag.MISSING), figures.share(HeightFlag.BELOW_GROUND)
    if missing:
        texts.append(
            f"{_share(missing)} of the image have no height, further than {job.request.fill_distance:g} m from the "
            "next: their elevation is 0, as on the ground."
        )
    filled = figures.share(HeightFlag.FILLED)
    if filled > FILLED_SHARE:
        texts.append(
            f"{_share(filled)} of the heights were missing and are filled from up to "
            f"{job.request.fill_distance:g} m away: edges of buildings and trees may be wrong there."
        )
    if below > NEGATIVE_SHARE:
        texts.append(
            f"{_share(below)} of the image lie more than {-BELOW_GROUND:g} m below the ground by their height: their "
            "elevation is 0."
        )
    absurd = figures.heights[HeightFlag.ABSURD]
    if absurd:
        texts.append(
            f"{absurd} pixels are more than {ABSURD:g} m high, which nothing on the ground is: check the height "
            "models' unit and nodata value."
        )
    return texts


def pictures(job: Job, path: Path, flags: Path | None) -> list[Picture]:
    """Return small pictures of a finished image: in colour, each further band, and where heights are missing.

    Args:
        job: What was done.
        path: The image.
        flags: Raster of the pixels' flags, or None.
    """
    grid = job.stack.target.grid
    scale = max(1.0, max(grid.width, grid.height) / _SIDE)
    shape = (max(1, round(grid.height / scale)), max(1, round(grid.width / scale)))
    with rasterio.open(path) as file:
        image = file.read(out_shape=(file.count, *shape), resampling=Resampling.average)
        valid = file.dataset_mask(out_shape=shape) > 0
    image[:, ~valid] = 255
    bands = dict(zip(job.stack.bands, image, strict=True))
    shown = [Picture("In colour", picture(image[:3], TRUE_COLOR))]
    if "infrared" in bands:
        colours = np.stack([bands["infrared"], bands["red"], bands["green"]])
        shown.append(Picture("Infrared, red, green", picture(colours, TRUE_COLOR)))
    shown += [Picture(name.capitalize(), picture(bands[name][None], (name,))) for name in bands if name != "elevation"]
    if "elevation" not in bands:
        return shown
    # Most heights are a few metres: as they are, all would look black.
    highest = max(1, int(bands["elevation"][valid].max(initial=0)))
    bright = np.clip(bands["elevation"] * (255.0 / highest), 0, 255).astype(np.uint8)
    bright[~valid] = 255
    shown.append(Picture(f"Elevation, white: {highest / STEPS_PER_METRE:g} m", picture(bright[None], ("elevation",))))
    if flags is not None:
        with rasterio.open(flags) as file:
            codes = file.read(1, out_shape=shape)
        missing = ((codes & HeightFlag.MISSING.value) > 0) & valid
        if missing.any():
            shown.append(Picture("Without height (pink)", picture(_marked(bright, missing), TRUE_COLOR)))
    return shown


def _marked(band: npt.NDArray[np.uint8], where: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    colours = np.stack([band] * 3)
    for channel, value in zip(colours, _HOLE_COLOUR, strict=True):
        channel[where] = value
    return colours


def page(job: Job, outcome: Outcome, seconds: float) -> str:
    """Return the report of the checks as HTML."""
    figures, grid = outcome.figures, job.stack.target.grid
    summary = [
        ("Size", f"{grid.width} x {grid.height} pixels"),
        ("Ground sampling distance", f"{_gsd(job):.3g} m"),
        ("CRS", grid.crs.to_string()[:40] if grid.crs else "none"),
        ("Bands", ", ".join(figures.bands)),
        ("Without data", _share(1 - figures.valid / max(1, figures.pixels))),
        ("Duration", format_duration(seconds)),
    ]
    if job.stack.infrared:
        left_out = figures.without_infrared / max(1, figures.valid + figures.without_infrared)
        summary.append(("Left out for want of infrared", _share(left_out)))
    if job.stack.heights:
        summary += [
            ("Heights filled", _share(figures.share(HeightFlag.FILLED))),
            ("Without height", _share(figures.share(HeightFlag.MISSING))),
            (f"More than {-BELOW_GROUND:g} m below ground", _share(figures.share(HeightFlag.BELOW_GROUND))),
            (f"More than {ABSURD:g} m high", _share(figures.share(HeightFlag.ABSURD))),
        ]
    return render(
        PreparationReport(
            title=job.output.name,
            summary=summary,
            bands=[_band_row(outcome, name) for name in figures.bands],
            sources=[_source_row(facts) for facts in job.sources],
            correlations=list(figures.correlations().items()),
            order=_order(outcome.order),
            stretches=[(name, item.low, item.high) for name, item in job.stack.stretches.items()],
            gaps=[(gap.tile, _TITLES[gap.missing], gap.share) for gap in job.gaps],
            pictures=outcome.pictures,
            notes=list(outcome.warnings),
            options=_options(job.request),
        )
    )


def result_values(job: Job, outcome: Outcome, seconds: float) -> dict[str, Any]:
    """Return the values of the result event."""
    figures = outcome.figures
    return {
        "output": str(job.output),
        "report": str(job.report),
        "bands": list(figures.bands),
        "statistics": {name: _statistics(outcome, name) for name in figures.bands},
        "correlations": {name: _finite(value) for name, value in figures.correlations().items()},
        "sources": [facts.to_dict() for facts in job.sources],
        "stretches": {name: [item.low, item.high] for name, item in job.stack.stretches.items()},
        "counts": figures.to_dict(),
        "gaps": [gap.to_dict() for gap in job.gaps],
        "warnings": list(outcome.warnings),
        "pixels": figures.valid,
        "seconds": round(seconds, 2),
    }


def _statistics(outcome: Outcome, name: str) -> dict[str, Any]:
    values = asdict(outcome.figures.band(name))
    expected = outcome.statistics[name]
    del values["name"]
    rounded = {key: _finite(value) if isinstance(value, float) else value for key, value in values.items()}
    return {**rounded, "flair_mean": expected.mean, "flair_deviation": expected.std}


def _band_row(outcome: Outcome, name: str) -> BandRow:
    band, expected = outcome.figures.band(name), outcome.statistics[name]
    off = (band.mean - expected.mean) / expected.std
    return BandRow(
        name=name,
        mean=band.mean,
        deviation=band.deviation,
        flair_mean=expected.mean,
        flair_deviation=expected.std,
        off=off,
        notable=abs(off) > MEAN_DEVIATIONS,
        at_0=band.at_0,
        at_255=band.at_255,
    )


def _source_row(facts: SourceFacts) -> SourceRow:
    return SourceRow(
        title=_TITLES[facts.option],
        files=", ".join(facts.files[:4]) + (f" and {len(facts.files) - 4} more" if len(facts.files) > 4 else ""),
        pixel=facts.pixel,
        shift=facts.shift,
        years=", ".join(map(str, facts.years)),
        unit=facts.unit,
    )


def _order(order: OrderCheck | None) -> tuple[tuple[str, float], ...]:
    if order is None or not (math.isfinite(order.red) or math.isfinite(order.green)):
        return ()
    return (("red", order.red), ("green", order.green))


def _options(request: PrepareInputRequest) -> dict[str, Any]:
    return request.model_dump(exclude_none=True, exclude={"overwrite", "resume"})


def _gsd(job: Job) -> float:
    scaled, (across, down) = job.stack.target.scaled, pixel_metres(job.stack.image)
    return math.sqrt(across / scaled.scale_x * down / scaled.scale_y)


def _share(share: float) -> str:
    return "0 %" if share <= 0 else f"{100 * share:.2g} %" if share >= 1e-4 else "less than 0.01 %"


def _finite(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None

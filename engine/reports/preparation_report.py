"""The report of a prepared image: what it was made of, and whether it is what the models have learnt from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.reports.page import render_page
from engine.reports.tables import flat_options

# Rows that a person reads; the result has them all.
MOST_GAPS = 100
_PICTURES_A_ROW = 3


@dataclass(frozen=True)
class BandRow:
    """A band's valid pixels beside those of the training data.

    Args:
        name: Its name.
        mean: Its mean.
        deviation: Its standard deviation.
        flair_mean: The mean of the training data.
        flair_deviation: Their standard deviation.
        off: By how many of their deviations the means differ.
        notable: Whether that is much.
        at_0: Share of pixels at 0.
        at_255: Share of pixels at 255.
    """

    name: str
    mean: float
    deviation: float
    flair_mean: float
    flair_deviation: float
    off: float
    notable: bool
    at_0: float
    at_255: float


@dataclass(frozen=True)
class SourceRow:
    """An input.

    Args:
        title: What it is.
        files: Names of its files.
        pixel: Ground sampling distance in metres.
        shift: Fractions of its pixel by which its grid lies off the image's, across and down.
        years: Years that the names tell.
        unit: Unit of heights.
    """

    title: str
    files: str
    pixel: float
    shift: tuple[float, float]
    years: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Picture:
    """A small picture.

    Args:
        title: What it shows.
        address: `data:` address, see `engine.reports.pictures`.
    """

    title: str
    address: str


@dataclass(frozen=True)
class PreparationReport:
    """All that a report shows, as plain values.

    Args:
        title: Heading, such as the name of the image.
        summary: Label and text of each line of the overview.
        bands: One row a band.
        sources: One row an input.
        correlations: Name and correlation of each colour with infrared.
        order: Name and correlation of the infrared image's own red and green with the orthophoto's.
        stretches: Name of a band, the value that became 0, and the value that became 255.
        gaps: Tile, what it lacks, and the share that it lacks.
        pictures: Pictures.
        notes: Warnings.
        options: Options of the run.
    """

    title: str
    summary: Sequence[tuple[str, str]] = ()
    bands: Sequence[BandRow] = ()
    sources: Sequence[SourceRow] = ()
    correlations: Sequence[tuple[str, float]] = ()
    order: Sequence[tuple[str, float]] = ()
    stretches: Sequence[tuple[str, float, float]] = ()
    gaps: Sequence[tuple[str, str, float]] = ()
    pictures: Sequence[Picture] = ()
    notes: Sequence[str] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


def render(report: PreparationReport) -> str:
    """Return the report as one HTML page that needs no other file and no script."""
    starts = range(0, len(report.pictures), _PICTURES_A_ROW)
    return render_page(
        "preparation.html",
        report=report,
        half=(len(report.summary) + 1) // 2,
        gaps=report.gaps[:MOST_GAPS],
        picture_rows=[report.pictures[start : start + _PICTURES_A_ROW] for start in starts],
        options=list(flat_options(report.options)),
    )

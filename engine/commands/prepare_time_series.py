"""From Sentinel-2 downloads to a folder of satellite images over the ground of an aerial one."""

from __future__ import annotations

import csv
import io
import shutil
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.transform import array_bounds

from engine import __version__
from engine.data.time_series.date_folder import MASKS
from engine.data.time_series.season_folder import SENTINEL_2, band_name
from engine.errors import Cancelled, InputError, RequestError
from engine.events import Reporter, format_duration, timed_progress
from engine.rasters.area import parse_extent
from engine.rasters.headers import describe_all
from engine.rasters.input_files import listed_files
from engine.rasters.result_folder import FolderKind
from engine.rasters.source import stamp
from engine.requests import PrepareTimeSeriesRequest
from engine.seasons.date_image import DateFacts, Stop, lacking, write_date
from engine.seasons.months import write_month
from engine.seasons.products import Date, Product, dates_of, find_products
from engine.seasons.series_grid import Extent, SeriesGrid, grid_around
from engine.seasons.work import SeriesWork

TABLE = "dates.csv"
MADE, MONTHS = 0.9, 0.98
WORTH_KEEPING_SECONDS = 60.0
# From this day on pixels of the operator's products hold 1000 more, which only the product's name tells.
SHIFTED_SINCE = (2022, 1, 25)
SERIES = FolderKind("series", frozenset({MASKS, TABLE}), r"\d{4}-\d\d-\d\d\.tif(\.aux\.xml)?")


@dataclass(frozen=True)
class _Row:
    """What became of a date."""

    date: Date
    products: tuple[str, ...]
    reason: str
    facts: DateFacts | None

    @property
    def name(self) -> str:
        return image_name(self.date)

    def values(self) -> dict[str, Any]:
        share = {
            f"{key}_percent": None if self.facts is None else round(100 * float(getattr(self.facts, key)), 1)
            for key in ("shown", "cloud", "snow")
        }
        if self.facts is None or not self.facts.masked:
            share["cloud_percent"] = share["snow_percent"] = None
        return {
            "date": self.name.removesuffix(".tif"),
            "kept": not self.reason,
            "reason": self.reason,
            "products": "; ".join(self.products),
            **share,
        }


def run(request: PrepareTimeSeriesRequest, reporter: Reporter, cancelled: threading.Event) -> dict[str, Any]:
    """Cut a series to the ground of an image.

    Args:
        request: What to do.
        reporter: Receives progress, facts and warnings.
        cancelled: Set to stop; finished dates are kept for the next run.

    Returns:
        Paths of folder and table; kept and dropped (numbers of dates), images (of the folder), dates (what became of
        each), bands, crs, pixels (of an image), seconds.

    Raises:
        EngineError: Something is wrong with the request, the downloads, the ground or the disk.
    """
    began = time.monotonic()

    def stop() -> None:
        if cancelled.is_set():
            raise Cancelled

    output, folder = Path(request.output).expanduser().absolute(), Path(request.input).expanduser().absolute()
    _check_output(output, folder, overwrite=request.overwrite)
    products = find_products(folder)
    bands = tuple(band_name(name) for name in request.season_bands or SENTINEL_2)
    if len(set(bands)) != len(bands):
        raise RequestError("A satellite band is named twice.", f"The default is {','.join(SENTINEL_2)}.")
    example = products[0]
    first = example.stacked or next(iter(example.bands.values()))
    grid = grid_around(_extent(request, reporter, cancelled), first, request.pixel_size, request.margin)
    dates = dates_of(products)
    reporter.log(
        f"{len(dates)} dates of {len(products)} products, to {grid.width} x {grid.height} pixels of "
        f"{request.pixel_size:g} m in {grid.crs.to_string()[:40]}."
    )
    _warn_of_offsets(request, products, reporter)
    work = SeriesWork(output, _fingerprint(request, products, grid), resume=request.resume)
    try:
        if work.resumed and work.begun:
            reporter.log("Going on with the dates that are done.")
        rows = _make(request, dates, grid, bands, work, reporter, stop)
        kept = [row for row in rows if not row.reason]
        _check_kept(rows, kept, folder, request, reporter)
        images = _finish(request, kept, grid, bands, work, output, rows, reporter, stop)
    except BaseException as error:
        if work.begun and (isinstance(error, Cancelled) or time.monotonic() - began > WORTH_KEEPING_SECONDS):
            reporter.log("The finished dates are kept: the same command goes on from there.")
            work.close()
        else:
            work.remove()
        raise
    work.remove()
    seconds = time.monotonic() - began
    reporter.progress(1.0, f"Done in {format_duration(seconds)}", 0.0)
    return {
        "output": str(output),
        "table": str(output / TABLE),
        "kept": len(kept),
        "dropped": len(rows) - len(kept),
        "images": images,
        "dates": [row.values() for row in rows],
        "bands": list(bands),
        "crs": grid.crs.to_string(),
        "pixels": grid.height * grid.width,
        "seconds": round(seconds, 2),
    }


def image_name(date: Date) -> str:
    """Return the name of a date's image."""
    return f"{date[0]:04}-{date[1]:02}-{date[2]:02}.tif"


def _check_output(output: Path, folder: Path, *, overwrite: bool) -> None:
    if output == folder or folder in output.parents or output in folder.parents:
        raise InputError(f"The output '{output}' and the downloads lie in one another.", "Choose another output.")
    SERIES.check(output, (), overwrite=overwrite)


def _extent(request: PrepareTimeSeriesRequest, reporter: Reporter, cancelled: threading.Event) -> Extent:
    given = _crs(request.crs) if request.crs else None
    if request.extent:
        left, right, bottom, top, crs = parse_extent(request.extent)
        crs = crs or given
        if crs is None:
            raise RequestError("The extent names no CRS.", f"Write it behind: {request.extent} [EPSG:2154], or --crs.")
        return Extent((left, bottom, right, top), crs, "The extent")
    boxes: list[tuple[float, float, float, float]] = []
    found = given
    for file in describe_all(listed_files(request.image or []), reporter, cancelled):
        crs = file.crs or given
        if not crs:
            raise InputError(f"'{file.path}' has no CRS.", "Name it, such as --crs EPSG:2154.")
        if found is not None and boxes and crs != found:
            raise InputError(f"'{file.path}' has another CRS than the images before it.", "Prepare them one by one.")
        found = crs
        boxes.append(array_bounds(file.height, file.width, file.transform))
    if found is None:
        raise InputError("There is no image.", "Name one (--image), or an extent.")
    sides = list(zip(*boxes, strict=True))
    return Extent((min(sides[0]), min(sides[1]), max(sides[2]), max(sides[3])), found, "The image's ground")


def _crs(name: str) -> CRS:
    try:
        return CRS.from_user_input(name)
    except (CRSError, ValueError) as error:
        raise RequestError(f"The CRS '{name}' is not known.", "Name it as EPSG:2154.") from error


def _warn_of_offsets(request: PrepareTimeSeriesRequest, products: Sequence[Product], reporter: Reporter) -> None:
    unknown = [item for item in products if item.shift is None and item.date >= SHIFTED_SINCE]
    if unknown and request.offset is None:
        reporter.warning(
            f"{len(unknown)} products since 25 January 2022, such as {unknown[0].name}, do not tell of their "
            "processing. The operator's own hold 1000 more than earlier ones: if these are some, give --offset -1000."
        )


def _fingerprint(request: PrepareTimeSeriesRequest, products: Sequence[Product], grid: SeriesGrid) -> list[Any]:
    options = request.model_dump(include={"season_bands", "offset", "clear_only"})
    files = [[str(file), *stamp(str(file))] for product in products for file in product.files]
    return [__version__, options, [grid.crs.to_wkt(), list(grid.transform)[:6], grid.height, grid.width], files]


def _make(
    request: PrepareTimeSeriesRequest,
    dates: Sequence[tuple[Date, list[Product]]],
    grid: SeriesGrid,
    bands: Sequence[str],
    work: SeriesWork,
    reporter: Reporter,
    stop: Stop,
) -> list[_Row]:
    step, rows = timed_progress(reporter), []

    for number, (date, products) in enumerate(dates):
        stop()
        step(MADE * number / len(dates), f"Date {number + 1} of {len(dates)}")
        row = _row(request, date, products, grid, bands, work, stop)
        if row.reason:
            for path in (work.series / row.name, work.series / MASKS / row.name):
                path.unlink(missing_ok=True)
        reporter.log(f"  {row.name.removesuffix('.tif')}  {row.reason or 'kept'}")
        rows.append(row)
    return rows


def _row(
    request: PrepareTimeSeriesRequest,
    date: Date,
    products: Sequence[Product],
    grid: SeriesGrid,
    bands: Sequence[str],
    work: SeriesWork,
    stop: Stop,
) -> _Row:
    names = tuple(product.name for product in products)
    missing = [lacking(product, bands) for product in products]
    whole = [product for product, bands_missing in zip(products, missing, strict=True) if not bands_missing]
    if not whole:
        return _Row(date, names, f"without {', '.join(missing[0])}", None)
    name = image_name(date)
    facts = work.facts(name)
    if facts is None:
        facts = write_date(work.series / name, whole, grid, bands, request.offset, stop, with_masks=request.clear_only)
        work.keep(name, facts)
    if not facts.shown:
        return _Row(date, names, "shows nothing of the ground", facts)
    if not facts.clear:
        return _Row(date, names, "snow and clouds over half or more of every patch", facts)
    return _Row(date, names, "", facts)


def _check_kept(
    rows: Sequence[_Row], kept: Sequence[_Row], folder: Path, request: PrepareTimeSeriesRequest, reporter: Reporter
) -> None:
    if not kept:
        reasons = sorted({row.reason for row in rows})
        raise InputError(
            f"None of the {len(rows)} dates in '{folder}' is of use: {'; '.join(reasons)}.",
            "Check that the downloads lie over the ground and hold all bands.",
        )
    if request.clear_only and not any(row.facts and row.facts.masked for row in kept):
        reporter.warning(
            "Nothing tells of clouds (SCL, MSK_CLDPRB, CLM), so that all dates are kept: take cloudy ones out yourself."
        )
    partly = [row for row in kept if row.facts and row.facts.shown < 0.999]
    if len(partly) == len(kept):
        reporter.warning("No date shows all of the ground: where none does, a map says what the image alone tells.")


def _finish(
    request: PrepareTimeSeriesRequest,
    kept: Sequence[_Row],
    grid: SeriesGrid,
    bands: Sequence[str],
    work: SeriesWork,
    output: Path,
    rows: Sequence[_Row],
    reporter: Reporter,
    stop: Stop,
) -> int:
    """Bring the series into its place; return the number of its images."""
    with SERIES.staged(output, overwrite=request.overwrite) as folder:
        if request.monthly:
            images = _write_months(kept, grid, bands, work, folder.path, reporter, stop)
        else:
            images = len(kept)
            for row in kept:
                _move(work.series, folder.path, row.name)
        (folder.path / TABLE).write_text(_table(rows), encoding="utf-8", newline="")
        reporter.progress(MONTHS, "Writing the series")
    return images


def _write_months(
    kept: Sequence[_Row],
    grid: SeriesGrid,
    bands: Sequence[str],
    work: SeriesWork,
    target: Path,
    reporter: Reporter,
    stop: Stop,
) -> int:
    months: dict[int, list[_Row]] = {}
    for row in kept:
        months.setdefault(row.date[1], []).append(row)
    images = 0
    for number, (month, rows) in enumerate(sorted(months.items())):
        reporter.progress(MADE + (MONTHS - MADE) * number / len(months), f"Mean of month {month}")
        path = target / image_name((rows[0].date[0], month, 15))
        if write_month(path, [work.series / row.name for row in rows], grid, bands, stop):
            images += 1
        else:
            path.unlink()
    return images


def _move(source: Path, target: Path, name: str) -> None:
    # Linked, not moved: until the folder has its name, the next run may need them again.
    for part in (Path(name), Path(MASKS) / name):
        if (source / part).is_file():
            (target / part).parent.mkdir(exist_ok=True)
            try:
                (target / part).hardlink_to(source / part)
            except OSError:
                shutil.copyfile(source / part, target / part)


def _table(rows: Sequence[_Row]) -> str:
    text = io.StringIO()
    values = [row.values() for row in rows]
    writer = csv.DictWriter(text, list(values[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(values)
    return text.getvalue()

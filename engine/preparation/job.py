"""What is checked and settled before pixels are made."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.errors import InputError, OutputError, RequestError
from engine.events import Reporter
from engine.preparation.direct import reasons_against
from engine.preparation.heights import HeightModel
from engine.preparation.inputs import find_files
from engine.preparation.product_names import Product
from engine.preparation.service_inputs import ProductServices
from engine.preparation.sources import (
    HeightUnit,
    bounds_of,
    height_band,
    height_unit,
    infrared_bands,
    open_beside,
    open_image,
    pixel_metres,
)
from engine.preparation.stack import Stack
from engine.preparation.stretch import Stretch
from engine.preparation.target import Target
from engine.preparation.tile_gaps import Gap, neighbour_gaps, partner_gaps, year_warnings, years_of
from engine.rasters.source import RasterSource
from engine.rasters.staged_output import check_overwrite, check_writable
from engine.requests.inputs import PrepareInputRequest
from engine.services.inputs import files_among

_PRODUCTS: dict[str, Product] = {"rgb": "rgb", "irc": "irc", "dsm": "dsm", "dtm": "dtm", "height": "height"}
_MOST_NAMED = 3
# Data exactly as far away as holes are filled from still counts.
_ROUNDING = 1 + 1e-9


@dataclass(frozen=True)
class SourceFacts:
    """What is to be told of an input.

    Args:
        option: Its option.
        files: Names of its files.
        pixel: Its ground sampling distance in metres.
        shift: Fractions of its pixel by which its grid lies off the one to write, across and down.
        exact: Whether its pixels are those to write, so that they are copied.
        extent: xmin, xmax, ymin, ymax.
        years: Years that the names carry.
        unit: Unit of heights, empty for images.
    """

    option: str
    files: tuple[str, ...]
    pixel: float
    shift: tuple[float, float]
    exact: bool
    extent: tuple[float, float, float, float]
    years: tuple[int, ...]
    unit: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as JSON values."""
        return {
            "option": self.option,
            "files": list(self.files),
            "ground_sampling_distance": round(self.pixel, 6),
            "shift": [round(value, 4) for value in self.shift],
            "exact": self.exact,
            "extent": list(self.extent),
            "years": list(self.years),
            "unit": self.unit,
        }


@dataclass(frozen=True)
class Job:
    """Everything that is known before pixels are read.

    Args:
        request: What to do.
        output: Image to write.
        report: Report to write.
        stack: The inputs on one grid.
        units: Units of the height models.
        sources: What is to be told of each input.
        gaps: Missing tiles.
    """

    request: PrepareInputRequest
    output: Path
    report: Path
    stack: Stack
    units: tuple[HeightUnit, ...]
    sources: tuple[SourceFacts, ...]
    gaps: tuple[Gap, ...]

    @property
    def virtual(self) -> bool:
        """Whether the output is a virtual raster."""
        return self.output.suffix.lower() == ".vrt"

    @property
    def infrared_numbers(self) -> tuple[int, ...]:
        """Band numbers of near infrared, red, green, or of infrared alone."""
        return self.stack.infrared.band_numbers if self.stack.infrared else ()

    def with_stretches(self, stretches: dict[str, Stretch]) -> Job:
        """Return the job with the conversions to 8 bits."""
        return replace(self, stack=replace(self.stack, stretches=stretches))

    def fingerprint(self) -> dict[str, Any]:
        """Return everything that decides the pixels, as JSON values."""
        stack, target = self.stack, self.stack.target
        return {
            "inputs": {
                "rgb": stack.image.fingerprint(),
                "infrared": stack.infrared.fingerprint() if stack.infrared else None,
                "heights": [
                    {**model.source.fingerprint(), "factor": model.factor, "fill": model.fill_pixels}
                    for model in stack.heights
                ],
            },
            "window": [target.window.row, target.window.column, target.window.height, target.window.width],
            "scale": [target.scaled.scale_x, target.scaled.scale_y],
            "stretch": {name: [item.low, item.high] for name, item in stack.stretches.items()},
        }


def prepare(
    request: PrepareInputRequest,
    reporter: Reporter,
    cancelled: threading.Event,
    copying: Reporter | None = None,
) -> Job:
    """Open the inputs and check all that can be known without reading pixels; services are copied first.

    Args:
        request: What to do.
        reporter: Receives facts and warnings.
        cancelled: Set to stop.
        copying: Receives the progress of copying services; default: `reporter`.

    Raises:
        EngineError: Whatever would make the run fail.
    """
    output = Path(request.output).expanduser().absolute()
    report = Path(request.report).expanduser().absolute() if request.report else _beside(output)
    for path in (output, report):
        check_writable(path)
        check_overwrite(path, overwrite=request.overwrite)
    options = ("rgb", "irc", "nir", "dsm", "dtm", "height")
    named = {option: getattr(request, option) for option in options if getattr(request, option)}
    services = ProductServices(request, list(options), copying or reporter, cancelled)
    files = {
        option: find_files(
            files_among(paths), option, _PRODUCTS.get(option), reporter, strict=not request.allow_mismatch
        )
        for option, paths in named.items()
    }
    _check_outputs_are_no_inputs(files, output, report)
    files["rgb"] = services.orthophoto() + files["rgb"]
    image = open_image(files["rgb"], request.bands, request.crs, request.nodata, reporter)
    target = Target.of(image, request.ground_sampling_distance, request.extent)
    for option in files:
        if option != "rgb":
            files[option] = services.beside(option, image, target) + files[option]
    infrared = _open_infrared(request, files, image, reporter)
    stack = Stack(target, image, infrared)
    heights, units = _open_heights(request, files, stack, reporter)
    stack = replace(stack, heights=heights)
    job = Job(request, output, report, stack, units, _facts(files, stack, units), _gaps(files, stack))
    if job.virtual:
        # Its conversion to 8 bits is not measured yet, but that there is one is known.
        wide = [s for s in (image, infrared) if s and s.dtype != "uint8"]
        reasons = reasons_against(replace(stack, stretches={"red": Stretch(0, 255)} if wide else {}))
        if reasons:
            raise RequestError(
                f"The image cannot be written as a virtual raster: {'; '.join(reasons)}.",
                "Give an output that ends in .tif.",
            )
    _say(job, reporter)
    return job


def _beside(output: Path) -> Path:
    return output.with_name(f"{output.stem}_report.html")


def _check_outputs_are_no_inputs(files: dict[str, list[str]], output: Path, report: Path) -> None:
    if output.resolve() == report.resolve():
        raise OutputError("The image and its report have the same name.", "Give each its own.")
    inputs = {Path(path).resolve() for paths in files.values() for path in paths}
    clash = inputs & {output.resolve(), report.resolve()}
    if clash:
        raise InputError(f"'{next(iter(clash))}' is both input and output.", "Give the output another name.")


def _open_infrared(
    request: PrepareInputRequest, files: dict[str, list[str]], image: RasterSource, reporter: Reporter
) -> RasterSource | None:
    option = next((name for name in ("irc", "nir") if name in files), None)
    if option is None:
        return None
    bands = infrared_bands(files[option][0], request.infrared_band, option, reporter)
    return open_beside(files[option], option, bands, request.crs, image, reporter)


def _open_heights(
    request: PrepareInputRequest, files: dict[str, list[str]], stack: Stack, reporter: Reporter
) -> tuple[tuple[HeightModel, ...], tuple[HeightUnit, ...]]:
    models, units = [], []
    for option in ("height", "dsm", "dtm"):
        if option not in files:
            continue
        band = height_band(files[option][0], option)
        source = open_beside(files[option], option, band, request.crs, stack.image, reporter)
        unit = height_unit(source.files[0], request.height_unit)
        if unit.told and unit.factor != 1.0:
            reporter.log(f"{option} measures in feet: its heights are multiplied by {unit.factor:.6g}.")
        fill = request.fill_distance / max(pixel_metres(source)) * _ROUNDING
        models.append(HeightModel(source, stack.alignment(source), unit.factor, fill))
        units.append(unit)
    if len({unit.factor for unit in units}) > 1:
        reporter.warning("The surface model and the terrain model say that they measure in different units.")
    return tuple(models), tuple(units)


def _opened(files: dict[str, list[str]], stack: Stack) -> dict[str, RasterSource]:
    """Return the sources by option."""
    opened = {"rgb": stack.image}
    if stack.infrared:
        opened["irc" if "irc" in files else "nir"] = stack.infrared
    heights = [option for option in ("height", "dsm", "dtm") if option in files]
    opened.update(zip(heights, (model.source for model in stack.heights), strict=True))
    return opened


def _facts(files: dict[str, list[str]], stack: Stack, units: Sequence[HeightUnit]) -> tuple[SourceFacts, ...]:
    opened = _opened(files, stack)
    years = years_of(opened)
    told = iter(units)
    facts = []
    for option, source in opened.items():
        unit = ""
        if option in ("height", "dsm", "dtm"):
            found = next(told)
            unit = ("foot" if found.factor != 1.0 else "metre") + ("" if found.told else " (assumed)")
        alignment = stack.alignment(source)
        facts.append(
            SourceFacts(
                option,
                tuple(file.name for file in source.files),
                math.sqrt(math.prod(pixel_metres(source))),
                alignment.shift,
                alignment.exact,
                bounds_of(source),
                tuple(years.get(option, ())),
                unit,
            )
        )
    return tuple(facts)


def _gaps(files: dict[str, list[str]], stack: Stack) -> tuple[Gap, ...]:
    gaps = neighbour_gaps(stack.image, stack.target.grid)
    for option, source in _opened(files, stack).items():
        if option != "rgb":
            gaps += partner_gaps(stack.image, option, source, stack.target.grid)
    return tuple(gaps)


def _say(job: Job, reporter: Reporter) -> None:
    request, stack = job.request, job.stack
    grid = stack.target.grid
    reporter.log(f"To write: {grid.width} x {grid.height} pixels, {', '.join(stack.bands)}, into {job.output.name}.")
    for facts in job.sources[1:]:
        across, down = facts.shift
        resampled = f"resampled, its grid is off the one to write by {across:+.2f} and {down:+.2f} of its pixels"
        files = facts.files[0] if len(facts.files) == 1 else f"{len(facts.files)} files"
        where = "on the grid to write" if facts.exact else resampled
        reporter.log(f"{facts.option}: {files}, {facts.pixel:.3g} m, {where}.")
    wide = [s for s in (stack.image, stack.infrared) if s and s.dtype != "uint8"]
    if not wide and (request.percentiles or request.value_range):
        reporter.warning("The imagery has 8 bits already and stays as it is: percentiles and value_range do nothing.")
    for text in year_warnings({facts.option: list(facts.years) for facts in job.sources if facts.years}):
        reporter.warning(text)
    for option in ("rgb", "irc", "nir", "dsm", "dtm", "height"):
        missing = [gap for gap in job.gaps if gap.missing == option]
        if missing:
            names = ", ".join(gap.tile for gap in missing[:_MOST_NAMED])
            more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
            what = "The orthophoto has no tile at" if option == "rgb" else f"{option} is missing, or not whole, for"
            reporter.warning(f"{what} {names}{more}.")
    if not stack.infrared:
        reporter.log("There is no infrared: models with infrared cannot use this image.")

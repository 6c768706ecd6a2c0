"""What is checked and settled before a network is loaded; none of it needs torch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from engine.errors import DeviceError, InputError
from engine.events import Reporter
from engine.inference.device import choose_device
from engine.inference.predictor import Head
from engine.inference.value_checks import SAMPLE_SIDE, SAMPLES, check_values
from engine.models.catalogue import find_entry, load_catalogue
from engine.models.manifest import Manifest
from engine.models.resolve import ResolvedModel, resolve_model
from engine.rasters.area import AreaOfInterest, area_from_extent, area_from_polygons, whole_area
from engine.rasters.model_grid import ModelGrid
from engine.rasters.plan import STRIDE
from engine.rasters.sheets import SheetGrid, check_sheets
from engine.rasters.source import RasterSource
from engine.rasters.staged_output import check_overwrite, check_writable
from engine.rasters.virtual_raster import OutputGrid
from engine.rasters.windows import PixelWindow
from engine.requests import ClassifyRequest
from engine.services.address import is_service
from engine.services.frame import Part
from engine.services.inputs import copied_inputs, services_among

if TYPE_CHECKING:
    from engine.inference.season_ground import SeasonGround

LARGEST_SCALE = 4.0
# Side of the pieces in which data is looked for.
SEARCHED_SIDE = 2048
# Context in model pixels; `benchmarks/seams.py` prints how many pixels change with it.
MARGIN = 96
COLOURS = ("red", "green", "blue")


@dataclass(frozen=True)
class Job:
    """Everything that is known before a network is loaded."""

    request: ClassifyRequest
    model: ResolvedModel
    device: str
    source: RasterSource
    area: AreaOfInterest
    grid: ModelGrid
    season: SeasonGround | None = None

    @property
    def layers(self) -> list[str]:
        """Names of the layers to store."""
        wanted = {"confidence": self.request.confidence, "probabilities": self.request.probabilities}
        return ["classes", *(name for name, path in wanted.items() if path)]

    @property
    def sheets(self) -> SheetGrid | None:
        """How the output is cut into sheets; None for one file."""
        request = self.request
        one = request.layout == "single"
        return None if one else SheetGrid(self.output_grid, request.sheet_size, self.output.stem)

    @property
    def output(self) -> Path:
        """The class raster, or the mosaic over its sheets."""
        return Path(self.request.output)

    @property
    def head(self) -> Head:
        """What the network must give."""
        if "probabilities" in self.layers or self.request.blend or self.request.augment:
            return "probabilities"
        return "confidence" if "confidence" in self.layers else "codes"

    @property
    def output_grid(self) -> OutputGrid:
        """The output's grid: the image's, cut to the area."""
        window = self.area.window
        transform = self.source.transform * self.source.transform.translation(window.column, window.row)
        return OutputGrid(window.width, window.height, transform, self.source.crs)


def prepare(
    request: ClassifyRequest,
    reporter: Reporter,
    cancelled: threading.Event,
    copying: Reporter | None = None,
    device: str | None = None,
) -> Job:
    """Check all that can be known without torch; services are copied first.

    Args:
        request: What to do.
        reporter: Receives facts and warnings.
        cancelled: Set to stop.
        copying: Receives the progress of copying services; default: `reporter`.
        device: Device of the job; default: the one of this computer that the request asks for.

    Raises:
        EngineError: Whatever would make the run fail.
    """
    for path in _output_paths(request):
        check_writable(path)
        check_overwrite(path, overwrite=request.overwrite)
    device = device or job_device(request, choose_device(request.device, reporter))
    # Weights that have to be downloaded come last: whatever is wrong with the image is said before.
    named = request.model in load_catalogue() and not request.weights
    model = None if named else _resolved(request, reporter, cancelled)
    manifest = model.manifest if model is not None else find_entry(request.model).manifest
    _check_season(request, manifest)
    request = _with_copies(request, manifest, copying or reporter, cancelled)
    job = _settled(
        request, manifest, device, lambda: model or _resolved(request, reporter, cancelled), reporter, cancelled
    )
    if request.layout == "sheets":
        check_sheets(Path(request.output), job.output_grid, request.sheet_size, overwrite=request.overwrite)
    return job


def same_job(request: ClassifyRequest, device: str, reporter: Reporter, cancelled: threading.Event) -> Job:
    """Settle in another process what `prepare` settled in the first; outputs are not looked at.

    Args:
        request: The request of a prepared job, with a model that is on the disk.
        device: The job's device.
        reporter: Receives facts and warnings.
        cancelled: Set to stop.

    Raises:
        EngineError: This process does not find what the first one found.
    """
    model = _resolved(request, reporter, cancelled)
    return _settled(request, model.manifest, device, lambda: model, reporter, cancelled)


def job_device(request: ClassifyRequest, device: str) -> str:
    """Return the device that a job takes of one that is at hand: int8 runs on the CPU.

    Raises:
        DeviceError: Another one was asked for by name.
    """
    if request.precision != "int8" or device == "cpu":
        return device
    if request.device != "auto":
        raise DeviceError("int8 runs on the CPU only.", "Use --device cpu, or the precision 'half'.")
    return "cpu"


def _settled(
    request: ClassifyRequest,
    manifest: Manifest,
    device: str,
    model: Callable[[], ResolvedModel],
    reporter: Reporter,
    cancelled: threading.Event,
) -> Job:
    source = RasterSource.open(
        request.input,
        manifest.band_names,
        bands=request.bands,
        crs=request.crs,
        ground_sampling_distance=request.ground_sampling_distance,
        nodata=request.nodata,
        reporter=reporter,
        cancelled=cancelled,
    )
    _check_outputs_are_no_inputs(request, source)
    if request.extent:
        area = area_from_extent(request.extent, source)
    elif request.area:
        area = area_from_polygons(request.area, request.area_layer, source)
    else:
        area = whole_area(source)
    grid = _model_grid(request, manifest, source, reporter)
    season = _opened_season(request, manifest, source, area, grid, reporter, cancelled)
    return Job(request, model(), device, source, area, grid, season)


def _opened_season(
    request: ClassifyRequest,
    manifest: Manifest,
    source: RasterSource,
    area: AreaOfInterest,
    grid: ModelGrid,
    reporter: Reporter,
    cancelled: threading.Event,
) -> SeasonGround | None:
    if request.season is None:
        return None
    from engine.inference.season_checks import check_season
    from engine.inference.season_ground import SeasonGround

    ground = SeasonGround.open(request.season, manifest, source, grid)
    reporter.progress(0.0, "Looking at the satellite images")
    check_season(
        ground, grid.to_model(area.window), allow_range=request.allow_range, reporter=reporter, cancelled=cancelled
    )
    return ground


def _with_copies(
    request: ClassifyRequest, manifest: Manifest, reporter: Reporter, cancelled: threading.Event
) -> ClassifyRequest:
    if not any(is_service(item) for item in request.input):
        return request
    beyond = [name for name in manifest.band_names if name not in COLOURS]
    services = services_among(request.input)
    if beyond and not request.bands and all(item.kind == "wms" and not item.heights for item in services):
        raise InputError(
            f"The model wants {' and '.join(beyond)}, but the pictures of a WMS hold red, green and blue alone.",
            "Make one image of several services first (prepare-input), take a coverage (wcs:), or another model.",
        )
    # The network sees real neighbours around the part that is wanted, as it does in a file.
    margin = MARGIN if request.margin is None else request.margin
    part = Part.of(request.extent, request.area, request.area_layer)
    paths = copied_inputs(request.input, part, manifest.ground_sampling_distance, margin, reporter, cancelled)
    return request.model_copy(update={"input": paths})


def _resolved(request: ClassifyRequest, reporter: Reporter, cancelled: threading.Event) -> ResolvedModel:
    return resolve_model(request.model, request.weights, season=True, reporter=reporter, cancelled=cancelled)


def _check_season(request: ClassifyRequest, manifest: Manifest) -> None:
    if request.season and manifest.season is None:
        raise InputError(
            f"The model '{manifest.name}' looks at aerial images alone: it has no use for the satellite images of "
            f"'{request.season}'.",
            "Leave --season out, or take a model that was trained with a season.",
        )
    if manifest.season is not None and not request.season:
        raise InputError(
            f"The model '{manifest.name}' also looks at the season: satellite images of many dates over the same "
            "ground.",
            "Name the folder that holds them (--season); prepare-time-series makes one of Sentinel-2 downloads.",
        )


def _output_paths(request: ClassifyRequest) -> list[Path]:
    return [Path(item) for item in (request.output, request.confidence, request.probabilities) if item]


def _check_outputs_are_no_inputs(request: ClassifyRequest, source: RasterSource) -> None:
    outputs = [path.resolve() for path in _output_paths(request)]
    if len(set(outputs)) != len(outputs):
        raise InputError("Two outputs have the same name.", "Give each its own.")
    # Resolving thousands of paths takes a while, and only files of one name can be the same.
    named = [path for path in (Path(file.path) for file in source.files) if path.name in {out.name for out in outputs}]
    clash = {path.resolve() for path in named} & set(outputs)
    if clash:
        raise InputError(f"'{next(iter(clash))}' is both input and output.", "Give the output another name.")


def _model_grid(request: ClassifyRequest, manifest: Manifest, source: RasterSource, reporter: Reporter) -> ModelGrid:
    wanted = manifest.ground_sampling_distance
    grid = ModelGrid.fit(source.width, source.height, source.gsd, wanted)
    scale = max(grid.scale_x, grid.scale_y, 1 / grid.scale_x, 1 / grid.scale_y)
    if scale > LARGEST_SCALE:
        text = (
            f"The image has {source.gsd[0]:.3g} m a pixel, the model {wanted:.3g} m: "
            f"{scale:.1f} times off, where the model sees nothing it knows."
        )
        if not request.allow_scale:
            raise InputError(
                text, "Use imagery closer to the model's, give the true --ground-sampling-distance, or --allow-scale."
            )
        reporter.warning(text)
    elif not grid.identity:
        reporter.log(f"Resampling on the fly from {source.gsd[0]:.3g} m to the model's {wanted:.3g} m a pixel.")
    return grid


def sample_values(job: Job, reporter: Reporter) -> list[npt.NDArray[np.generic]]:
    """Check the image's values on samples, and return those on which a faster precision is calibrated and measured.

    Returns:
        Windows of shape (1, C, H, W) with sides of multiples of 32; empty unless half or int8 is wanted on the CPU.

    Raises:
        InputError: The values are not what the model was trained on, or no pixel of the area holds data.
    """
    manifest = job.model.manifest
    samples = job.source.sample(SAMPLES, SAMPLE_SIDE, within=job.area.window)
    whole = PixelWindow(0, 0, job.source.height, job.source.width)
    if not samples or job.area.window != whole or job.area.geometry is not None:
        _check_holds_data(job)
    check_values(samples, manifest, job.source.band_numbers, allow_range=job.request.allow_range, reporter=reporter)
    if job.device != "cpu" or job.request.precision in ("auto", "exact"):
        return []
    from engine.inference.quantise import CALIBRATION_SIDE, CALIBRATION_WINDOWS, CHECKED_WINDOWS
    from engine.inference.tile_loading import filled

    images = []
    fill = [band.mean for band in manifest.bands]
    count = CALIBRATION_WINDOWS + CHECKED_WINDOWS
    for values, valid in job.source.sample(count, CALIBRATION_SIDE, 1, job.area.window):
        pad = [(0, -side % STRIDE) for side in values.shape[1:]]
        image = np.pad(filled(values, valid, fill), [(0, 0), *pad], mode="symmetric")
        images.append(image[np.newaxis])
    return images


def _check_holds_data(job: Job) -> None:
    area = job.area.window
    with job.source.reader() as reader:
        for row in range(area.row, area.bottom, SEARCHED_SIDE):
            for column in range(area.column, area.right, SEARCHED_SIDE):
                piece = PixelWindow(row, column, SEARCHED_SIDE, SEARCHED_SIDE).intersection(area)
                if not (job.area.touches(piece) and job.source.covers(piece)):
                    continue
                if (job.area.mask(piece) & reader.valid(piece)).any():
                    return
    raise nothing_to_classify()


def nothing_to_classify() -> InputError:
    """Return the error for an area without a valid pixel."""
    return InputError(
        "There is nothing to classify: no pixel of the area holds data.",
        "Check the area, and the image's nodata value (--nodata).",
    )

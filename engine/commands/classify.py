"""The main job: from an image and a model to a styled class raster."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import __version__
from engine.errors import DeviceError, InputError
from engine.events import Reporter, format_duration
from engine.inference.device import choose_device
from engine.inference.memory import (
    LARGEST_CPU_WINDOW,
    LARGEST_GPU_WINDOW,
    cpu_budget,
    cuda_budget,
    largest_window,
)
from engine.inference.predictor import Head, Predictor
from engine.inference.value_checks import SAMPLE_SIDE, SAMPLES, check_values
from engine.models.resolve import ResolvedModel, resolve_model
from engine.rasters.area import AreaOfInterest, area_from_extent, area_from_polygons, whole_area
from engine.rasters.model_grid import ModelGrid
from engine.rasters.plan import STRIDE, TilePlan, plan_tiles
from engine.rasters.sheets import check_sheets
from engine.rasters.source import RasterSource
from engine.rasters.staged_output import check_overwrite, check_writable
from engine.rasters.tile_store import TileStore, work_folder
from engine.rasters.virtual_raster import OutputGrid
from engine.requests import ClassifyRequest

# Context in model pixels; `benchmarks/seams.py` prints how many pixels change with it.
MARGIN = 64
LARGEST_SCALE = 4.0
# Share of the progress bar; the rest is writing the final file.
PREDICTED = 0.95


@dataclass(frozen=True)
class Job:
    """Everything that is known before a network is loaded."""

    request: ClassifyRequest
    model: ResolvedModel
    device: str
    source: RasterSource
    area: AreaOfInterest
    grid: ModelGrid

    @property
    def layers(self) -> list[str]:
        """Names of the layers to store."""
        wanted = {"confidence": self.request.confidence, "probabilities": self.request.probabilities}
        return ["classes", *(name for name, path in wanted.items() if path)]

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


def run(request: ClassifyRequest, reporter: Reporter, cancelled: threading.Event) -> dict[str, Any]:
    """Classify an image.

    Args:
        request: What to do.
        reporter: Receives progress, facts and warnings.
        cancelled: Set to stop; finished tiles are kept for the next run.

    Returns:
        Paths of the outputs, pixels by class, seconds, device.

    Raises:
        EngineError: Something is wrong with the request, the input, the model, the device or the disk.
    """
    began = time.monotonic()
    job = prepare(request, reporter)
    samples = sample_values(job, reporter)
    # Held from here on, so that a second run of the same output ends before it costs anything.
    store = _open_store(job, reporter)
    try:
        counts, extra = _predict(job, store, samples, reporter, cancelled)
        outputs = _write_outputs(job, store, extra, reporter, cancelled)
    except BaseException:
        store.close()
        raise
    store.remove()
    seconds = time.monotonic() - began
    reporter.progress(1.0, f"Done in {format_duration(seconds)}", 0.0)
    return {
        **outputs,
        "classes": {str(code): pixels for code, pixels in counts.items()},
        "pixels": sum(counts.values()),
        "seconds": round(seconds, 2),
        **{key: value for key, value in extra.items() if value is not None},
    }


def prepare(request: ClassifyRequest, reporter: Reporter) -> Job:
    """Check all that can be known without torch.

    Raises:
        EngineError: Whatever would make the run fail.
    """
    for path in _output_paths(request):
        check_writable(path)
        check_overwrite(path, overwrite=request.overwrite)
    device = choose_device(request.device)
    if request.precision == "int8" and device != "cpu":
        if request.device != "auto":
            raise DeviceError("int8 runs on the CPU only.", "Use --device cpu, or the precision 'half'.")
        device = "cpu"
    model = resolve_model(request.model, request.weights)
    source = RasterSource.open(
        request.input,
        model.manifest.band_names,
        bands=request.bands,
        crs=request.crs,
        ground_sampling_distance=request.ground_sampling_distance,
        nodata=request.nodata,
        reporter=reporter,
    )
    _check_outputs_are_no_inputs(request)
    if request.extent:
        area = area_from_extent(request.extent, source)
    elif request.area:
        area = area_from_polygons(request.area, request.area_layer, source)
    else:
        area = whole_area(source)
    grid = _model_grid(request, model, source, reporter)
    job = Job(request, model, device, source, area, grid)
    if request.layout == "sheets":
        check_sheets(Path(request.output), job.output_grid, request.sheet_size, overwrite=request.overwrite)
    return job


def _output_paths(request: ClassifyRequest) -> list[Path]:
    return [Path(item) for item in (request.output, request.confidence, request.probabilities) if item]


def _check_outputs_are_no_inputs(request: ClassifyRequest) -> None:
    outputs = [path.resolve() for path in _output_paths(request)]
    if len(set(outputs)) != len(outputs):
        raise InputError("Two outputs have the same name.", "Give each its own.")
    clash = {Path(item).resolve() for item in request.input} & set(outputs)
    if clash:
        raise InputError(f"'{next(iter(clash))}' is both input and output.", "Give the output another name.")


def _model_grid(request: ClassifyRequest, model: ResolvedModel, source: RasterSource, reporter: Reporter) -> ModelGrid:
    wanted = model.manifest.ground_sampling_distance
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
    """Check the image's values on samples, and return what int8 is calibrated on.

    Returns:
        Windows of shape (1, C, H, W) with sides of multiples of 32; empty unless int8 is wanted.

    Raises:
        InputError: The values are not what the model was trained on.
    """
    manifest = job.model.manifest
    samples = job.source.sample(SAMPLES, SAMPLE_SIDE)
    check_values(samples, manifest, job.source.band_numbers, allow_range=job.request.allow_range, reporter=reporter)
    if job.request.precision != "int8":
        return []
    from engine.inference.pipeline import filled
    from engine.inference.quantise import CALIBRATION_SIDE, CALIBRATION_WINDOWS, CHECKED_WINDOWS

    images = []
    fill = [band.mean for band in manifest.bands]
    for values, valid in job.source.sample(CALIBRATION_WINDOWS + CHECKED_WINDOWS, CALIBRATION_SIDE, seed=1):
        pad = [(0, -side % STRIDE) for side in values.shape[1:]]
        image = np.pad(filled(values, valid, fill), [(0, 0), *pad], mode="symmetric")
        images.append(image[np.newaxis])
    return images


def _open_store(job: Job, reporter: Reporter) -> TileStore:
    from engine.rasters.percent_raster import confidence_layer, probabilities_layer
    from engine.rasters.tile_store import CLASSES
    from engine.rasters.virtual_raster import Layer

    known = {
        "classes": Layer(CLASSES, 1, "uint8", 0),
        "confidence": confidence_layer(),
        "probabilities": probabilities_layer(job.model.manifest.nomenclature),
    }
    options = job.request.model_dump(
        include={"precision", "blend", "augment", "window", "margin", "allow_scale", "ground_sampling_distance"}
    )
    fingerprint = {
        "version": __version__,
        "model": job.model.sha256,
        "manifest": job.model.manifest.to_json(),
        "input": job.source.fingerprint(),
        "area": job.area.fingerprint(),
        "device": job.device,
        **options,
    }
    output = Path(job.request.output)
    return TileStore.open(
        work_folder(output),
        fingerprint,
        job.output_grid,
        [known[name] for name in job.layers],
        resume=job.request.resume,
        reporter=reporter,
    )


def _predict(
    job: Job,
    store: TileStore,
    samples: list[npt.NDArray[np.generic]],
    reporter: Reporter,
    cancelled: threading.Event,
) -> tuple[dict[int, int], dict[str, Any]]:
    from engine.inference.load import load_predictor
    from engine.inference.pipeline import Pipeline
    from engine.inference.window_classifier import WindowClassifier

    request, manifest = job.request, job.model.manifest
    reporter.progress(0.0, "Loading the model")
    loaded = load_predictor(
        job.model,
        job.device,
        request.precision,
        job.head,
        samples,
        pixels=job.area.window.pixels,
        threads=request.threads,
        reporter=reporter,
    )
    predictor = loaded.predictor
    plan, batch_size = _plan(job, store, predictor)
    classifier = WindowClassifier(
        predictor, manifest.nomenclature, request.blend, request.augment, _once(reporter.warning)
    )
    reporter.log(
        f"{manifest.name} on {predictor.device} ({predictor.precision}): {len(plan)} tiles of up to "
        f"{plan.columns.size} x {plan.rows.size} pixels."
    )
    Pipeline(
        source=job.source,
        grid=job.grid,
        area=job.area,
        plan=plan,
        fill=[band.mean for band in manifest.bands],
        classifier=classifier,
        store=store,
        layers=job.layers,
        batch_size=batch_size,
        reporter=reporter,
        cancelled=cancelled,
    ).run(0.0, PREDICTED)
    counts = store.counts()
    if not counts:
        raise InputError(
            "There is nothing to classify: no pixel of the area holds data.",
            "Check the area, and the image's nodata value (--nodata).",
        )
    return counts, {
        "device": predictor.device,
        "precision": predictor.precision,
        "agreement": None if loaded.agreement is None else round(loaded.agreement, 5),
        "computed_ratio": round(plan.computed_pixels / job.area.window.pixels, 4),
    }


def _plan(job: Job, store: TileStore, predictor: Predictor) -> tuple[TilePlan, int]:
    """Cut the area; a resumed run is cut as it was begun."""
    from engine.inference.window_classifier import BLENDED_SIDE

    request = job.request
    on_cuda = job.device.startswith("cuda")
    budget = cuda_budget(job.device, request.memory) if on_cuda else cpu_budget(request.memory)
    upper = LARGEST_GPU_WINDOW if on_cuda else LARGEST_CPU_WINDOW
    per_pixel = predictor.bytes_per_pixel
    if job.head == "probabilities":
        per_pixel += 8 * len(job.model.manifest.nomenclature.enabled)
    largest = largest_window(budget, per_pixel, upper)
    margin = MARGIN if request.margin is None else request.margin
    align = STRIDE
    if request.window:
        largest = request.window + 2 * margin
    if request.blend:
        # Every pixel of a core is then seen by all windows that cover it, whichever tile it is in.
        margin = align = BLENDED_SIDE // 2
        largest = max(largest, 4 * margin)
    if store.plan:
        largest, margin = store.plan["largest"], store.plan["margin"]
    else:
        store.save_plan({"largest": largest, "margin": margin})
    plan = plan_tiles(job.grid, job.area.window, margin, largest, align)
    batch_size = request.batch_size or (max(1, min(16, int(budget / per_pixel / plan.window_pixels))) if on_cuda else 1)
    return plan, batch_size


def _once(report: Any) -> Any:
    said: set[str] = set()

    def tell(text: str) -> None:
        if text not in said:
            said.add(text)
            report(text)

    return tell


def _write_outputs(
    job: Job, store: TileStore, extra: dict[str, Any], reporter: Reporter, cancelled: threading.Event
) -> dict[str, Any]:
    from engine.rasters.class_raster import write_class_raster
    from engine.rasters.percent_raster import write_confidence_raster, write_probabilities_raster
    from engine.rasters.sheets import write_sheets

    request, nomenclature = job.request, job.model.manifest.nomenclature
    tags = _tags(job, extra)
    output = Path(request.output)
    share = (1 - PREDICTED) / len(job.layers)
    done = 0

    def progress(part: float) -> None:
        reporter.progress(min(0.999, PREDICTED + share * (done + part)), "Writing the output")

    common: dict[str, Any] = {"overwrite": request.overwrite, "progress": progress, "cancelled": cancelled.is_set}
    outputs: dict[str, Any] = {}
    # The class raster comes last: when it is there, everything is.
    if request.probabilities:
        write_probabilities_raster(store, Path(request.probabilities), nomenclature, tags, **common)
        outputs["probabilities"] = request.probabilities
        outputs["probabilities_style"] = str(Path(request.probabilities).with_suffix(".qml"))
        done += 1
    if request.confidence:
        write_confidence_raster(store, Path(request.confidence), tags, **common)
        outputs["confidence"] = request.confidence
        outputs["confidence_style"] = str(Path(request.confidence).with_suffix(".qml"))
        done += 1
    if request.layout == "sheets":
        outputs["sheets"] = write_sheets(store, output, nomenclature, request.sheet_size, tags, **common)
    else:
        write_class_raster(store, output, nomenclature, tags, **common)
    return {"output": request.output, "style": str(output.with_suffix(".qml")), **outputs}


def _tags(job: Job, extra: dict[str, Any]) -> dict[str, str]:
    manifest, request = job.model.manifest, job.request
    options = request.model_dump(exclude_defaults=True, exclude={"input", "output", "model", "weights"})
    bands = ", ".join(
        f"{name}={number}" for name, number in zip(manifest.band_names, job.source.band_numbers, strict=True)
    )
    agreement = extra.get("agreement")
    return {
        "FLAIR_MODEL": manifest.name,
        "FLAIR_MODEL_SHA256": job.model.sha256,
        "FLAIR_MODEL_LICENCE": manifest.licence,
        "FLAIR_VERSION": __version__,
        "FLAIR_INPUT": ", ".join(Path(item).name for item in request.input[:20]),
        "FLAIR_BANDS": bands,
        "FLAIR_PRECISION": str(extra["precision"]),
        "FLAIR_DEVICE": str(extra["device"]),
        **({"FLAIR_AGREEMENT": str(agreement)} if agreement is not None else {}),
        "FLAIR_OPTIONS": ", ".join(f"{key}={value}" for key, value in sorted(options.items())),
    }

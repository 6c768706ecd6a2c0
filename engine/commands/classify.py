"""The main job: from an image and a model to a styled class raster."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from engine import __version__
from engine.errors import Cancelled, InputError, ModelError
from engine.events import Reporter, format_duration
from engine.inference.classification_job import MARGIN, Job, nothing_to_classify, prepare, sample_values
from engine.inference.load import LoadedPredictor, load_predictor
from engine.inference.memory import (
    LARGEST_CPU_WINDOW,
    LARGEST_GPU_WINDOW,
    cpu_budget,
    cuda_budget,
    largest_window,
)
from engine.inference.predictor import Predictor
from engine.part_reporter import PartReporter
from engine.rasters.plan import STRIDE, TilePlan, plan_tiles
from engine.rasters.tile_store import TileStore, work_folder
from engine.requests import ClassifyRequest
from engine.services.address import is_service
from engine.services.inputs import COPY_PART

# Share of the progress bar; the rest is writing the final file.
PREDICTED = 0.95
# A run that failed sooner than this is as quickly done again.
WORTH_KEEPING_SECONDS = 60.0


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
    copying = reporter
    if any(is_service(item) for item in request.input):
        copying, reporter = PartReporter(reporter, 0.0, COPY_PART), PartReporter(reporter, COPY_PART, 1 - COPY_PART)
    job = prepare(request, reporter, cancelled, copying)
    samples = sample_values(job, reporter)
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
    # Opened only now, so that a run which is stopped while a library loads leaves nothing behind.
    store = _open_store(job, reporter)
    try:
        counts, extra = _predict(job, store, loaded, reporter, cancelled)
        # What the network took serves to write the output.
        del loaded, samples
        outputs = _write_outputs(job, store, extra, reporter, cancelled)
    except BaseException as error:
        _leave(store, error, time.monotonic() - began, reporter)
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


def _leave(store: TileStore, error: BaseException, seconds: float, reporter: Reporter) -> None:
    """Keep finished tiles where going on makes sense, leave nothing behind where it does not."""
    hopeless = isinstance(error, InputError | ModelError)
    stopped = isinstance(error, Cancelled)
    if store.counts() and not hopeless and (stopped or seconds > WORTH_KEEPING_SECONDS):
        reporter.log("The finished tiles are kept: the same command goes on from there.")
        store.close()
    else:
        store.remove()


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
    loaded: LoadedPredictor,
    reporter: Reporter,
    cancelled: threading.Event,
) -> tuple[dict[int, int], dict[str, Any]]:
    from engine.inference.pipeline import Pipeline
    from engine.inference.window_classifier import WindowClassifier

    request, manifest = job.request, job.model.manifest
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
        raise nothing_to_classify()
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

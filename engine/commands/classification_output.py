"""What a classification leaves behind: the rasters, with what they say of themselves."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from engine import __version__
from engine.delivery.sheet_run import SheetRun
from engine.events import Reporter
from engine.inference.classification_job import Job
from engine.inference.computing import Work
from engine.rasters.tile_store import TileStore

# Names of files, and who does the work: the map is the same.
NOT_SAID = {
    "input", "output", "confidence", "probabilities", "model", "weights", "season", "overwrite", "resume", "workers",
    "scheduler",
}  # fmt: skip


def write_outputs(
    job: Job,
    store: TileStore,
    extra: dict[str, Any],
    start: float,
    reporter: Reporter,
    cancelled: threading.Event,
    sheets: SheetRun | None = None,
) -> dict[str, Any]:
    """Write all outputs of a job, the class raster last: when it is there, everything is.

    Args:
        job: The job.
        store: All its tiles.
        extra: How they were computed: `device`, `precision` and, of faster arithmetic, `agreement`.
        start: Progress of the command when this begins, 0 to 1.
        reporter: Receives progress.
        cancelled: Set to stop.
        sheets: Writes the classes as sheets, most of them by now; None for one file.

    Returns:
        Paths of what was written.

    Raises:
        Cancelled: `cancelled` was set.
        OutputError: An output could not be written whole.
    """
    from engine.rasters.class_raster import write_class_raster
    from engine.rasters.percent_raster import write_confidence_raster, write_probabilities_raster

    request, nomenclature = job.request, job.model.manifest.nomenclature
    tags = _tags(job, extra)
    output = Path(request.output)
    share = (1 - start) / len(job.layers)
    done = 0

    def progress(part: float) -> None:
        reporter.progress(min(0.999, start + share * (done + part)), "Writing the output")

    common: dict[str, Any] = {"overwrite": request.overwrite, "progress": progress, "cancelled": cancelled.is_set}
    outputs: dict[str, Any] = {}
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
    if sheets is not None:
        outputs |= sheets.finish(overwrite=request.overwrite, progress=progress)
    else:
        write_class_raster(store, output, nomenclature, tags, **common)
    return {"output": request.output, "style": str(output.with_suffix(".qml")), **outputs}


def begin_sheets(
    job: Job, store: TileStore, work: Work, reporter: Reporter, cancelled: threading.Event
) -> SheetRun | None:
    """Begin to write sheets while the work goes on; None when the output is one file.

    Args:
        job: The job.
        store: Its tiles.
        work: How it is cut and computed.
        reporter: Receives facts.
        cancelled: Set to stop.

    Raises:
        Cancelled: `cancelled` was set.
        OutputError: The index of the sheets cannot be written.
    """
    if work.tiles.sheets is None:
        return None
    return SheetRun(
        store=store,
        output=job.output,
        grid=work.tiles.sheets,
        sheet_size=job.request.sheet_size,
        within=work.tiles.within,
        nomenclature=job.model.manifest.nomenclature,
        tags=_tags(job, work.facts),
        reporter=reporter,
        cancelled=cancelled,
    )


def _tags(job: Job, extra: dict[str, Any]) -> dict[str, str]:
    manifest, request = job.model.manifest, job.request
    options = request.model_dump(exclude_defaults=True, exclude=NOT_SAID)
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
        **({"FLAIR_SEASON": job.season.describe()} if job.season else {}),
        "FLAIR_OPTIONS": ", ".join(f"{key}={value}" for key, value in sorted(options.items())),
    }

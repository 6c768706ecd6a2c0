"""The pipeline of a job: the same in a run of one process and in the workers of a cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable

from engine.inference.classification_job import Job
from engine.inference.pipeline import Pipeline, Write
from engine.inference.predictor import Predictor
from engine.inference.tile_loading import TileLoader
from engine.inference.window_classifier import WindowClassifier


def job_pipeline(
    job: Job,
    predictor: Predictor,
    batch_size: int,
    write: Write,
    warn: Callable[[str], None],
    cancelled: threading.Event,
) -> Pipeline:
    """Return a pipeline that classifies tiles of a job.

    Args:
        job: What is settled.
        predictor: The job's network on its device.
        batch_size: Windows predicted at once.
        write: Keeps a tile.
        warn: Told of what may trouble a person, each thing once.
        cancelled: Set to stop.
    """
    request, manifest = job.request, job.model.manifest
    said: set[str] = set()

    def once(text: str) -> None:
        if text not in said:
            said.add(text)
            warn(text)

    return Pipeline(
        loader=TileLoader(job.source, job.grid, job.area, [band.mean for band in manifest.bands], job.season),
        classifier=WindowClassifier(predictor, manifest.nomenclature, request.blend, request.augment, once),
        layers=job.layers,
        batch_size=batch_size,
        write=write,
        cancelled=cancelled,
    )

"""The network of a job, as the process that settles the job loads it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engine.events import Reporter
from engine.inference.classification_job import Job
from engine.inference.load import LoadedPredictor, load_predictor


def load_job_predictor(job: Job, samples: Sequence[npt.NDArray[np.generic]], reporter: Reporter) -> LoadedPredictor:
    """Load a job's model onto its device.

    Args:
        job: The job.
        samples: What `sample_values` returned.
        reporter: Told what is prepared.

    Raises:
        DeviceError: The device or its arithmetic is absent.
        ModelError: The model cannot be used.
    """
    reporter.progress(0.0, "Loading the model")
    return load_predictor(
        job.model,
        job.device,
        job.request.precision,
        job.head,
        samples,
        pixels=job.area.window.pixels,
        threads=job.request.threads,
        reporter=reporter,
        season=job.season,
    )

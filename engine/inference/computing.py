"""A job computed by this process alone."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from engine.events import Reporter
from engine.inference.classification_job import Job, sample_values
from engine.inference.job_pipeline import job_pipeline
from engine.inference.job_tiles import cut, placed
from engine.inference.load import LoadedPredictor, load_predictor
from engine.inference.memory import cpu_budget, cuda_budget
from engine.inference.run_progress import RunProgress
from engine.inference.tile_keeper import Observer, TileKeeper
from engine.rasters.tile_store import TileStore


class Computing:
    """Computes the tiles of a job; a context manager, at whose end the network is gone from memory.

    Args:
        job: The job.
        reporter: Receives progress, facts and warnings.
        cancelled: Set to stop.
    """

    def __init__(self, job: Job, reporter: Reporter, cancelled: threading.Event) -> None:
        self.job = job
        self._reporter = reporter
        self._cancelled = cancelled
        self._loaded: LoadedPredictor | None = None

    def __enter__(self) -> Computing:
        request = self.job.request
        samples = sample_values(self.job, self._reporter)
        self._reporter.progress(0.0, "Loading the model")
        self._loaded = load_predictor(
            self.job.model,
            self.job.device,
            request.precision,
            self.job.head,
            samples,
            pixels=self.job.area.window.pixels,
            threads=request.threads,
            reporter=self._reporter,
            season=self.job.season,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loaded = None

    def run(self, store: TileStore, end: float, observers: Sequence[Observer] = ()) -> dict[str, Any]:
        """Compute what a store does not hold yet.

        Args:
            store: The job's store.
            end: Progress of the command when all is done, 0 to 1.
            observers: Told of each tile.

        Returns:
            `device`, `precision` and `computed_ratio`, and `agreement` of faster arithmetic.

        Raises:
            Cancelled: It was asked to stop.
            EngineError: A tile could not be read, predicted or stored.
        """
        if self._loaded is None:
            raise RuntimeError("not entered")
        job, predictor, agreement = self.job, self._loaded.predictor, self._loaded.agreement
        on_cuda = job.device.startswith("cuda")
        budget = cuda_budget(job.device, job.request.memory) if on_cuda else cpu_budget(job.request.memory)
        tiles = cut(job, store, predictor.bytes_per_pixel, budget)
        plan = tiles.plan
        self._reporter.log(
            f"{job.model.manifest.name} on {predictor.device} ({predictor.precision}): {len(plan)} tiles of up to "
            f"{plan.columns.size} x {plan.rows.size} pixels."
        )
        progress = RunProgress(tiles.pixels(self._cancelled), 0.0, end, self._reporter)
        keeper = TileKeeper(store, progress, observers)
        pipeline = job_pipeline(
            job,
            predictor,
            tiles.batch_size,
            lambda tile, arrays, seconds: keeper.write(placed(job, tile), arrays, seconds),
            self._reporter.warning,
            self._cancelled,
        )
        pipeline.run(tiles.left(store, progress, self._cancelled))
        if job.season:
            job.season.tell_gaps(self._reporter)
        return {
            "device": predictor.device,
            "precision": predictor.precision,
            "agreement": None if agreement is None else round(agreement, 5),
            "computed_ratio": round(plan.computed_pixels / job.area.window.pixels, 4),
        }

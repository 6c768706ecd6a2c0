"""A job computed by this process alone."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from engine.events import Reporter
from engine.inference.classification_job import Job, sample_values
from engine.inference.job_pipeline import job_pipeline
from engine.inference.job_predictor import load_job_predictor
from engine.inference.job_tiles import JobTiles, cut, placed
from engine.inference.load import LoadedPredictor
from engine.inference.memory import prediction_budget
from engine.inference.run_progress import RunProgress
from engine.inference.tile_keeper import Observer, TileKeeper
from engine.rasters.tile_store import TileStore


@dataclass(frozen=True)
class Work:
    """A job that is cut and ready to be computed.

    Args:
        store: Its store.
        tiles: Its tiles.
        facts: `device`, `precision` and `computed_ratio`, and `agreement` of faster arithmetic or None.
    """

    store: TileStore
    tiles: JobTiles
    facts: dict[str, Any]

    @classmethod
    def of(cls, store: TileStore, tiles: JobTiles, device: str, precision: str, agreement: float | None) -> Work:
        """Return the work of a job.

        Args:
            store: The job's store.
            tiles: Its tiles.
            device: What computes them.
            precision: Arithmetic.
            agreement: Share of pixels that keep the class of exact arithmetic, or None where it is exact.
        """
        facts = {
            "device": device,
            "precision": precision,
            "agreement": None if agreement is None else round(agreement, 5),
            "computed_ratio": round(tiles.plan.computed_pixels / tiles.job.area.window.pixels, 4),
        }
        return cls(store, tiles, facts)


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
        samples = sample_values(self.job, self._reporter)
        self._loaded = load_job_predictor(self.job, samples, self._reporter)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loaded = None

    def begin(self, store: TileStore) -> Work:
        """Settle how the job is cut and computed; a resumed one is cut as it was begun.

        Args:
            store: The job's store.

        Raises:
            OutputError: The store's folder cannot be written.
        """
        job, loaded = self.job, self._needed()
        budget = prediction_budget(job.device, job.request.memory)
        tiles = cut(job, store, loaded.predictor.bytes_per_pixel, budget)
        return Work.of(store, tiles, loaded.predictor.device, loaded.predictor.precision, loaded.agreement)

    def run(self, work: Work, end: float, observers: Sequence[Observer] = ()) -> None:
        """Compute what the store does not hold yet.

        Args:
            work: What `begin` returned.
            end: Progress of the command when all is done, 0 to 1.
            observers: Told of each tile.

        Raises:
            Cancelled: It was asked to stop.
            EngineError: A tile could not be read, predicted or stored.
        """
        job, predictor, tiles = self.job, self._needed().predictor, work.tiles
        plan = tiles.plan
        self._reporter.log(
            f"{job.model.manifest.name} on {predictor.device} ({predictor.precision}): {len(plan)} tiles of up to "
            f"{plan.columns.size} x {plan.rows.size} pixels."
        )
        progress = RunProgress(tiles.pixels(self._cancelled), 0.0, end, self._reporter)
        keeper = TileKeeper(work.store, progress, observers)
        pipeline = job_pipeline(
            job,
            predictor,
            tiles.batch_size,
            lambda tile, arrays, seconds: keeper.write(placed(job, tile), arrays, seconds),
            self._reporter.warning,
            self._cancelled,
        )
        pipeline.run(tiles.left(work.store, progress, self._cancelled))
        if job.season:
            job.season.tell_gaps(self._reporter)

    def _needed(self) -> LoadedPredictor:
        if self._loaded is None:
            raise RuntimeError("not entered")
        return self._loaded

"""A job computed by the workers of a cluster."""

from __future__ import annotations

import os
import shutil
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any

from engine import __version__
from engine.cluster.dask_tasks import DaskTasks
from engine.cluster.licence import Licence, SharedGraph, image_facts, licence_path, new_nonce
from engine.cluster.link import Link, patience, raise_error
from engine.cluster.local_workers import local_workers
from engine.cluster.quiet import quieten
from engine.cluster.waves import Answer, Group, LostClusterError, grouped, run_in_waves
from engine.cluster.worker import load, look_around
from engine.errors import Cancelled, DeviceError, EngineError
from engine.events import Reporter
from engine.inference.classification_job import Job, job_device, sample_values
from engine.inference.computing import Work
from engine.inference.job_predictor import load_job_predictor
from engine.inference.job_tiles import JobTiles, cut
from engine.inference.load import LoadedPredictor
from engine.inference.run_progress import RunProgress
from engine.inference.tile_keeper import Observer, TileKeeper
from engine.rasters.disk import output_error
from engine.rasters.tile_store import SHARED, TileStore

# A task is worth its message, and little is lost with it.
TILES_PER_TASK = 4
# How often workers may die while they load the model; over a tile, Dask counts for itself.
ATTEMPTS = 4
# Worker processes of this computer come back within seconds, or not at all.
LOCAL_PATIENCE_SECONDS = 30.0


class ClusterComputing:
    """Computes the tiles of a job on a cluster; a context manager, at whose end the workers of this computer are gone.

    Args:
        job: The job as `prepare` gives it; on a cluster its device is the workers'.
        reporter: Receives progress, facts and warnings.
        cancelled: Set to stop.
    """

    def __init__(self, job: Job, reporter: Reporter, cancelled: threading.Event) -> None:
        self.job = job
        self._reporter = reporter
        self._cancelled = cancelled
        self._stack = ExitStack()
        self._loaded: LoadedPredictor | None = None

    def __enter__(self) -> ClusterComputing:
        request = self.job.request
        quieten()
        try:
            if request.scheduler:
                self._link = Link(request.scheduler, patience(), self._reporter, self._cancelled)
            else:
                count = request.workers or 1
                self._reporter.progress(0.0, f"Starting {count} worker processes")
                cluster = self._stack.enter_context(local_workers(count, self.job.device))
                self._link = Link(cluster, LOCAL_PATIENCE_SECONDS, self._reporter, self._cancelled)
            self._stack.callback(self._link.close)
            self._link.connect()
            self._hosts = self._look_around()
            samples = sample_values(self.job, self._reporter)
            if self.job.device == "cpu":
                self._loaded = load_job_predictor(self.job, samples, self._reporter)
        except BaseException:
            self._stack.close()
            # Ctrl-C in a terminal reaches the workers too: those that were starting fail, which nobody wants to read.
            if self._cancelled.is_set():
                raise Cancelled from None
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def begin(self, store: TileStore) -> Work:
        """Load the model on the workers and settle how the job is cut; see `Computing.begin`.

        Args:
            store: The job's store, in a folder that all workers share.

        Raises:
            Cancelled: It was asked to stop.
            EngineError: A worker cannot do its work, or the cluster is gone.
        """
        self._key = self._share(store.folder)
        self._facts = self._load(store.folder, self._key)
        tiles = cut(
            self.job,
            store,
            max(float(item["bytes_per_pixel"]) for item in self._facts.values()),
            min(float(item["budget"]) for item in self._facts.values()),
        )
        precision = str(next(iter(self._facts.values()))["precision"])
        agreement = None if self._loaded is None else self._loaded.agreement
        return Work.of(store, tiles, self.job.device, precision, agreement)

    def run(self, work: Work, end: float, observers: Sequence[Observer] = ()) -> None:
        """Compute what the store does not hold yet.

        Args:
            work: What `begin` returned.
            end: Progress of the command when all is done, 0 to 1.
            observers: Told of each tile.

        Raises:
            Cancelled: It was asked to stop.
            EngineError: A worker cannot do its work, or the cluster is gone.
        """
        plan = work.tiles.plan
        self._reporter.log(
            f"{self.job.model.manifest.name} on {len(self._facts)} workers ({self.job.device}, "
            f"{work.facts['precision']}): {len(plan)} tiles of up to {plan.columns.size} x {plan.rows.size} pixels."
        )
        self._compute(work.store, work.tiles, self._key, end, observers)

    def _look_around(self) -> dict[str, int]:
        """Ask all workers what they are, settle the device, and return how many there are on each computer."""
        answers = self._asked(look_around, self.job.request.device if self.job.request.scheduler else self.job.device)
        for answer in answers.values():
            if answer["version"] != __version__:
                raise DeviceError(
                    f"The worker on '{answer['host']}' has version {answer['version']} of the engine, "
                    f"and this computer version {__version__}.",
                    "Set up the same version everywhere.",
                )
        if self.job.request.scheduler:
            devices = {
                job_device(self.job.request, str(answer["device"])): answer["host"] for answer in answers.values()
            }
            if len(devices) > 1:
                named = " and ".join(f"{device} on '{host}'" for device, host in sorted(devices.items()))
                raise DeviceError(
                    f"The workers have different devices: {named}.", "Choose one for all with --device cuda or cpu."
                )
            self.job = replace(self.job, device=next(iter(devices)))
        return dict(Counter(str(answer["host"]) for answer in answers.values()))

    def _share(self, folder: Path) -> str:
        """Write what the workers need into the work folder, and return the key to it."""
        try:
            (folder / SHARED).mkdir(exist_ok=True)
            licence = Licence(
                version=__version__,
                request=_plain_request(self.job),
                device=self.job.device,
                threads=self.job.request.threads,
                neighbours=self._hosts,
                model_sha256=self.job.model.sha256,
                image=image_facts(self.job.source),
                graph=self._shared_graph(folder / SHARED),
                nonce=new_nonce(),
            )
            key = licence.write(folder)
        except OSError as error:
            raise output_error(folder, error) from error
        self._stack.callback(lambda: licence_path(folder, key).unlink(missing_ok=True))
        return key

    def _shared_graph(self, folder: Path) -> SharedGraph | None:
        if self._loaded is None or self._loaded.graph is None:
            return None
        source, predictor = self._loaded.graph, self._loaded.predictor
        for suffix in (".bin", ".xml"):
            target = folder / f"graph{suffix}"
            target.unlink(missing_ok=True)
            try:
                os.link(source.with_suffix(suffix), target)
            except OSError:
                shutil.copyfile(source.with_suffix(suffix), target)
        return SharedGraph("graph.xml", predictor.precision, predictor.bytes_per_pixel, version("openvino"))

    def _load(self, folder: Path, key: str) -> dict[str, dict[str, Any]]:
        self._reporter.progress(0.0, "Loading the model on the workers")
        return self._asked(load, str(folder), key)

    def _asked(self, function: Any, *arguments: Any) -> dict[str, dict[str, Any]]:
        """Ask all workers, anew when the scheduler was restarted meanwhile or workers died over it."""
        for _ in range(ATTEMPTS):
            try:
                self._link.wait_for_workers()
                answers = self._link.ask(function, *arguments)
            except LostClusterError:
                self._link.reconnect()
                continue
            if answers:
                return answers
        raise EngineError(
            "memory",
            f"All workers died {ATTEMPTS} times when they began.",
            "Their memory may have run out: use fewer workers, or a smaller model.",
        )

    def _compute(self, store: TileStore, tiles: JobTiles, key: str, end: float, observers: Sequence[Observer]) -> None:
        progress = RunProgress(tiles.pixels(self._cancelled), 0.0, end, self._reporter)
        keeper = TileKeeper(store, progress, observers)
        tasks = DaskTasks(self._link, str(store.folder), key, tiles.batch_size)
        said: set[str] = set()

        def take(group: Group, answer: Answer) -> None:
            del group
            raise_error(answer)
            workers = len(self._link.threads())
            progress.note = f", {workers} worker{'' if workers == 1 else 's'}"
            for item in answer["done"]:
                keeper.record(item["entry"], float(item["seconds"]), str(answer["worker"]))
            for text in answer["warnings"]:
                if text not in said:
                    said.add(text)
                    self._reporter.warning(f"{text} (worker {answer['worker']})")

        left = tiles.left(store, progress, self._cancelled)
        # So that on a small image all workers have something to do.
        share = len(tiles.plan) // (2 * max(1, sum(self._link.threads().values())))
        size = max(1, min(TILES_PER_TASK, share), tiles.batch_size)
        try:
            run_in_waves(grouped(left, size), tasks, take, self._cancelled)
        finally:
            licence_path(store.folder, key).unlink(missing_ok=True)
            tasks.cancel()


def _plain_request(job: Job) -> dict[str, Any]:
    """Return the request of a job as other computers can follow it: with absolute paths, and the model's file."""
    request: dict[str, Any] = job.request.model_dump(mode="json", exclude={"workers", "scheduler"})
    if request["weights"]:
        request["weights"] = _absolute(request["weights"])
        request["model"] = _absolute(request["model"])
    else:
        request["model"] = str(job.model.path.absolute())
    request["input"] = [_absolute(item) for item in request["input"]]
    for name in ("output", "confidence", "probabilities"):
        request[name] = request[name] and str(Path(request[name]).absolute())
    for name in ("area", "season"):
        request[name] = request[name] and _absolute(request[name])
    return request


def _absolute(path: str) -> str:
    """Return a path that exists as an absolute one; names of models and GDAL's own kinds of paths stay as they are."""
    if path.startswith("@"):
        return f"@{_absolute(path[1:])}"
    found = Path(path).expanduser()
    return str(found.absolute()) if found.exists() else path

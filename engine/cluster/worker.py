"""What a worker process does; its functions are called by Dask, by name, with plain values."""

from __future__ import annotations

import os
import platform
import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from engine import __version__
from engine.cluster.licence import Licence, Withdrawal, image_facts, licence_path
from engine.errors import Cancelled, EngineError, InputError, ModelError, OutputError
from engine.events import SilentReporter
from engine.inference.classification_job import Job, same_job
from engine.inference.device import choose_device
from engine.inference.job_pipeline import job_pipeline
from engine.inference.job_tiles import job_layers, placed
from engine.inference.load import load_graph, load_in_torch
from engine.inference.memory import prediction_budget
from engine.inference.pipeline import Arrays
from engine.inference.predictor import Prediction, Predictor
from engine.inference.views import View
from engine.rasters.plan import Tile
from engine.rasters.tile_store import SHARED
from engine.rasters.tile_writer import TileWriter
from engine.rasters.windows import PixelWindow
from engine.requests import ClassifyRequest

# Two clients that share a cluster alternate: with one kept, each task would load a model.
KEPT = 2
Values = dict[str, Any]


def look_around(device: str) -> Values:
    """Return what a client has to know of a worker before it plans: `host`, `version`, `device` or `error`.

    Args:
        device: What the request says: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
    """
    facts: Values = {"host": platform.node(), "version": __version__}
    try:
        return {**facts, "device": choose_device(device)}
    except Exception as error:
        return {**facts, "error": _as_values(error)}


def load(folder: str, key: str) -> Values:
    """Load a run's model, and return what its plan depends on.

    Args:
        folder: Work folder of the run.
        key: Key of its licence.

    Returns:
        `bytes_per_pixel` of the predictor, the `budget` in bytes, its `precision`; or `error`.
    """
    return _answered(lambda: _session(folder, key).facts())


def classify_tiles(folder: str, key: str, tiles: Sequence[Sequence[int]], batch_size: int) -> Values:
    """Classify tiles and write their files into a run's store.

    Args:
        folder: Work folder of the run.
        key: Key of its licence.
        tiles: See `tile_values`.
        batch_size: Windows predicted at once.

    Returns:
        `done`: for each tile its line of the journal and the seconds that it took; `worker`; `warnings`; or `error`.
    """
    return _answered(lambda: _session(folder, key).classify([_tile(item) for item in tiles], batch_size))


def tile_values(tile: Tile) -> list[int]:
    """Return a tile as plain values: row, column, height and width of its core and of its window."""
    core, window = tile.core, tile.window
    return [core.row, core.column, core.height, core.width, window.row, window.column, window.height, window.width]


def _tile(values: Sequence[int]) -> Tile:
    return Tile(PixelWindow(*values[:4]), PixelWindow(*values[4:]))


class _Session:
    """A run's model and image, loaded once in a process."""

    def __init__(self, folder: Path, key: str) -> None:
        licence = _licence(folder, key)
        self._job = _job(licence)
        self._folder, self._key = folder, key
        self._sharing = max(1, licence.neighbours.get(platform.node(), 1))
        threads = licence.threads or max(1, _cores() // self._sharing)
        self._predictor = _OneAtATime(_predictor(folder, licence, self._job, threads))
        self._writer = TileWriter(folder, self._job.output_grid, job_layers(self._job))

    def facts(self) -> Values:
        """Return what the plan depends on."""
        return {
            "bytes_per_pixel": self._predictor.bytes_per_pixel,
            "precision": self._predictor.precision,
            "budget": prediction_budget(self._job.device, self._job.request.memory, self._sharing),
        }

    def classify(self, tiles: Sequence[Tile], batch_size: int) -> Values:
        """Classify tiles; see `classify_tiles`."""
        done: list[Values] = []
        warnings: list[str] = []
        withdrawn = Withdrawal(self._folder, self._key)

        def write(tile: Tile, arrays: Arrays | None, seconds: float) -> None:
            if not licence_path(self._folder, self._key).exists():
                # Another run may be at work in the folder by now.
                raise Cancelled
            done.append({"entry": self._writer.write(placed(self._job, tile), arrays), "seconds": round(seconds, 3)})

        job_pipeline(self._job, self._predictor, batch_size, write, warnings.append, withdrawn).run(tiles)
        return {"done": done, "warnings": warnings}


class _OneAtATime:
    """A predictor that several tasks share: while one predicts, another reads."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._turn = threading.Lock()
        self.device, self.precision = predictor.device, predictor.precision
        self.bytes_per_pixel = predictor.bytes_per_pixel

    def predict(self, images: Any, views: Sequence[View] = ()) -> Prediction:
        """See `Predictor`."""
        with self._turn:
            return self._predictor.predict(images, views)


_sessions: OrderedDict[tuple[str, str], _Session] = OrderedDict()
_loading = threading.Lock()


def _session(folder: str, key: str) -> _Session:
    with _loading:
        if (folder, key) not in _sessions:
            made = _Session(Path(folder), key)
            while len(_sessions) >= KEPT:
                _sessions.popitem(last=False)
            _sessions[folder, key] = made
        _sessions.move_to_end((folder, key))
        return _sessions[folder, key]


def _licence(folder: Path, key: str) -> Licence:
    try:
        licence = Licence.read(folder, key)
    except (OSError, ValueError, TypeError) as error:
        raise OutputError(
            f"The work folder '{folder}' is not what the worker sees there.",
            "Write the output into a folder that all workers share under the same path.",
        ) from error
    if licence.version != __version__:
        raise EngineError(
            "request",
            f"The worker has version {__version__} of the engine, and this run version {licence.version}.",
            "Set up the same version everywhere.",
        )
    if licence.graph is not None and licence.graph.openvino != version("openvino"):
        raise ModelError(
            f"The worker has OpenVINO {version('openvino')}, and this run OpenVINO {licence.graph.openvino}.",
            "Set up the engine everywhere from the same resources/requirements/engine.txt.",
        )
    return licence


def _job(licence: Licence) -> Job:
    request = ClassifyRequest.model_validate(licence.request)
    job = same_job(request, licence.device, SilentReporter(), threading.Event())
    if job.model.sha256 != licence.model_sha256:
        raise ModelError(
            f"The model '{job.model.path}' is not the one that the run was started with.",
            "Give a model that all workers see under the same path.",
        )
    facts = image_facts(job.source)
    if facts != licence.image:
        here = dict(facts["inputs"])
        wrong = next((path for path, size in licence.image["inputs"] if here.get(path) != size), request.input[0])
        raise InputError(
            f"The image '{wrong}' is not the one that the run was started with.",
            "Give images that all workers see under the same path.",
        )
    return job


def _predictor(folder: Path, licence: Licence, job: Job, threads: int) -> Predictor:
    graph = licence.graph
    if graph is None:
        pixels = job.area.window.pixels
        return load_in_torch(
            job.model, job.device, job.request.precision, job.head, pixels, threads, SilentReporter(), job.season
        )
    return load_graph(
        job.model, folder / SHARED / graph.file, graph.bytes_per_pixel, job.head, graph.precision, threads
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _answered(work: Callable[[], Values]) -> Values:
    """Return what the work gives, or its failure as plain values: exceptions are not sent between computers."""
    try:
        answer = work()
    except Exception as error:
        answer = {"error": _as_values(error)}
    return {"host": platform.node(), "worker": f"{platform.node()}:{os.getpid()}", **answer}


def _as_values(error: Exception) -> dict[str, str]:
    if isinstance(error, EngineError):
        return {"kind": error.kind, "message": error.message, "hint": error.hint}
    if isinstance(error, MemoryError):
        return {"kind": "memory", "message": "Memory ran out.", "hint": "Lower --memory or --window."}
    traceback.print_exception(error)
    hint = "The worker's log says more."
    return {"kind": "internal", "message": f"{type(error).__name__}: {error}", "hint": hint}

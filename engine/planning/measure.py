"""A minute of a classification, to know what the whole takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from engine.events import Reporter, format_duration
from engine.inference.classification_job import Job, nothing_to_classify
from engine.inference.device_name import device_name
from engine.inference.job_pipeline import job_pipeline
from engine.inference.job_tiles import cut, open_store, placed
from engine.inference.load import LoadedPredictor
from engine.inference.pipeline import Arrays
from engine.planning.calibration import Calibration
from engine.rasters.area import AreaOfInterest
from engine.rasters.plan import Tile
from engine.rasters.tile_store import TileStore
from engine.rasters.windows import PixelWindow

# Image pixels of a side that are enough to measure on, and in how many places of the area they are looked for.
SIDE = 16_384
PLACES = 9
# The first window also waits for the compiler and for caches.
WARM_UP = 1


class _Clock:
    """Lets tiles through until the time is over, and remembers when each was finished."""

    def __init__(self, seconds: float, reporter: Reporter) -> None:
        self._seconds = seconds
        self._reporter = reporter
        self._began = time.monotonic()
        self.finished: list[float] = []
        self.pixels = 0

    def limited(self, tiles: Iterator[Tile]) -> Iterator[Tile]:
        for tile in tiles:
            # Two at least: one to warm up, one to measure.
            if time.monotonic() - self._began > self._seconds and len(self.finished) > WARM_UP:
                return
            yield tile

    def tick(self, empty: bool, pixels: int) -> None:
        if not empty:
            self.finished.append(time.monotonic())
            self.pixels += pixels
        elapsed = time.monotonic() - self._began
        left = max(0.0, self._seconds - elapsed)
        self._reporter.progress(min(0.95, elapsed / self._seconds), "Measuring", left)

    @property
    def measured(self) -> tuple[int, float]:
        """Tiles, and the seconds that they took: without the first, where there are more."""
        if len(self.finished) > WARM_UP:
            return len(self.finished) - WARM_UP, self.finished[-1] - self.finished[WARM_UP - 1]
        return len(self.finished), self.finished[-1] - self._began


def measure(
    job: Job,
    loaded: LoadedPredictor,
    budget: float,
    seconds: float,
    start_seconds: float,
    finish: Callable[[Job, TileStore], None],
    reporter: Reporter,
    cancelled: threading.Event,
) -> Calibration:
    """Classify a part of a job's area and write it, and return how fast that went.

    Args:
        job: A job whose outputs lie in a folder of their own.
        loaded: Its network.
        budget: Bytes that predictions may take.
        seconds: When to stop; two tiles are done in any case.
        start_seconds: What it took to come here.
        finish: Writes the outputs from the tiles.
        reporter: Receives progress.
        cancelled: Set to stop.

    Raises:
        Cancelled: `cancelled` was set.
        EngineError: The part could not be classified or written.
    """
    job = replace(job, area=_part(job))
    predictor = loaded.predictor
    store = open_store(job, reporter)
    try:
        tiles = cut(job, store, predictor.bytes_per_pixel, budget)
        clock = _Clock(seconds, reporter)

        def write(tile: Tile, arrays: Arrays | None, _seconds: float) -> None:
            store.write(placed(job, tile), arrays)
            clock.tick(arrays is None, tile.core.pixels)

        job_pipeline(job, predictor, tiles.batch_size, write, reporter.warning, cancelled).run(
            clock.limited(iter(tiles))
        )
        if not clock.finished:
            raise nothing_to_classify()
        count, took = clock.measured
        store_bytes = sum(store.stored_bytes(name) for name in job.layers)
        began = time.monotonic()
        finish(job, store)
        finish_seconds = time.monotonic() - began
        output_bytes = sum(path.stat().st_size for path in job.output.parent.glob("*.tif"))
    finally:
        store.remove()
    reporter.log(f"Measured {count} windows in {format_duration(took)} on {predictor.device} ({predictor.precision}).")
    return Calibration(
        machine=device_name(predictor.device),
        device=predictor.device,
        precision=predictor.precision,
        model=job.model.manifest.name,
        model_sha256=job.model.sha256,
        options=options_of(job),
        budget=budget,
        bytes_per_pixel=predictor.bytes_per_pixel,
        start_seconds=start_seconds,
        computed_pixels_per_second=count * tiles.plan.window_pixels / max(took, 1e-6),
        finished_pixels_per_second=clock.pixels / max(finish_seconds, 1e-6),
        store_bytes_per_pixel=store_bytes / clock.pixels,
        output_bytes_per_pixel=output_bytes / clock.pixels,
        read_bytes_per_pixel=_read_bytes_per_pixel(job),
        tiles=count,
        seconds=took,
    )


def options_of(job: Job) -> dict[str, object]:
    """Return what else than model and device decides the speed."""
    return {"blend": job.request.blend, "augment": job.request.augment, "layers": list(job.layers)}


def _part(job: Job) -> AreaOfInterest:
    """Return a part of the area that may hold data, in its middle if possible."""
    whole = job.area.window
    height, width = min(SIDE, whole.height), min(SIDE, whole.width)
    places = [
        PixelWindow(
            whole.row + (whole.height - height) * row // (PLACES - 1),
            whole.column + (whole.width - width) * column // (PLACES - 1),
            height,
            width,
        )
        for row in range(PLACES)
        for column in range(PLACES)
    ]
    middle = (PLACES - 1) / 2
    order = sorted(range(len(places)), key=lambda n: abs(n // PLACES - middle) + abs(n % PLACES - middle))
    for index in order:
        if job.area.touches(places[index]) and job.source.covers(places[index]):
            return replace(job.area, window=places[index])
    raise nothing_to_classify()


def _read_bytes_per_pixel(job: Job) -> float:
    """Return the bytes of the image's files per pixel of them; a value's own size where a file has none."""
    files = job.source.files
    pixels = sum(file.width * file.height for file in files)
    try:
        return sum(Path(file.path).stat().st_size for file in files) / pixels
    except OSError:
        return float(len(job.source.band_numbers))

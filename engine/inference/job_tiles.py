"""How a job is cut into tiles, which of them are still to be done, and where they go."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

from engine import __version__
from engine.errors import Cancelled
from engine.events import Reporter
from engine.inference.classification_job import MARGIN, Job
from engine.inference.memory import LARGEST_CPU_WINDOW, LARGEST_GPU_WINDOW, largest_window
from engine.inference.run_progress import RunProgress
from engine.rasters.percent_raster import confidence_layer, probabilities_layer
from engine.rasters.plan import STRIDE, Tile, TilePlan, plan_tiles
from engine.rasters.tile_store import CLASSES, TileStore, work_folder
from engine.rasters.virtual_raster import Layer
from engine.rasters.windows import PixelWindow


def job_layers(job: Job) -> list[Layer]:
    """Return what is stored for each tile."""
    known = {
        "classes": Layer(CLASSES, 1, "uint8", 0),
        "confidence": confidence_layer(),
        "probabilities": probabilities_layer(job.model.manifest.nomenclature),
    }
    return [known[name] for name in job.layers]


def open_store(job: Job, reporter: Reporter) -> TileStore:
    """Open the store of a job: the one that an interrupted run left, or a new one.

    Raises:
        OutputError: Another run holds it, or the folder cannot be written.
    """
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
    folder = work_folder(job.output)
    return TileStore.open(
        folder, fingerprint, job.output_grid, job_layers(job), resume=job.request.resume, reporter=reporter
    )


@dataclass(frozen=True)
class JobTiles:
    """The tiles of a job that may hold data; of a sparse raster the rest is most of it, and takes no time.

    Never a list: a country has ten million of them.

    Args:
        job: The job.
        plan: Cut of its area.
        batch_size: Windows predicted at once.
    """

    job: Job
    plan: TilePlan
    batch_size: int

    def __iter__(self) -> Iterator[Tile]:
        return (tile for tile in self.plan if self._may_hold_data(tile))

    def pixels(self, cancelled: threading.Event) -> int:
        """Return the pixels of the output that may hold data; for a sparse raster all tiles are looked at.

        Raises:
            Cancelled: `cancelled` was set.
        """
        if self.job.area.geometry is None and self.job.source.extent is None:
            return self.job.area.window.pixels
        total = 0
        for tile in self:
            if cancelled.is_set():
                raise Cancelled
            total += tile.core.pixels
        return total

    def left(self, store: TileStore, progress: RunProgress, cancelled: threading.Event) -> Iterator[Tile]:
        """Yield the tiles that a store does not hold yet; the others are counted as done.

        Raises:
            Cancelled: `cancelled` was set.
        """
        for tile in self:
            if cancelled.is_set():
                raise Cancelled
            if placed(self.job, tile) in store:
                progress.advance(tile.core.pixels, worked=False)
            else:
                yield tile

    def _may_hold_data(self, tile: Tile) -> bool:
        return self.job.area.touches(tile.core) and self.job.source.covers(tile.core)


def placed(job: Job, tile: Tile) -> PixelWindow:
    """Return a tile's place in the output."""
    origin, core = job.area.window, tile.core
    return PixelWindow(core.row - origin.row, core.column - origin.column, core.height, core.width)


def cut(job: Job, store: TileStore, bytes_per_pixel: float, budget: float) -> JobTiles:
    """Cut the area of a job; a resumed run is cut as it was begun.

    Args:
        job: The job.
        store: Its store; keeps the sizes chosen.
        bytes_per_pixel: Working memory of the predictor per pixel of a window.
        budget: Bytes that predictions may take.

    Raises:
        OutputError: The store's folder cannot be written.
    """
    from engine.inference.window_classifier import BLENDED_SIDE

    request = job.request
    on_cuda = job.device.startswith("cuda")
    upper = LARGEST_GPU_WINDOW if on_cuda else LARGEST_CPU_WINDOW
    per_pixel = bytes_per_pixel
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
    return JobTiles(job, plan, batch_size)

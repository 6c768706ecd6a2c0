"""How a job is cut into tiles, which of them are still to be done, and where they go."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from engine import __version__
from engine.errors import Cancelled
from engine.events import Reporter
from engine.inference.classification_job import MARGIN, Job
from engine.inference.memory import LARGEST_CPU_WINDOW, LARGEST_GPU_WINDOW, largest_window
from engine.inference.run_progress import RunProgress
from engine.rasters.percent_raster import confidence_layer, probabilities_layer
from engine.rasters.plan import STRIDE, Tile, TilePlan, plan_tiles
from engine.rasters.sheets import SheetGrid
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
        **({"season": job.season.fingerprint()} if job.season else {}),
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
        sheets: How the output is cut into sheets, which are then completed one after the other.
    """

    job: Job
    plan: TilePlan
    batch_size: int
    sheets: SheetGrid | None = None

    def __iter__(self) -> Iterator[Tile]:
        return (tile for tile in self._ordered() if self._may_hold_data(tile))

    def within(self, window: PixelWindow) -> list[PixelWindow]:
        """Return the places of the tiles that overlap a window of the output and may hold data."""
        origin = self.job.area.window
        moved = PixelWindow(window.row + origin.row, window.column + origin.column, window.height, window.width)
        if not (self.job.area.touches(moved) and self.job.source.covers(moved)):
            return []
        return [placed(self.job, tile) for tile in self.plan.tiles_in(moved) if self._may_hold_data(tile)]

    def pixels(self, cancelled: threading.Event) -> int:
        """Return the pixels of the output that may hold data; for a sparse raster all tiles are looked at.

        Raises:
            Cancelled: `cancelled` was set.
        """
        if self.job.area.geometry is None and self.job.source.extent is None:
            return self.job.area.window.pixels
        return sum(tile.core.pixels for tile in self.until(cancelled))

    def until(self, cancelled: threading.Event) -> Iterator[Tile]:
        """Yield the tiles.

        Raises:
            Cancelled: `cancelled` was set.
        """
        for tile in self:
            if cancelled.is_set():
                raise Cancelled
            yield tile

    def left(self, store: TileStore, progress: RunProgress, cancelled: threading.Event) -> Iterator[Tile]:
        """Yield the tiles that a store does not hold yet; the others are counted as done.

        Raises:
            Cancelled: `cancelled` was set.
        """
        for tile in self.until(cancelled):
            if placed(self.job, tile) in store:
                progress.advance(tile.core.pixels, worked=False)
            else:
                yield tile

    def _ordered(self) -> Iterator[Tile]:
        if self.sheets is None:
            return iter(self.plan)
        origin = self.job.area.window
        return self.plan.in_blocks(
            [edge + origin.row for edge in self.sheets.row_edges],
            [edge + origin.column for edge in self.sheets.column_edges],
        )

    def _may_hold_data(self, tile: Tile) -> bool:
        return self.job.area.touches(tile.core) and self.job.source.covers(tile.core)


def placed(job: Job, tile: Tile) -> PixelWindow:
    """Return a tile's place in the output."""
    origin, core = job.area.window, tile.core
    return PixelWindow(core.row - origin.row, core.column - origin.column, core.height, core.width)


class WindowLimits(NamedTuple):
    """How windows are cut; what `plan_tiles` asks for, in its order.

    Args:
        margin: Context in model pixels.
        largest: Side of the square, in model pixels, whose area no window exceeds.
        align: Windows start and end at multiples of this.
    """

    margin: int
    largest: int
    align: int


def window_limits(job: Job, bytes_per_pixel: float, budget: float) -> WindowLimits:
    """Return the limits of a job's windows.

    Args:
        job: The job.
        bytes_per_pixel: Working memory of the predictor per pixel of a window.
        budget: Bytes that predictions may take.
    """
    from engine.inference.window_classifier import BLENDED_SIDE

    request = job.request
    upper = LARGEST_GPU_WINDOW if job.device.startswith("cuda") else LARGEST_CPU_WINDOW
    largest = largest_window(budget, _bytes_per_pixel(job, bytes_per_pixel), upper)
    margin = MARGIN if request.margin is None else request.margin
    if request.window:
        largest = request.window + 2 * margin
    if request.blend:
        # Every pixel of a core is then seen by all windows that cover it, whichever tile it is in.
        margin = BLENDED_SIDE // 2
        return WindowLimits(margin, max(largest, 4 * margin), margin)
    return WindowLimits(margin, largest, STRIDE)


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
    request = job.request
    limits = window_limits(job, bytes_per_pixel, budget)
    if store.plan:
        limits = limits._replace(largest=store.plan["largest"], margin=store.plan["margin"])
    else:
        store.save_plan({"largest": limits.largest, "margin": limits.margin})
    plan = plan_tiles(job.grid, job.area.window, *limits)
    per_pixel = _bytes_per_pixel(job, bytes_per_pixel)
    on_cuda = job.device.startswith("cuda")
    batch_size = request.batch_size or (max(1, min(16, int(budget / per_pixel / plan.window_pixels))) if on_cuda else 1)
    return JobTiles(job, plan, batch_size, job.sheets)


def _bytes_per_pixel(job: Job, bytes_per_pixel: float) -> float:
    if job.head == "probabilities":
        return bytes_per_pixel + 8 * len(job.model.manifest.nomenclature.enabled)
    return bytes_per_pixel

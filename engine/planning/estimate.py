"""Hours and bytes of a classification, from its cut and a calibration: plain arithmetic."""

from __future__ import annotations

from dataclasses import dataclass

from engine.planning.calibration import Calibration

# What must be left free while the output is written from the tiles.
SPARE = 1.1


@dataclass(frozen=True)
class Workload:
    """What there is to do.

    Args:
        tiles: Tiles that may hold data.
        pixels: Pixels of the output in them.
        image_pixels: Pixels of the image that are read, margins included.
        computed_pixels: Pixels of windows that the network sees, margins included.
    """

    tiles: int
    pixels: int
    image_pixels: int
    computed_pixels: int


@dataclass(frozen=True)
class Estimate:
    """What it takes.

    Args:
        predict_seconds: Reading, predicting and storing, shared by all workers.
        finish_seconds: Writing the output from the tiles, by one process.
        total_seconds: Both, with the start.
        bytes_read: Bytes of the image's files; neighbouring windows read some of them twice.
        bytes_written: Bytes of tiles and outputs.
        store_bytes: Bytes of the tiles, which are removed at the end.
        output_bytes: Bytes of the outputs.
        disk_bytes: What should be free where the output lies.
    """

    predict_seconds: float
    finish_seconds: float
    total_seconds: float
    bytes_read: int
    bytes_written: int
    store_bytes: int
    output_bytes: int
    disk_bytes: int


def estimate(work: Workload, speed: Calibration, workers: int) -> Estimate:
    """Return what a workload takes.

    Args:
        work: What there is to do.
        speed: What one worker does.
        workers: Workers that share the prediction evenly; no more than there are tiles count.
    """
    shares = max(1, min(workers, work.tiles))
    # The last round of tiles keeps only some of the workers busy.
    rounds = -(-work.tiles // shares)
    per_tile = work.computed_pixels / max(1, work.tiles) / speed.computed_pixels_per_second
    predict = rounds * per_tile
    finish = work.pixels / speed.finished_pixels_per_second
    store = round(work.pixels * speed.store_bytes_per_pixel)
    output = round(work.pixels * speed.output_bytes_per_pixel)
    return Estimate(
        predict_seconds=predict,
        finish_seconds=finish,
        total_seconds=speed.start_seconds + predict + finish,
        bytes_read=round(work.image_pixels * speed.read_bytes_per_pixel),
        bytes_written=store + output,
        store_bytes=store,
        output_bytes=output,
        disk_bytes=round((store + output) * SPARE),
    )

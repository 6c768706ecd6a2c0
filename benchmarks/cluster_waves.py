"""Memory and time of handing out tiles: to nobody by the million, and to a real scheduler by the ten thousand.

    python benchmarks/cluster_waves.py [--tiles 10000000] [--real 50000]

Tasks are trivial: what is measured is the client, which must not grow with the number of tiles, and the scheduler.
"""

from __future__ import annotations

import argparse
import resource
import threading
import time
from collections import deque
from typing import Any

import psutil

from engine.cluster.dask_tasks import DaskTasks
from engine.cluster.link import Link
from engine.cluster.local_workers import local_workers
from engine.cluster.quiet import quieten
from engine.cluster.waves import Answer, Group, grouped, run_in_waves
from engine.events import SilentReporter
from engine.rasters.model_grid import ModelGrid
from engine.rasters.plan import TilePlan, plan_tiles
from engine.rasters.windows import PixelWindow

SIDE = 1024
GROUP = 4


def plan_of(tiles: int) -> TilePlan:
    """Return a plan of about so many windows of 1024 pixels."""
    side = SIDE * round(tiles**0.5)
    return plan_tiles(ModelGrid(side, side, 1.0, 1.0), PixelWindow(0, 0, side, side), 0, SIDE)


class Nobody:
    """Answers at once."""

    def __init__(self) -> None:
        self._under_way: deque[tuple[int, Group]] = deque()

    def room(self) -> int:
        """See `waves.Tasks`."""
        return 4 * 2 * 64

    def submit(self, number: int, group: Group) -> None:
        """See `waves.Tasks`."""
        self._under_way.append((number, group))

    def finished(self, seconds: float) -> list[tuple[int, Answer]]:
        """See `waves.Tasks`."""
        number, group = self._under_way.popleft()
        return [(number, {"tiles": len(group)})]

    def reconnect(self) -> None:
        """See `waves.Tasks`."""


def trivial(folder: str, key: str, tiles: list[list[int]], batch_size: int) -> dict[str, Any]:
    """Answer as a worker does, without any work."""
    del folder, key, batch_size
    done = [{"entry": {"window": tile[:4], "files": {"classes": [0, 0]}}, "seconds": 0.0} for tile in tiles]
    return {"done": done, "warnings": [], "tiles": len(tiles)}


def count_up(tiles: int, name: str, tasks: Any) -> None:
    """Hand out a plan, and print what it took."""
    plan, process = plan_of(tiles), psutil.Process()
    before, began, done, highest = process.memory_info().rss, time.monotonic(), 0, 0

    def take(group: Group, answer: Answer) -> None:
        nonlocal done, highest
        done += answer["tiles"]
        if done % 10_000 < GROUP:
            highest = max(highest, process.memory_info().rss - before)

    run_in_waves(grouped(plan, GROUP), tasks, take, threading.Event())
    seconds = time.monotonic() - began
    if done != len(plan):
        raise SystemExit(f"{done} of {len(plan)} tiles came back")
    print(f"| {name} | {done:,} | {seconds:.0f} | {done / seconds:,.0f} | {highest / 1e6:.1f} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiles", type=int, default=10_000_000)
    parser.add_argument("--real", type=int, default=50_000)
    options = parser.parse_args()
    print("| | tiles | seconds | tiles a second | memory grown by, MB |")
    print("|---|---|---|---|---|")
    count_up(options.tiles, "no scheduler", Nobody())
    if options.real:
        quieten()
        with local_workers(2, "cpu") as cluster:
            link = Link(cluster, 30.0, SilentReporter(), threading.Event())
            link.connect()
            tasks = DaskTasks(link, "", "waves", 1, trivial)
            count_up(options.real, "a scheduler in this process, 2 workers", tasks)
            link.close()
    print(f"Peak of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB.")


if __name__ == "__main__":
    main()

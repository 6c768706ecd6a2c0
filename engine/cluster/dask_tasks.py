"""Groups of tiles as tasks of Dask, which schedules them and gives them to another worker when one dies."""

from __future__ import annotations

import queue
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from distributed import Future
from distributed.scheduler import KilledWorker

from engine.cluster.link import BROKEN, Link
from engine.cluster.waves import Answer, Group, LostClusterError
from engine.cluster.worker import classify_tiles, tile_values
from engine.errors import EngineError

TASKS_PER_THREAD = 4


class DaskTasks:
    """See `waves.Tasks`.

    Args:
        link: The connection.
        folder: Work folder of the run.
        key: Key of its licence.
        batch_size: Windows predicted at once.
        function: What workers are to do with tiles; takes the arguments of `classify_tiles`.
    """

    def __init__(
        self, link: Link, folder: str, key: str, batch_size: int, function: Callable[..., Answer] = classify_tiles
    ) -> None:
        self._link = link
        self._function = function
        self._arguments = (folder, key)
        self._batch_size = batch_size
        self._prefix = f"tiles-{key[:8]}"
        self._futures: dict[int, tuple[Future, Group]] = {}
        self._ended: queue.SimpleQueue[int] = queue.SimpleQueue()

    def room(self) -> int:
        """See `waves.Tasks`."""
        return TASKS_PER_THREAD * max(1, sum(self._link.threads().values()))

    def submit(self, number: int, group: Group) -> None:
        """See `waves.Tasks`."""
        tiles = [tile_values(tile) for tile in group]
        try:
            future = self._link.client.submit(
                self._function, *self._arguments, tiles, self._batch_size, key=f"{self._prefix}-{number}", pure=False
            )
        except BROKEN as error:
            raise LostClusterError from error
        self._futures[number] = future, group
        future.add_done_callback(lambda _: self._ended.put(number))

    def finished(self, seconds: float) -> list[tuple[int, Answer]]:
        """See `waves.Tasks`."""
        numbers = self._numbers(seconds)
        client = self._link.client
        futures: list[Future] = []
        for number in numbers:
            future, group = self._futures[number]
            if future.status == "error":
                raise _failure(future, group)
            if future.status in ("cancelled", "lost") and client.status != "running":
                raise LostClusterError
            futures.append(future)
        if not futures:
            return []
        try:
            answers: list[Any] = client.gather(futures)
        except BROKEN as error:
            raise LostClusterError from error
        for number in numbers:
            del self._futures[number]
        return list(zip(numbers, answers, strict=True))

    def reconnect(self) -> None:
        """See `waves.Tasks`."""
        self._futures.clear()
        self._link.reconnect()

    def cancel(self) -> None:
        """Have nothing of what is under way done any more."""
        futures = [future for future, _ in self._futures.values()]
        self._futures.clear()
        with suppress(Exception):
            self._link.client.cancel(futures)

    def _numbers(self, seconds: float) -> list[int]:
        """Return the numbers of tasks that have ended since last asked."""
        numbers: list[int] = []
        with suppress(queue.Empty):
            numbers.append(self._ended.get(timeout=seconds))
            while True:
                numbers.append(self._ended.get_nowait())
        return [number for number in numbers if number in self._futures]


def _failure(future: Future, group: Group) -> EngineError:
    try:
        error = future.exception(timeout=10)
    except BROKEN as broken:
        raise LostClusterError from broken
    first, last = group[0].core, group[-1].core
    where = f"rows {first.row} to {last.bottom - 1} and columns {first.column} to {last.right - 1}"
    if isinstance(error, KilledWorker):
        return EngineError(
            "memory",
            f"{error.allowed_failures + 1} worker processes died one after the other over the tiles in {where}.",
            "Their memory may have run out: lower --memory or --window. The workers' logs say more.",
        )
    return EngineError(
        "internal",
        f"The tiles in {where} could not be computed: {type(error).__name__}: {error}",
        "The workers' logs say more.",
    )

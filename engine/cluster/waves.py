"""Tasks handed out in waves: only a few at a time are known to anyone, however many there are in all."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from engine.errors import Cancelled
from engine.rasters.plan import Tile

POLL_SECONDS = 0.1

Group = Sequence[Tile]
Answer = dict[str, Any]


class LostClusterError(Exception):
    """The scheduler is not there any more, and with it all that it was given."""


class Tasks(Protocol):
    """Whoever has tasks done."""

    def room(self) -> int:
        """Return how many tasks may be under way at once, at least 1."""

    def submit(self, number: int, group: Group) -> None:
        """Have a group of tiles computed.

        Raises:
            LostClusterError: The scheduler is gone.
        """

    def finished(self, seconds: float) -> list[tuple[int, Answer]]:
        """Return the numbers and answers of tasks that have finished; wait for the first so many seconds.

        Raises:
            LostClusterError: The scheduler is gone.
            EngineError: A task can never be done.
        """

    def reconnect(self) -> None:
        """Wait until there is a scheduler again.

        Raises:
            EngineError: There is none.
        """


def run_in_waves(
    groups: Iterable[Group], tasks: Tasks, take: Callable[[Group, Answer], None], cancelled: threading.Event
) -> None:
    """Have groups of tiles computed, with no more than `tasks.room()` of them under way.

    Args:
        groups: Asked for as there is room.
        tasks: Has them computed.
        take: Given each answer once, in the order in which they come.
        cancelled: Set to stop.

    Raises:
        Cancelled: `cancelled` was set.
        EngineError: A task can never be done, or the cluster is gone for good.
    """
    coming = iter(groups)
    numbers = itertools.count()
    again: deque[Group] = deque()
    under_way: dict[int, Group] = {}
    while True:
        try:
            while len(under_way) < tasks.room():
                group = again.popleft() if again else next(coming, None)
                if group is None:
                    break
                number = next(numbers)
                under_way[number] = group
                tasks.submit(number, group)
            if not under_way:
                return
            for number, answer in tasks.finished(POLL_SECONDS):
                if number in under_way:
                    take(under_way[number], answer)
                    # Only now: what could not be taken is done again.
                    del under_way[number]
        except LostClusterError:
            again.extend(under_way.values())
            under_way.clear()
            tasks.reconnect()
        if cancelled.is_set():
            raise Cancelled


def grouped(tiles: Iterable[Tile], size: int) -> Iterator[list[Tile]]:
    """Yield neighbouring tiles of one row in groups, which read the same blocks of the image.

    Args:
        tiles: By row and column.
        size: Tiles in a group, at most.
    """
    for _, row in itertools.groupby(tiles, lambda tile: tile.core.row):
        while group := list(itertools.islice(row, size)):
            yield group

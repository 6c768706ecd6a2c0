"""Waves: never more under way than there is room for, nothing lost when the scheduler is, nothing twice."""

from __future__ import annotations

import threading
import tracemalloc
from collections import deque

import pytest

from engine.cluster.waves import LostClusterError, grouped, run_in_waves
from engine.errors import Cancelled, InputError
from engine.rasters.model_grid import ModelGrid
from engine.rasters.plan import plan_tiles
from engine.rasters.windows import PixelWindow

ROOM = 16


class Fake:
    """Answers tasks in their order; loses all that it was given after some."""

    def __init__(self, lose_after=None):
        self.under_way = deque()
        self.most = self.reconnections = self.answered = 0
        self._lose_after = lose_after

    def room(self):
        return ROOM

    def submit(self, number, group):
        self.under_way.append((number, group))
        self.most = max(self.most, len(self.under_way))

    def finished(self, seconds):
        if self._lose_after is not None and self.answered >= self._lose_after:
            self._lose_after = None
            raise LostClusterError
        number, group = self.under_way.popleft()
        self.answered += 1
        return [(number, {"tiles": len(group)})]

    def reconnect(self):
        self.under_way.clear()
        self.reconnections += 1


def plan(rows, columns):
    """A plan of so many windows of 64 pixels without a margin."""
    grid = ModelGrid(64 * columns, 64 * rows, 1.0, 1.0)
    made = plan_tiles(grid, PixelWindow(0, 0, 64 * rows, 64 * columns), 0, 64)
    assert len(made) == rows * columns
    return made


def test_all_tiles_once_and_no_more_under_way_than_there_is_room():
    tasks, taken = Fake(), []
    run_in_waves(grouped(plan(5, 7), 3), tasks, lambda group, answer: taken.extend(group), threading.Event())
    assert sorted(taken, key=lambda tile: tile.core) == list(plan(5, 7))
    assert tasks.most == min(ROOM, 5 * 3)


def test_what_was_under_way_when_the_scheduler_went_is_done_again_and_nothing_else():
    tasks, taken = Fake(lose_after=20), []
    run_in_waves(grouped(plan(10, 10), 1), tasks, lambda group, answer: taken.extend(group), threading.Event())
    assert len(taken) == len(set(taken)) == 100
    assert tasks.reconnections == 1
    assert tasks.answered == 100


def test_an_answer_that_could_not_be_taken_is_asked_for_again():
    tasks, taken, lost = Fake(), [], []

    def take(group, answer):
        if len(taken) == 20 and not lost:
            lost.append(group)
            raise LostClusterError
        taken.extend(group)

    run_in_waves(grouped(plan(10, 10), 1), tasks, take, threading.Event())
    assert len(taken) == len(set(taken)) == 100
    assert tasks.reconnections == 1


def test_a_group_is_of_neighbours_in_one_row():
    groups = list(grouped(plan(3, 7), 4))
    assert [len(group) for group in groups] == [4, 3] * 3
    assert all(len({tile.core.row for tile in group}) == 1 for group in groups)


def test_an_error_and_a_cancellation_end_the_waves():
    def fail(group, answer):
        raise InputError("unreadable")

    tasks = Fake()
    with pytest.raises(InputError):
        run_in_waves(grouped(plan(9, 9), 1), tasks, fail, threading.Event())
    assert tasks.answered == 1
    cancelled = threading.Event()
    with pytest.raises(Cancelled):
        run_in_waves(grouped(plan(9, 9), 1), Fake(), lambda group, answer: cancelled.set(), cancelled)


def test_a_country_of_tiles_is_never_in_memory():
    rows, columns = 400, 500
    made = plan(rows, columns)
    count = 0

    def take(group, answer):
        nonlocal count
        count += answer["tiles"]

    tracemalloc.start()
    try:
        run_in_waves(grouped(made, 4), Fake(), take, threading.Event())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == rows * columns
    # A list of the tiles alone would take fifty times as much.
    assert peak < 500_000

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest

from engine.inference.classification_job import MARGIN
from engine.inference.memory import LARGEST_CPU_WINDOW
from engine.rasters.model_grid import ModelGrid
from engine.rasters.plan import STRIDE, plan_axis, plan_tiles
from engine.rasters.windows import PixelWindow


def whole(grid):
    return PixelWindow(0, 0, grid.height, grid.width)


def check(grid, area, margin, largest, align=STRIDE):
    plan = plan_tiles(grid, area, margin, largest, align)
    covered = np.zeros((area.height, area.width), dtype=np.uint8)
    for tile in plan:
        core, window = tile.core, tile.window
        assert core.intersection(area) == core
        covered[core.row - area.row : core.bottom - area.row, core.column - area.column : core.right - area.column] += 1
        assert (window.height, window.width) == (plan.rows.size, plan.columns.size)
        for start, count, begin, size, length, axis in (
            (core.row, core.height, window.row, window.height, grid.height, 0),
            (core.column, core.width, window.column, window.width, grid.width, 1),
        ):
            assert begin % align == 0
            assert size % align == 0
            assert begin >= 0
            assert begin + size < length + align
            wanted = grid.image_to_model_index(start, count, axis)
            assert begin == 0 or wanted[0] - begin >= margin
            assert begin + size >= length or begin + size - (wanted[-1] + 1) >= margin
            assert begin <= wanted[0]
            assert wanted[-1] < begin + size
    assert (covered == 1).all()
    return plan


@pytest.mark.parametrize("seed", range(6))
def test_every_pixel_has_one_core_and_enough_real_context(seed):
    chance = random.Random(seed)
    for _ in range(60):
        width, height = chance.choice([1, 31, 32, 33, 200, chance.randint(1, 3000)]), chance.randint(1, 1500)
        area = PixelWindow(0, 0, height, width)
        if chance.random() < 0.6:
            row, column = chance.randrange(height), chance.randrange(width)
            area = PixelWindow(row, column, chance.randint(1, height - row), chance.randint(1, width - column))
        scale_x = chance.choice([1.0, 0.25, 0.5, 1.7, 4.0, chance.uniform(0.25, 4)])
        scale_y = scale_x if chance.random() < 0.8 else chance.uniform(0.25, 4)
        grid = ModelGrid.fit(width, height, (scale_x * 0.2, scale_y * 0.2), 0.2)
        margin = chance.choice([0, 1, 32, 64, 100])
        largest = chance.choice([66, 192, 256, 300, 512, 1600])
        check(grid, area, margin, largest, chance.choice([STRIDE, STRIDE, 256]))


@pytest.mark.parametrize("short", [1000, 3000])
def test_little_is_computed_twice_at_the_default_setting(short):
    for side in [*range(1000, 20001, 137), 4096, 8192, 10000, 20000]:
        grid = ModelGrid(side, min(side, short) if short == 1000 else side, 1.0, 1.0)
        plan = plan_tiles(grid, whole(grid), MARGIN, LARGEST_CPU_WINDOW)
        assert plan.computed_pixels <= 1.35 * grid.width * grid.height, side
        assert plan.window_pixels <= LARGEST_CPU_WINDOW**2


@pytest.mark.parametrize("largest", [256, 320, 800, 1600])
def test_no_window_exceeds_the_memory_however_long_the_raster(largest):
    grid = ModelGrid(200_000, 200_000, 1.0, 1.0)
    plan = plan_tiles(grid, whole(grid), 64, largest)
    assert plan.window_pixels <= largest**2
    assert plan.row_edges[0] == 0
    assert plan.row_edges[-1] == 200_000
    assert list(plan.row_edges) == sorted(set(plan.row_edges))


def test_margins_that_are_larger_than_the_memory_still_give_a_plan_with_cores_worth_their_context():
    grid = ModelGrid(5000, 5000, 1.0, 1.0)
    plan = check(grid, whole(grid), 1000, 256)
    assert plan.computed_pixels < 10 * 5000 * 5000


def test_a_raster_that_fits_is_one_window():
    grid = ModelGrid(512, 512, 1.0, 1.0)
    plan = check(grid, whole(grid), MARGIN, LARGEST_CPU_WINDOW)
    assert len(plan) == 1
    assert plan.window_pixels == 512 * 512


def test_an_area_is_cut_in_the_phase_of_the_whole():
    grid = ModelGrid(5000, 5000, 1.0, 1.0)
    for tile in check(grid, PixelWindow(1237, 411, 900, 700), 64, 512):
        assert tile.window.row % STRIDE == 0
        assert tile.window.column % STRIDE == 0


def test_to_dict_tells_differently_cut_plans_apart():
    grid = ModelGrid(3000, 2000, 1.0, 1.0)
    first, second = plan_tiles(grid, whole(grid), 64, 512), plan_tiles(grid, whole(grid), 64, 800)
    assert first.to_dict() == plan_tiles(grid, whole(grid), 64, 512).to_dict()
    assert first.to_dict() != second.to_dict()


def test_more_windows_than_are_needed_are_refused():
    assert plan_axis(1000, 0, 1000, 64, 40) is None
    assert plan_axis(1000, 0, 1000, 64, 1).size == 1024


@pytest.mark.parametrize("side", [50, 130, 400])
def test_in_blocks_one_block_after_the_other_is_complete(side):
    grid = ModelGrid(1000, 700, 1.0, 1.0)
    area = PixelWindow(20, 30, 600, 900)
    plan = plan_tiles(grid, area, 32, 192)
    rows, columns = ([start, *range(start + 7, stop, side), stop] for start, stop in ((20, 620), (30, 930)))
    tiles = list(plan.in_blocks(rows, columns))
    assert sorted(tile.core for tile in tiles) == sorted(tile.core for tile in plan)
    assert {tile.core: tile.window for tile in tiles} == {tile.core: tile.window for tile in plan}
    # All tiles of a block come before the first that begins in a later block.
    order = {tile.core: number for number, tile in enumerate(tiles)}
    blocks = [
        PixelWindow(top, left, bottom - top, right - left)
        for top, bottom in pairwise(rows)
        for left, right in pairwise(columns)
    ]
    corners = {tile.core: PixelWindow(tile.core.row, tile.core.column, 1, 1) for tile in tiles}
    begins = [[core for core, corner in corners.items() if corner.intersection(block).pixels] for block in blocks]
    for number, block in enumerate(blocks):
        inside = [tile.core for tile in plan.tiles_in(block)]
        assert sorted(inside) == sorted(t.core for t in plan if t.core.intersection(block).pixels)
        later = [order[core] for cores in begins[number + 1 :] for core in cores]
        assert not later or max(order[core] for core in inside) < min(later)

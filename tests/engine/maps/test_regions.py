import numpy as np
import pytest

from engine.maps.regions import SmallRegions, TileRegions, joined, label_regions
from engine.rasters.windows import PixelWindow


def flood(values):
    """Regions by flood fill, pixel by pixel: sets of places."""
    left = {tuple(place) for place in np.argwhere(values != 0).tolist()}
    found = []
    while left:
        start = left.pop()
        region, waiting = {start}, [start]
        while waiting:
            row, column = waiting.pop()
            for near in ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)):
                if near in left and values[near] == values[start]:
                    left.remove(near)
                    region.add(near)
                    waiting.append(near)
        found.append(region)
    return found


def test_pairs_join_what_they_tie():
    pairs = np.array([(0, 5), (5, 3), (7, 3), (1, 2), (9, 9)]).T
    assert joined(10, *pairs).tolist() == [0, 1, 1, 0, 4, 0, 6, 0, 8, 9]
    assert joined(3, np.empty(0, int), np.empty(0, int)).tolist() == [0, 1, 2]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (23, 31)])
def test_labels_are_those_of_a_flood(seed, shape):
    values = np.random.default_rng(seed).integers(0, 4, shape).astype(np.uint16) * 300
    labels, count = label_regions(values)
    expected = flood(values)
    assert count == len(expected)
    assert (labels == 0).tolist() == (values == 0).tolist()
    for region in expected:
        assert len({int(labels[place]) for place in region}) == 1
    assert len(np.unique(labels[labels > 0])) == count


def test_a_spiral_is_one_region():
    values = np.zeros((41, 41), np.uint16)
    low, high = 0, 40
    while low < high:
        values[low, max(0, low - 2) : high + 1] = values[low : high + 1, high] = values[high, low : high + 1] = 7
        values[low + 2 : high + 1, low] = 7
        low, high = low + 2, high - 2
    assert label_regions(values)[1] == len(flood(values)) == 1


@pytest.mark.parametrize("tile", [(7, 5), (10, 100), (100, 10), (1, 1)])
@pytest.mark.parametrize("seed", range(3))
def test_tiles_do_not_matter(tile, seed):
    generator = np.random.default_rng(seed)
    values = np.kron(generator.integers(0, 3, (14, 12)), np.ones((2, 3), int)).astype(np.uint16)
    values[generator.random(values.shape) < 0.1] = 0
    weights = generator.uniform(0.5, 1.5, values.shape)
    small = np.zeros(values.shape, bool)
    for region in flood(values):
        rows, columns = zip(*region, strict=True)
        small[rows, columns] = weights[rows, columns].sum() < 12.0
    assert 0 < small.sum() < (values > 0).sum()

    whole = PixelWindow(0, 0, *values.shape)
    tiles = [
        PixelWindow(row, column, *tile).intersection(whole)
        for row in range(0, whole.height, tile[0])
        for column in range(0, whole.width, tile[1])
    ]
    regions = SmallRegions(12.0)
    for window in tiles:
        place = window.slices_in(whole)
        regions.add(window, TileRegions.of(values[place], weights[place]))
    regions.finish()
    found = np.zeros(values.shape, bool)
    for window in tiles:
        place = window.slices_in(whole)
        found[place] = regions.small(window, values[place], weights[place])
    assert np.array_equal(found, small)

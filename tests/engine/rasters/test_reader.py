from __future__ import annotations

import threading

import numpy as np
import pytest

from engine.rasters.model_grid import ModelGrid
from engine.rasters.source import RasterSource
from engine.rasters.windows import PixelWindow

RGB = ("red", "green", "blue")


@pytest.fixture
def source_of(write_raster, reporter):
    def make(array, **options):
        return RasterSource.open([write_raster("image.tif", array, **options)], RGB, reporter=reporter)

    return make


@pytest.mark.parametrize(
    "window", [PixelWindow(-7, -3, 40, 30), PixelWindow(5, 6, 60, 70), PixelWindow(-90, 30, 20, 9)]
)
def test_mirrors_beyond_the_edges(source_of, noise, window):
    array = noise((3, 25, 20))
    with source_of(array).reader() as reader:
        values, valid = reader.read(window)
    padded = np.pad(array, ((0, 0), (100, 100), (100, 100)), mode="reflect")
    rows = slice(window.row + 100, window.bottom + 100)
    columns = slice(window.column + 100, window.right + 100)
    assert np.array_equal(values, padded[:, rows, columns])
    inside = np.pad(np.ones((25, 20), bool), 100)[rows, columns]
    assert np.array_equal(valid, inside)


def test_one_pixel_is_repeated(source_of):
    array = np.array([[[5]], [[6]], [[7]]], "uint8")
    with source_of(array).reader() as reader:
        values, valid = reader.read(PixelWindow(-2, -3, 8, 8))
    assert np.array_equal(values, np.broadcast_to(array, (3, 8, 8)))
    assert np.argwhere(valid).tolist() == [[2, 3]]


def test_threads_read_the_same(source_of, noise):
    array = noise((3, 512, 512))
    source = source_of(array, tiled=True, blockxsize=64, blockysize=64, compress="deflate")
    wrong = []

    def work(seed):
        rng = np.random.default_rng(seed)
        with source.reader() as reader:
            for row, column in rng.integers(0, 400, size=(20, 2)).tolist():
                values, _ = reader.read(PixelWindow(row, column, 100, 90))
                if not np.array_equal(values, array[:, row : row + 100, column : column + 90]):
                    wrong.append((row, column))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("model_gsd", [0.05, 0.13, 0.16, 0.25, 0.4, 0.8, 1.3])
@pytest.mark.parametrize("holes", [False, True])
def test_scaled_pixels_do_not_depend_on_the_window(source_of, noise, model_gsd, holes):
    array = noise((3, 90, 70))
    if holes:
        array[:, 20:33, 40:70] = 0
    source = source_of(array, nodata=0 if holes else None)
    grid = ModelGrid.fit(source.width, source.height, (0.2, 0.2), model_gsd)
    whole = PixelWindow(-9, -9, grid.height + 18, grid.width + 18)
    with source.reader() as reader:
        values, valid = reader.read_scaled(whole, grid)
        for row in range(whole.row, whole.bottom, 31):
            for column in range(whole.column, whole.right, 17):
                part = PixelWindow(row, column, 31, 17).intersection(whole)
                piece, piece_valid = reader.read_scaled(part, grid)
                rows, columns = part.slices_in(whole)
                assert np.abs(piece.astype(int) - values[:, rows, columns]).max() <= 1
                assert np.array_equal(piece_valid, valid[rows, columns])
    inner = valid[9:-9, 9:-9]
    assert not np.pad(~inner, 9)[~valid].all() or not valid[:9].any()
    assert inner.all() != holes
    # Every valid image pixel finds a model pixel inside the image, valid too unless a hole is beside it.
    if not holes:
        rows = grid.image_to_model_index(0, source.height, 0)
        columns = grid.image_to_model_index(0, source.width, 1)
        assert inner[np.ix_(rows, columns)].all()


def test_coarser_is_the_mean(source_of, noise):
    array = noise((3, 40, 40))
    source = source_of(array)
    grid = ModelGrid.fit(40, 40, (0.2, 0.2), 0.8)
    with source.reader() as reader:
        values, valid = reader.read_scaled(PixelWindow(0, 0, 10, 10), grid)
    mean = array.reshape(3, 10, 4, 10, 4).mean(axis=(2, 4))
    assert valid.all()
    assert np.abs(values - mean).max() <= 0.5


def test_finer_is_linear(source_of):
    ramp = np.broadcast_to(np.arange(0, 200, 10, dtype="uint8"), (3, 20, 20))
    source = source_of(ramp)
    grid = ModelGrid.fit(20, 20, (0.4, 0.4), 0.2)
    with source.reader() as reader:
        values, _ = reader.read_scaled(PixelWindow(4, 4, 6, 6), grid)
    centres = (np.arange(4, 10) + 0.5) / 2 - 0.5
    assert np.abs(values[1, 2] - centres * 10).max() <= 0.5


def test_holes_do_not_bleed(source_of):
    array = np.full((3, 40, 40), 200, "float32")
    array[:, 10:20, 10:20] = -9999
    source = source_of(array, nodata=-9999)
    for model_gsd in (0.1, 0.35):
        grid = ModelGrid.fit(40, 40, (0.2, 0.2), model_gsd)
        with source.reader() as reader:
            values, valid = reader.read_scaled(PixelWindow(0, 0, grid.height, grid.width), grid)
        assert values[:, valid] == pytest.approx(200)
        share = 1 - valid.mean()
        assert share == pytest.approx(100 / 1600, abs=0.03)


def test_identity_grid_reads_as_is(source_of, noise):
    array = noise((3, 20, 20))
    source = source_of(array)
    grid = ModelGrid.fit(20, 20, source.gsd, 0.2)
    with source.reader() as reader:
        values, _ = reader.read_scaled(PixelWindow(2, 3, 10, 9), grid)
    assert np.array_equal(values, array[:, 2:12, 3:12])


def test_many_files_are_not_all_kept_open(write_raster, reporter):
    paths = [
        write_raster(f"{n}.tif", np.full((3, 4, 4), n + 1, "uint8"), origin=(650000 + n * 0.8, 6860000))
        for n in range(70)
    ]
    source = RasterSource.open(paths, RGB, reporter=reporter)
    with source.reader() as reader:
        values, valid = reader.read(PixelWindow(0, 0, 4, 280))
        assert len(reader._files) <= 48
        assert valid.all()
        assert np.array_equal(values[0, 0], np.repeat(np.arange(1, 71), 4))
        assert reader.read(PixelWindow(0, 0, 4, 4))[0].max() == 1

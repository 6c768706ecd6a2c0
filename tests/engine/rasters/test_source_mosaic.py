from __future__ import annotations

import shutil

import numpy as np
import pytest
import rasterio
from affine import Affine

from engine.errors import InputError
from engine.rasters.source import RasterSource
from engine.rasters.windows import PixelWindow

RGB = ("red", "green", "blue")


def whole(source):
    return PixelWindow(0, 0, source.height, source.width)


def read(source, window=None):
    with source.reader() as reader:
        return reader.read(window or whole(source))


def test_mosaic_on_one_grid(write_raster, noise, reporter):
    scene = noise((3, 40, 60))
    left = write_raster("l.tif", scene[:, :, :35])
    right = write_raster("r.tif", scene[:, :30, 30:], origin=(650006.0, 6860000.0))
    source = RasterSource.open([right, left], RGB, reporter=reporter)
    assert (source.width, source.height) == (60, 40)
    assert source.transform.almost_equals(Affine(0.2, 0, 650000, 0, -0.2, 6860000), 1e-6)
    values, valid = read(source)
    assert not valid[30:, 35:].any()
    assert valid[:30].all()
    assert valid[:, :35].all()
    assert np.array_equal(values[:, valid], scene[:, valid])
    assert not source.covers(PixelWindow(30, 35, 10, 25))
    with source.reader() as reader:
        assert np.array_equal(reader.valid(whole(source)), valid)
        piece, _ = reader.read(PixelWindow(10, 20, 15, 30))
    assert np.array_equal(piece, scene[:, 10:25, 20:50])


def test_later_files_lie_on_top_but_their_nodata_lets_through(write_raster, reporter):
    low, high = np.full((3, 10, 10), 10, "uint8"), np.full((3, 10, 10), 20, "uint8")
    high[:, 4:6] = 0
    paths = [write_raster("low.tif", low), write_raster("high.tif", high, nodata=0)]
    values, valid = read(RasterSource.open(paths, RGB, reporter=reporter))
    assert valid.all()
    assert (values[:, 4:6] == 10).all()
    assert (values[:, :4] == 20).all()
    values, _ = read(RasterSource.open(paths[::-1], RGB, reporter=reporter))
    assert (values == 10).all()


def test_undeclared_black_gives_way_but_stays_valid(write_raster, reporter):
    low, high = np.full((3, 10, 10), 10, "uint8"), np.full((3, 10, 20), 20, "uint8")
    high[:, 4] = 0
    high[1, 6] = 0
    paths = [write_raster("low.tif", low), write_raster("high.tif", high)]
    source = RasterSource.open(paths, RGB, reporter=reporter)
    values, valid = read(source)
    assert valid.all()
    assert (values[:, 4, :10] == 10).all()
    assert (values[:, 4, 10:] == 0).all()
    assert values[:, 6, 0].tolist() == [20, 0, 20]
    with source.reader() as reader:
        assert reader.valid(whole(source)).all()


@pytest.mark.parametrize("gap", [-0.49, -0.3, 0.0, 0.2, 0.45])
def test_files_off_the_grid_meet_without_a_seam(write_raster, reporter, gap):
    ramp = np.broadcast_to(np.arange(100, 130, dtype="uint8"), (3, 20, 30))
    paths = []
    for index in range(4):
        x = 650000 + index * (30 + gap) * 0.2
        paths.append(write_raster(f"{index}.tif", ramp, origin=(x, 6860000 + index * 0.07)))
    source = RasterSource.open(paths, RGB, reporter=reporter)
    values, valid = read(source, PixelWindow(2, 0, 16, source.width))
    assert valid.all()
    assert values.min() >= 100
    # Every file's ramp is there in full but for a pixel at its edges.
    steps = np.diff(values[0, 0].astype(int))
    assert (np.abs(steps) <= 2).sum() >= len(steps) - 3


def test_mosaic_of_different_kinds_is_refused(write_raster, noise, reporter):
    one = write_raster("one.tif", noise((3, 9, 9)))
    turned = Affine.translation(650000, 6860000) * Affine.rotation(20) * Affine.scale(0.2, -0.2)
    others = {
        "CRS": write_raster("crs.tif", noise((3, 9, 9)), crs="EPSG:3857"),
        "number of bands": write_raster("bands.tif", noise((4, 9, 9))),
        "type": write_raster("type.tif", noise((3, 9, 9), "uint16")),
        "rotated": write_raster("turned.tif", noise((3, 9, 9)), transform=turned),
        "very different size": write_raster("coarse.tif", noise((3, 9, 9)), pixel=1.0),
        "different order": write_raster("bgr.tif", noise((3, 9, 9)), interpretation=["blue", "green", "red"]),
        "no georeference": write_raster("none.tif", noise((3, 9, 9)), crs=None, transform=Affine.identity()),
    }
    for words, path in others.items():
        with pytest.raises(InputError, match=words) as caught:
            RasterSource.open([one, path], RGB, reporter=reporter)
        assert caught.value.hint


def test_mosaic_of_many_files(write_raster, tmp_path, reporter):
    first = write_raster("0.tif", np.full((3, 16, 16), 1, "uint8"))
    paths = [first]
    for index in range(1, 160):
        path = tmp_path / f"{index}.tif"
        shutil.copy(first, path)
        with rasterio.open(path, "r+") as dataset:
            dataset.transform = Affine(0.2, 0, 650000 + index % 20 * 3.2, 0, -0.2, 6860000 - index // 20 * 3.2)
        paths.append(str(path))
    source = RasterSource.open(paths, RGB, reporter=reporter)
    assert (source.width, source.height) == (320, 128)
    with source.reader() as reader:
        values, valid = reader.read(whole(source))
    assert valid.all()
    assert (values == 1).all()


@pytest.mark.real_data
def test_korean_tiles_meet_without_seams(real_data, reporter):
    paths = sorted(str(path) for path in (real_data / "korea" / "img").glob("*.tif"))
    source = RasterSource.open(paths, RGB, reporter=reporter)
    assert source.gsd == pytest.approx((0.25, 0.25), rel=0.01)
    values, valid = read(source)
    with source.reader() as reader:
        for row in range(0, source.height, 500):
            piece = PixelWindow(row, 100, min(500, source.height - row), 700)
            again, _ = reader.read(piece)
            assert np.array_equal(again, values[(slice(None), *piece.slices_in(whole(source)))])
    # Each tile has black slivers along its edges; where tiles overlap none of them may show.
    inner = PixelWindow(20, 420, 1100, 2250).slices_in(whole(source))
    assert valid[inner].all()
    assert (values[(slice(None), *inner)].max(axis=0) == 0).sum() <= 5


@pytest.mark.real_data
def test_flair_patch_is_all_valid(real_data, reporter):
    path = next((real_data / "flair" / "img").glob("*.tif"))
    source = RasterSource.open([str(path)], (*RGB, "infrared", "elevation"), reporter=reporter)
    assert source.all_valid
    assert source.gsd == pytest.approx((0.2, 0.2), rel=5e-3)
    assert reporter.warnings == []


@pytest.mark.real_data
def test_holes_of_a_surface_model(real_data, reporter):
    path = str(real_data / "bdortho" / "square_0_dsm_0m50.tif")
    source = RasterSource.open([path], ("elevation",), reporter=reporter)
    values, valid = read(source)
    assert not valid.all()
    assert valid.any()
    assert values[:, ~valid].max() == 0

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import transform

from engine.data.time_series.date_folder import DateFolder, Ground
from engine.errors import InputError

LAMBERT = CRS.from_epsg(2154)
UTM = CRS.from_epsg(32631)
PATCH = Affine(0.2, 0, 650_000.0, 0, -0.2, 6_860_000.0)
# Half of the patch is 51.2 m, half of the grid 204.8 m.
CORNER = (650_000 + 51.2 - 204.8, 6_860_000 - 51.2 + 204.8)


def ground(side=40, crs=LAMBERT, placed=PATCH, size=512):
    return Ground(crs, placed, size, size, 51.2, side)


def write(path, pixels, placed, crs=LAMBERT, nodata=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=pixels.shape[1],
        width=pixels.shape[2],
        count=len(pixels),
        dtype=pixels.dtype,
        crs=crs,
        transform=placed,
        nodata=nodata,
    ) as file:
        file.write(pixels)


def numbered(height=60, width=60, bands=2):
    """Return pixels that rise evenly to the right and down, so that a bilinear value tells its place."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([1000 + 30 * rows + 2 * columns + 5 * band for band in range(bands)]).astype(np.float32)


def aligned(shift=(0.0, 0.0), margin=10):
    """Return where an image lies whose pixels are the grid's, `shift` (rows, columns) of a pixel beside it."""
    return Affine(10.24, 0, CORNER[0], 0, -10.24, CORNER[1]) * Affine.translation(
        -margin - shift[1], -margin - shift[0]
    )


def test_pixels_of_the_same_grid_are_cut_as_they_are(tmp_path):
    pixels = np.random.default_rng(0).integers(1, 9000, (4, 60, 60)).astype(np.uint16)
    write(tmp_path / "S2_20210714.tif", pixels, aligned())
    found = DateFolder.open(tmp_path).cut(ground())
    assert (found.series.pixels[0] == pixels[:, 10:50, 10:50]).all()
    assert np.allclose(found.offsets, 0)
    assert found.series.days.tolist() == [-60]
    assert found.dropped == ()


@pytest.mark.parametrize("shift", [(0.25, 0.0), (0.0, -0.4), (0.3, 0.49)])
def test_parts_of_a_pixel_are_told_and_taken_up(tmp_path, shift):
    write(tmp_path / "S2_20210714.tif", numbered(), aligned(shift))
    found = DateFolder.open(tmp_path).cut(ground())
    rows, columns = np.mgrid[:40, :40] + np.array([10 + shift[0], 10 + shift[1]])[:, None, None]
    assert np.allclose(found.series.pixels[0, 0], 1000 + 30 * rows + 2 * columns, atol=0.01)
    assert np.allclose(found.offsets[0], shift, atol=1e-6)


def test_an_image_in_another_crs_is_cut_at_the_same_ground(tmp_path):
    """The value of each pixel is its place in UTM; so is each point of the grid."""
    x, y = (part[0] for part in transform(LAMBERT, UTM, [650_051.2], [6_859_948.8]))
    placed = Affine(10, 0, np.floor(x / 10) * 10 - 400, 0, -10, np.floor(y / 10) * 10 + 400)
    rows, columns = np.mgrid[:80, :80] + 0.5
    east, north = placed * (columns, rows)
    write(tmp_path / "20210401.tif", np.stack([east - x, north - y]).astype(np.float32) + 5000, placed, UTM)
    found = DateFolder.open(tmp_path).cut(ground()).series.pixels[0] - 5000
    points = ground().points()
    there = np.array(transform(LAMBERT, UTM, points[0].ravel(), points[1].ravel())).reshape(2, 40, 40)
    assert np.allclose(found[0], there[0] - x, atol=0.01)
    assert np.allclose(found[1], there[1] - y, atol=0.01)


def test_the_grid_is_centred_on_the_patch_and_turns_with_it():
    x, y = ground().points()
    assert x.mean() == pytest.approx(650_051.2)
    assert y.mean() == pytest.approx(6_859_948.8)
    assert np.diff(x[0]) == pytest.approx(10.24)
    assert np.diff(y[:, 0]) == pytest.approx(-10.24)
    turned = ground(placed=PATCH * Affine.rotation(90))
    assert np.ptp(turned.points()[0], axis=1).max() == pytest.approx(0, abs=1e-6)


def test_dates_without_the_whole_ground_are_dropped_and_named(tmp_path):
    write(tmp_path / "a_20210101.tif", numbered(), aligned())
    write(tmp_path / "b_20210201.tif", numbered(), aligned(margin=-1))  # a pixel short at the top and left
    write(tmp_path / "c_20210301.tif", numbered(49, 49), aligned())  # one short at the bottom and right
    hole = numbered()
    hole[:, 30, 30] = 0
    write(tmp_path / "d_20210401.tif", hole, aligned())
    gone = numbered()
    gone[0, 12, 12] = -9999
    write(tmp_path / "e_20210501.tif", gone, aligned(), nodata=-9999)
    beside = numbered()
    beside[:, :10], beside[:, 50:], beside[:, 5, 5] = 0, np.nan, np.nan
    write(tmp_path / "f_20210601.tif", beside, aligned())
    found = DateFolder.open(tmp_path).cut(ground())
    assert [name[0] for name in found.dropped] == ["b", "c", "d", "e"]
    assert found.series.months.tolist() == [1, 6]
    assert np.isfinite(found.series.pixels).all()
    assert (found.series.pixels[0] == found.series.pixels[1]).all()


def test_a_hole_between_the_points_of_a_wide_grid_is_of_no_weight(tmp_path):
    """Every second pixel is a point of the grid; the one in between is not finite."""
    pixels = numbered()
    pixels[:, 11, 21] = np.nan
    write(tmp_path / "20210101.tif", pixels, aligned((-0.5, -0.5)))
    found = DateFolder.open(tmp_path).cut(Ground(LAMBERT, PATCH, 512, 512, 102.4, 20))
    assert found.dropped == ()
    assert np.isfinite(found.series.pixels).all()
    rows, columns = 10 + 2 * np.mgrid[:20, :20]
    assert (found.series.pixels[0] == pixels[:, rows, columns]).all()


def test_the_last_pixel_of_an_image_is_as_good_as_any(tmp_path):
    write(tmp_path / "20210101.tif", numbered(40, 40), aligned(margin=0))
    assert DateFolder.open(tmp_path).cut(ground()).series.dates == 1
    write(tmp_path / "20210101.tif", numbered(40, 40), aligned((0.01, 0), margin=0))
    assert DateFolder.open(tmp_path).cut(ground()).series.dates == 0


def test_a_ground_that_no_date_shows_has_an_empty_season(tmp_path):
    write(tmp_path / "20210101.tif", numbered(), aligned() * Affine.translation(500, 0))
    found = DateFolder.open(tmp_path).cut(ground())
    assert found.series.pixels.shape == (0, 2, 40, 40)
    assert found.offsets.shape == (0, 2)


def test_dates_come_from_names_in_order_and_the_first_of_a_name_counts(tmp_path):
    names = ("S2B_MSIL2A_20210714T105351_N0214_20220101T135125.tif", "20210102.tif", "t31_20200229_x.tif")
    for name in names:
        write(tmp_path / name, numbered(), aligned())
    (tmp_path / "20210102.tif.aux.xml").write_text("")
    folder = DateFolder.open(tmp_path)
    assert [(month, day) for _, month, day in folder.files] == [(2, 29), (1, 2), (7, 14)]


def test_folders_that_are_none_are_named(tmp_path):
    with pytest.raises(InputError, match="holds no satellite images"):
        DateFolder.open(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        DateFolder.open(tmp_path / "nowhere")
    write(tmp_path / "a" / "image_2021.tif", numbered(), aligned())
    with pytest.raises(InputError, match="carries no date"):
        DateFolder.open(tmp_path / "a")
    write(tmp_path / "b" / "20210101.tif", numbered(), aligned())
    write(tmp_path / "b" / "20210201.tif", numbered(bands=3), aligned())
    with pytest.raises(InputError, match=r"'20210201\.tif' has 3 bands and '20210101\.tif' 2"):
        DateFolder.open(tmp_path / "b")
    write(tmp_path / "c" / "20210101.tif", numbered(), aligned(), crs=None)
    with pytest.raises(InputError, match="has no CRS"):
        DateFolder.open(tmp_path / "c")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "20210101.tif").write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be read"):
        DateFolder.open(tmp_path / "d")
    write(tmp_path / "e" / "20210230.tif", numbered(), aligned())
    with pytest.raises(InputError, match="no day 30 in month 2"):
        DateFolder.open(tmp_path / "e")

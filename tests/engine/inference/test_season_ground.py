from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from engine.band import Band
from engine.data.time_series.date_folder import DateFolder, Ground
from engine.errors import ModelError
from engine.inference import season_ground
from engine.inference.season_ground import SeasonGround, cell_size
from engine.models.season_input import SeasonInput
from engine.rasters.windows import PixelWindow
from tests.engine import season_files, tiny
from tests.engine.season_files import PATCH, RATIO, SIDE

LAMBERT = CRS.from_epsg(2154)
PLACED = Affine(0.2, 0, season_files.CORNER[0], 0, -0.2, season_files.CORNER[1])


def published(**changes):
    bands = tuple(Band(f"B{number:02}", 1000.0, 500.0) for number in range(10))
    return tiny.manifest(architecture="utt", season=SeasonInput(bands, **changes))


def test_a_cell_is_the_patch_that_the_model_learnt_with():
    assert cell_size(published()) == season_ground.CellSize(512, 10)
    assert cell_size(published(patch=1024)) == season_ground.CellSize(1024, 20)
    assert cell_size(season_files.manifest()) == season_ground.CellSize(64, 8)
    assert cell_size(season_files.manifest(patch=None)) == season_ground.CellSize(32, 4)
    with pytest.raises(ModelError, match="no place in 40"):
        cell_size(published(patch=500))
    with pytest.raises(ModelError, match="No aerial patch"):
        cell_size(published(ground_sampling_distance=10.0001))


@pytest.mark.parametrize("shift", [0.0, 3.3])
def test_each_cell_has_the_season_of_a_patch_in_its_place(tmp_path, monkeypatch, shift):
    monkeypatch.setattr(season_ground, "BLOCK", 2)
    monkeypatch.setattr(season_ground, "LARGEST_BYTES", 0)
    folder = DateFolder.open(season_files.write_series(tmp_path, 256, 320, around=6, shift=shift))
    turned = PLACED * Affine.rotation(10)
    for placed in (PLACED, turned):
        ground = SeasonGround(folder, season_files.manifest(monthly=False), LAMBERT, placed, 200, 300)
        assert (ground.rows, ground.columns) == (4, 5)
        for row, column in ((0, 0), (1, 3), (2, 2)):
            corner = placed * Affine.translation(column * PATCH, row * PATCH)
            expected = folder.cut(Ground(LAMBERT, corner, PATCH, PATCH, RATIO, SIDE)).series
            found = ground.series((row, column))
            assert np.array_equal(found.days, expected.days)
            assert np.allclose(found.pixels, expected.pixels, atol=0.05)
    shown = [ground.series((row, column)).dates for row in range(4) for column in range(5)]
    assert set(shown) == {0, 4}  # turned surroundings leave the images


def test_a_series_that_lies_elsewhere_gives_the_cut_of_there(tmp_path):
    """3.3 m are no whole number of pixels: what is cut is the ground, wherever the images have their pixels."""
    straight = DateFolder.open(season_files.write_series(tmp_path / "a", 128, 128))
    beside = DateFolder.open(season_files.write_series(tmp_path / "b", 128, 128, shift=3.3))
    season = season_files.manifest()
    first = SeasonGround(straight, season, LAMBERT, PLACED, 128, 128).series((0, 1)).pixels
    second = SeasonGround(beside, season, LAMBERT, PLACED, 128, 128).series((0, 1)).pixels
    rows, columns = np.mgrid[:SIDE, :SIDE] + np.array([-4, 4])[:, None, None]
    exact = season_files.land(rows, columns, 0)
    assert np.abs(first[0, 0] - exact).max() < 0.01
    # Bilinear values of a wave are a little flatter; a pixel off would be 100 away.
    assert np.abs(second[0, 0] - exact).max() < 15
    off = season_files.land(rows + 1, columns, 0)
    assert np.abs(second[0, 0] - off).max() > 60


def test_windows_look_at_the_cells_around_them(tmp_path):
    folder = DateFolder.open(season_files.write_series(tmp_path, 256, 256))
    ground = SeasonGround(folder, season_files.manifest(), LAMBERT, PLACED, 256, 256)
    assert ground.under(PixelWindow(0, 0, 64, 64)) == (range(2), range(2))
    assert ground.under(PixelWindow(96, 128, 64, 128)) == (range(1, 3), range(1, 4))
    assert ground.under(PixelWindow(0, 0, 288, 288)) == (range(4), range(4))
    assert list(ground.cells(PixelWindow(60, 70, 10, 10))) == [(0, 1), (1, 1)]
    wide = SeasonGround(folder, season_files.manifest(), LAMBERT, PLACED, 64 * 20, 64 * 20)
    by_block = list(wide.cells(PixelWindow(64 * 6, 64 * 5, 64 * 4, 64 * 13)))
    assert by_block[:6] == [(6, 5), (6, 6), (6, 7), (7, 5), (7, 6), (7, 7)]
    assert by_block == sorted(product(range(6, 10), range(5, 18)), key=lambda cell: (cell[0] // 8, cell[1] // 8))
    small = SeasonGround(folder, season_files.manifest(), LAMBERT, PLACED, 10, 10)
    assert small.under(PixelWindow(0, 0, 32, 32)) == (range(1), range(1))


def test_other_bands_and_metadata_are_refused(tmp_path):
    folder = DateFolder.open(season_files.write_series(tmp_path, 64, 64))
    with pytest.raises(ModelError, match="camera, date and altitude"):
        SeasonGround(folder, season_files.manifest(metadata=True), LAMBERT, PLACED, 64, 64)


def test_the_fingerprint_changes_with_any_file(tmp_path):
    season_files.write_series(tmp_path, 64, 64)
    ground = SeasonGround(DateFolder.open(tmp_path), season_files.manifest(), LAMBERT, PLACED, 64, 64)
    before = ground.fingerprint()
    assert len(before) == 4
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "S2_20210604.tif").write_bytes(b"other")
    assert ground.fingerprint() != before
    assert replace(season_files.season_input(), patch=None) != season_files.season_input()

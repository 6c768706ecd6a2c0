from __future__ import annotations

import numpy as np
import pytest
from affine import Affine

from engine.data.time_series.date_folder import DateFolder
from engine.data.time_series.season_pieces import SeasonPieces, batch_pieces
from engine.data.time_series.sources import AreaSeasons, FolderSeasons
from engine.errors import InputError
from tests.engine.data.time_series.test_date_folder import PATCH, aligned, numbered, write
from tests.engine.data.time_series.test_super_patch import area


def test_each_patch_gets_the_season_of_its_own_area(tmp_path):
    first, _ = area(tmp_path / "sen" / "D004_2021" / "Z1_NN" / "sen")
    second, _ = area(tmp_path / "sen" / "D004_2021" / "Z2_UU" / "sen", dates=("0501", "1103"))
    images = tuple(
        tmp_path / "aerial" / "D004_2021" / zone / "img" / f"IMG_{number}.tif"
        for zone, number in (("Z1_NN", 1), ("Z2_UU", 2))
    )
    seasons = AreaSeasons(images, tmp_path / "sen", {"IMG_1.tif": (30, 40), "IMG_2.tif": (50, 20)}, monthly=False)
    assert (seasons.read(0).pixels == first[:, :, 10:50, 20:60]).all()
    assert (seasons.read(1).pixels == second[:, :, 30:70, 0:40]).all()
    assert AreaSeasons(images, tmp_path / "sen", seasons.centroids).read(0).dates == 3


def test_patches_without_an_area_or_a_centre_are_named(tmp_path):
    image = tmp_path / "D1_2020" / "Z1" / "img" / "IMG_1.tif"
    with pytest.raises(InputError, match=r"does not name 'IMG_1\.tif'"):
        AreaSeasons((image,), tmp_path, {}).read(0)
    with pytest.raises(InputError, match="no satellite files"):
        AreaSeasons((image,), tmp_path / "sen", {"IMG_1.tif": (30, 30)}).read(0)


def test_patches_of_an_orthophoto_get_the_dates_under_them(tmp_path):
    pixels = np.random.default_rng(0).integers(1, 9000, (3, 10, 70, 70)).astype(np.uint16)
    for place, name in zip(pixels, ("20210403", "20210420", "20210715"), strict=True):
        write(tmp_path / "sen" / f"S2_{name}.tif", place, aligned())
    images = []
    for number in range(2):
        images.append(tmp_path / f"{number}.tif")
        # The second patch lies 10 satellite pixels further to the right.
        write(images[-1], np.zeros((1, 512, 512), np.uint8), PATCH * Affine.translation(512 * number, 0))
    seasons = FolderSeasons(tuple(images), DateFolder.open(tmp_path / "sen"), 51.2)
    for number in range(2):
        found = seasons.read(number)
        part = pixels[:, :, 10:50, 10 + 10 * number : 50 + 10 * number].astype(float)
        assert found.months.tolist() == [4, 7]
        assert np.allclose(found.pixels[0], part[:2].mean(0), atol=1e-3)
        assert np.allclose(found.pixels[1], part[2], atol=1e-3)
    assert FolderSeasons(tuple(images), seasons.folder, 51.2, monthly=False).read(0).dates == 3


def test_a_patch_beside_all_images_learns_without_a_season(tmp_path):
    write(tmp_path / "sen" / "20210403.tif", numbered(), aligned())
    images = (tmp_path / "near.tif", tmp_path / "far.tif")
    write(images[0], np.zeros((1, 512, 512), np.uint8), PATCH)
    write(images[1], np.zeros((1, 512, 512), np.uint8), PATCH * Affine.translation(90_000, 0))

    class Patches:
        def read(self, index):
            return np.zeros((1, 512, 512), np.float32), np.zeros((512, 512), np.uint8)

    seasons = FolderSeasons(images, DateFolder.open(tmp_path / "sen"), 51.2)
    pieces = SeasonPieces(Patches(), seasons, 0)
    assert batch_pieces([pieces[0, 0, 0], pieces[0, 1, 1]])["valid"].tolist() == [[True], [False]]


def test_a_patch_without_a_crs_is_named(tmp_path):
    write(tmp_path / "sen" / "20210403.tif", numbered(), aligned())
    write(tmp_path / "p.tif", np.zeros((1, 512, 512), np.uint8), PATCH, crs=None)
    with pytest.raises(InputError, match=r"p\.tif' has no CRS"):
        FolderSeasons((tmp_path / "p.tif",), DateFolder.open(tmp_path / "sen"), 51.2).read(0)

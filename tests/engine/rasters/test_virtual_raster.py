from __future__ import annotations

import numpy as np
import rasterio
from affine import Affine

from engine.rasters.virtual_raster import Dressing, PlacedFile, write_vrt
from engine.rasters.windows import PixelWindow
from tests.engine.rasters.stored_tiles import CLASSES, grid_of, land_cover


def write(path, image):
    height, width = image.shape
    with rasterio.open(path, "w", driver="GTiff", width=width, height=height, count=1, dtype="uint8") as file:
        file.write(image, 1)


def test_files_beyond_the_raster_are_cut(tmp_path):
    image = land_cover(40, 50)
    write(tmp_path / "a.tif", image)
    files = [
        PlacedFile(tmp_path / "a.tif", PixelWindow(-10, -20, 40, 50)),
        PlacedFile(tmp_path / "missing.tif", PixelWindow(100, 0, 40, 50)),
    ]
    write_vrt(tmp_path / "part.vrt", grid_of(25, 60), CLASSES, files)
    with rasterio.open(tmp_path / "part.vrt") as file:
        result = file.read(1)
    np.testing.assert_array_equal(result[:, :30], image[10:35, 20:])
    assert not result[:, 30:].any()


def test_it_moves_with_its_files(tmp_path):
    (tmp_path / "one" / "tiles & more").mkdir(parents=True)
    image = land_cover(20, 20)
    write(tmp_path / "one" / "tiles & more" / "é.tif", image)
    files = [PlacedFile(tmp_path / "one" / "tiles & more" / "é.tif", PixelWindow(0, 0, 20, 20))]
    write_vrt(tmp_path / "one" / "all.vrt", grid_of(20, 20), CLASSES, files)
    (tmp_path / "one").rename(tmp_path / "two")
    with rasterio.open(tmp_path / "two" / "all.vrt") as file:
        np.testing.assert_array_equal(file.read(1), image)


def test_dressing_and_no_coordinates(tmp_path):
    grid = grid_of(10, 10, Affine.identity(), None)
    dressing = Dressing(tags={"KEY": "a <b> & 'c'"}, descriptions=["Trees & <more>"])
    write_vrt(tmp_path / "a.vrt", grid, CLASSES, [], dressing)
    with rasterio.open(tmp_path / "a.vrt") as file:
        assert file.crs is None
        assert file.transform.is_identity
        assert file.tags()["KEY"] == "a <b> & 'c'"
        assert file.descriptions == ("Trees & <more>",)
        assert not file.read().any()


def test_a_part_of_a_grid_lies_where_it_lay():
    rotated = grid_of(100, 100, Affine(0.2, 0.1, 1000, 0.1, -0.2, 2000))
    part = rotated.part(PixelWindow(10, 20, 30, 40))
    assert (part.height, part.width) == (30, 40)
    expected = (0.2, 0.1, 1000 + 0.2 * 20 + 0.1 * 10, 0.1, -0.2, 2000 + 0.1 * 20 - 0.2 * 10)
    assert np.allclose(part.transform[:6], expected)

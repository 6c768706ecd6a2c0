"""The command line on images of all shapes and places."""

from __future__ import annotations

import math

import numpy as np
import pytest
import rasterio
from affine import Affine

from tests.end_to_end import rasters


def test_one_pixel(material, tmp_path):
    image = rasters.cut(material.image, tmp_path / "pixel.tif", 400, 300, 1, 1)
    material.classify(input=image, output=tmp_path / "map.tif")
    pixels = rasters.assert_is_class_raster(
        tmp_path / "map.tif", width=1, height=1, transform=material.transform @ Affine.translation(400, 300)
    )
    assert pixels[0, 0] in rasters.CODES


def test_200_pixels_in_a_row(material, tmp_path):
    # narrower than any window, longer than some
    image = rasters.cut(material.image, tmp_path / "row.tif", 100, 300, 200, 1)
    material.classify(input=image, output=tmp_path / "map.tif", window=64, margin=32)
    pixels = rasters.assert_is_class_raster(
        tmp_path / "map.tif", width=200, height=1, transform=material.transform @ Affine.translation(100, 300)
    )
    assert (pixels > 0).all()


def test_200_by_200_pixels(material, tmp_path):
    image = rasters.cut(material.image, tmp_path / "small.tif", 100, 200, 200, 200)
    material.classify(input=image, output=tmp_path / "map.tif")
    pixels = rasters.assert_is_class_raster(
        tmp_path / "map.tif", width=200, height=200, transform=material.transform @ Affine.translation(100, 200)
    )
    right = (pixels == rasters.read(material.labels)[200:400, 100:300]).mean()
    whole = (rasters.read(material.map) == rasters.read(material.labels))[200:400, 100:300].mean()
    assert right > whole - 0.15


@pytest.mark.parametrize("mode", ["geographic", "rotated"])
def test_georeferencing_other_than_north_up_in_metres(material, tmp_path, mode):
    # the same pixels elsewhere: the same map, in the other place
    if mode == "geographic":
        crs, latitude = "EPSG:4326", 43.5
        high = 0.2 / 110_900
        transform = Affine(high / math.cos(math.radians(latitude)), 0, 4.8, 0, -high, latitude)
    else:
        crs = "EPSG:2154"
        transform = Affine.translation(853_000, 6_541_000) @ Affine.rotation(30) @ Affine.scale(0.2, -0.2)
    image = rasters.write(tmp_path / "image.tif", rasters.read_all(material.image), transform=transform, crs=crs)
    material.classify(input=image, output=tmp_path / "map.tif")
    pixels = rasters.assert_is_class_raster(tmp_path / "map.tif", width=768, height=512, transform=transform, crs=crs)
    assert (pixels != rasters.read(material.map)).mean() < 0.02


def test_holes_of_nodata(material, tmp_path):
    values = rasters.read_all(material.image)
    values[values == 0] = 1
    valid = np.ones(values.shape[1:], bool)
    valid[:100, :150] = False
    valid[200:260, 300:420] = False
    valid[400, 10:] = False
    valid[:, 767] = False
    values[:, ~valid] = 0
    image = rasters.write(tmp_path / "holes.tif", values, transform=material.transform, nodata=0)
    material.classify(input=image, output=tmp_path / "map.tif", confidence=tmp_path / "confidence.tif", window=128)
    pixels = rasters.assert_is_class_raster(tmp_path / "map.tif", width=768, height=512, transform=material.transform)
    assert np.array_equal(pixels > 0, valid)
    assert np.array_equal(rasters.read(tmp_path / "confidence.tif") != 255, valid)
    # far from the holes they change next to nothing; every elevation of 0 was made 1 above
    assert (pixels != rasters.read(material.map))[:350, 540:660].mean() < 0.03


# Left, top, width and height of parts of the scene; their sides lie in fields, roofs and roads alike.
CUTS = [(96, 64, 400, 320), (201, 77, 333, 301), (0, 130, 512, 382), (300, 0, 468, 400), (160, 96, 288, 256)]


def test_cuts_differ_little_from_the_whole(material, tmp_path):
    whole = rasters.read(material.map)
    different = total = 0
    for number, (left, top, width, height) in enumerate(CUTS):
        output = tmp_path / f"{number}.tif"
        # the whole was predicted in one piece, the cuts in many
        corner, opposite = (material.transform @ point for point in ((left, top), (left + width, top + height)))
        extent = f"{corner[0]},{opposite[0]},{opposite[1]},{corner[1]}"
        material.classify(input=material.image, output=output, extent=extent, window=128)
        pixels = rasters.read(output)
        assert pixels.shape == (height, width)
        changed = pixels != whole[top : top + height, left : left + width]
        print(f"{width} x {height} at {left}, {top}: {changed.mean():.3%} differ")
        different += int(changed.sum())
        total += changed.size
    print(f"together: {different / total:.3%}")
    assert different / total < 0.005


def test_many_tiles_differ_little_from_one(material, tmp_path):
    material.classify(input=material.image, output=tmp_path / "map.tif", window=96)
    share = (rasters.read(tmp_path / "map.tif") != rasters.read(material.map)).mean()
    print(f"{share:.3%} differ")
    assert share < 0.005


def test_mosaic_of_real_files_with_a_gap(material, tmp_path):
    # north and south with 40 missing rows, given in the wrong order
    parts = [
        rasters.cut(material.image, tmp_path / "south.tif", 0, 240, 768, 272),
        rasters.cut(material.image, tmp_path / "north.tif", 0, 0, 768, 200),
    ]
    material.classify(input=parts, output=tmp_path / "map.tif")
    pixels = rasters.assert_is_class_raster(tmp_path / "map.tif", width=768, height=512, transform=material.transform)
    assert (pixels[:200] > 0).all()
    assert (pixels[200:240] == 0).all()
    assert (pixels[240:] > 0).all()


def test_coarser_image_comes_out_on_its_own_grid(material, tmp_path):
    with rasterio.open(material.image) as dataset:
        values = dataset.read(out_shape=(5, 256, 384), resampling=rasterio.enums.Resampling.average)
    transform = material.transform @ Affine.scale(2)
    image = rasters.write(tmp_path / "coarse.tif", values, transform=transform)
    material.classify(input=image, output=tmp_path / "map.tif")
    pixels = rasters.assert_is_class_raster(tmp_path / "map.tif", width=384, height=256, transform=transform)
    assert (pixels == rasters.read(material.map)[::2, ::2]).mean() > 0.6

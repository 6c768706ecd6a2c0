from __future__ import annotations

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from rasterio.enums import Resampling
from rasterio.features import rasterize
from rasterio.warp import reproject

from engine.data import sample_scene
from engine.data.sample_scene import write_sample_scene
from engine.errors import RequestError
from engine.nomenclature import load_nomenclature

CLASSES = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 18}


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return write_sample_scene(tmp_path_factory.mktemp("scene"), width=1400, height=900, seed=4)


def read(path, band=None):
    with rasterio.open(path) as file:
        return file.read(band) if band else file.read()


def test_image_says_what_it_is(scene):
    with rasterio.open(scene.image) as file:
        assert (file.width, file.height, file.count, file.dtypes[0]) == (1400, 900, 5, "uint8")
        assert file.descriptions == ("red", "green", "blue", "infrared", "elevation")
        assert file.crs.to_epsg() == 2154
        assert file.res == (0.2, 0.2)
        assert file.nodata is None


def test_labels_lie_on_the_image(scene):
    with rasterio.open(scene.image) as image, rasterio.open(scene.labels) as labels:
        assert labels.transform == image.transform
        assert labels.shape == image.shape
        assert labels.nodata == 0
        assert labels.colormap(1)[1][:3] == (219, 14, 154)
        assert set(np.unique(labels.read(1))) == CLASSES


def test_elevation_is_that_of_the_height_models(scene):
    with rasterio.open(scene.image) as image:
        wanted, profile = image.read(5).astype(int), image.profile
    heights = []
    for path in (scene.dsm, scene.dtm):
        with rasterio.open(path) as file:
            assert file.dtypes == ("float32",)
            assert file.res == (0.5, 0.5)
            assert file.bounds.left < profile["transform"].c
            grid = np.empty((900, 1400), dtype=np.float32)
            reproject(
                rasterio.band(file, 1), grid, dst_transform=profile["transform"], dst_crs=profile["crs"],
                resampling=Resampling.bilinear,
            )  # fmt: skip
            heights.append(grid)
    encoded = np.clip(np.round(5 * np.maximum(heights[0] - heights[1], 0)), 0, 255).astype(int)
    assert np.mean(encoded == wanted) > 0.97
    assert np.abs(encoded - wanted).max() <= 1


def test_terrain_is_gentle_and_things_stand_on_it(scene):
    terrain, surface = read(scene.dtm, 1), read(scene.dsm, 1)
    assert 100 < terrain.min() < terrain.max() < 400
    assert np.abs(np.diff(terrain, axis=0)).max() < 0.2
    assert (surface - terrain).min() > -0.5
    labels, elevation = read(scene.labels, 1), read(scene.image, 5) / 5
    heights = {code: float(np.median(elevation[labels == code])) for code in CLASSES}
    assert heights[1] > 3.0
    assert heights[7] > 4.0
    assert heights[6] > 5.0
    assert all(heights[code] < 0.3 for code in (2, 3, 4, 5, 10, 12, 13))


def test_colours_overlap_between_classes(scene):
    """Neither colour alone nor height alone tells the classes apart: a nearest-mean rule stays poor."""
    image, labels = read(scene.image).astype(np.float64), read(scene.labels, 1)
    for bands, limit in ((slice(0, 4), 0.65), (slice(4, 5), 0.5)):
        pixels = image[bands].reshape(image[bands].shape[0], -1).T[::7]
        wanted = labels.ravel()[::7]
        codes = np.unique(wanted)
        means = np.array([pixels[wanted == code].mean(axis=0) for code in codes])
        spread = np.array([pixels[wanted == code].std(axis=0) + 1 for code in codes])
        distance = (((pixels[:, None] - means) / spread) ** 2).sum(axis=2) + 2 * np.log(spread).sum(axis=1)
        assert np.mean(codes[distance.argmin(axis=1)] == wanted) < limit


def test_plants_are_bright_in_the_infrared_and_water_is_dark(scene):
    image, labels = read(scene.image).astype(float), read(scene.labels, 1)
    infrared = {code: np.median(image[3][labels == code]) for code in CLASSES}
    assert infrared[7] > infrared[6] > infrared[5]
    assert infrared[10] > 110
    assert infrared[5] < 45


def test_shadows_fall_away_from_the_sun(scene):
    """North-west of roofs it is darker than south-east of them, on the same kind of ground."""
    image, labels = read(scene.image)[:3].mean(axis=0), read(scene.labels, 1)
    roofs, open_ground = labels == 1, np.isin(labels, (2, 3, 10))
    shift = 14  # pixels: 2.8 m
    behind = np.roll(roofs, (-shift, -shift // 2), (0, 1)) & open_ground
    before = np.roll(roofs, (shift, shift // 2), (0, 1)) & open_ground
    assert image[behind].mean() < 0.8 * image[before].mean()


def test_polygons_are_the_labels(scene):
    meta, _, geometry, (codes, names) = pyogrio.raw.read(scene.polygons)
    assert meta["crs"] == "EPSG:2154"
    assert list(meta["fields"]) == ["code", "class"]
    nomenclature = {item.code: item.name for item in load_nomenclature().classes}
    assert {(int(code), str(name)) for code, name in zip(codes, names, strict=True)} == {
        (code, nomenclature[code]) for code in CLASSES
    }
    with rasterio.open(scene.labels) as file:
        labels = file.read(1)
        burned = rasterize(
            zip(shapely.from_wkb(geometry), codes.tolist(), strict=True), file.shape, transform=file.transform
        )
    np.testing.assert_array_equal(burned, labels)


def test_same_seed_same_scene_other_seed_another(tmp_path):
    first = write_sample_scene(tmp_path / "a", width=200, height=120, seed=7)
    second = write_sample_scene(tmp_path / "b", width=200, height=120, seed=7)
    third = write_sample_scene(tmp_path / "c", width=200, height=120, seed=8)
    np.testing.assert_array_equal(read(first.image), read(second.image))
    np.testing.assert_array_equal(read(first.dsm), read(second.dsm))
    assert np.mean(read(first.labels) == read(third.labels)) < 0.8


def test_tiles_leave_no_seams(tmp_path, monkeypatch):
    whole = write_sample_scene(tmp_path / "a", width=300, height=200, seed=1)
    monkeypatch.setattr(sample_scene, "TILE", 96)
    cut = write_sample_scene(tmp_path / "b", width=300, height=200, seed=1)
    np.testing.assert_array_equal(read(whole.labels), read(cut.labels))
    # the camera's noise differs from tile to tile, nothing else does
    difference = read(whole.image).astype(int) - read(cut.image)
    assert np.abs(difference[4]).max() <= 1
    assert np.abs(difference[:4]).mean() < 4
    row_means = np.abs(difference[:4]).mean(axis=(0, 2))
    assert row_means[94:98].max() < 1.3 * np.median(row_means)


@pytest.mark.parametrize(("width", "height"), [(16, 16), (300, 200), (33, 700)])
def test_any_size(tmp_path, recorder, width, height):
    scene = write_sample_scene(tmp_path, width=width, height=height, reporter=recorder)
    assert read(scene.image).shape == (5, height, width)
    assert read(scene.labels).all()
    assert recorder.fractions[-1] == 1.0


def test_small_scenes_are_varied_too(tmp_path):
    assert len(np.unique(read(write_sample_scene(tmp_path, width=300, height=200, seed=2).labels))) >= 7


def test_too_small_is_refused(tmp_path):
    with pytest.raises(RequestError, match="8 x 40 pixels is too small"):
        write_sample_scene(tmp_path, width=8, height=40)

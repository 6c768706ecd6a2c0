"""Labels that are rasters."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.warp import Resampling, reproject

from engine.errors import InputError
from engine.extraction.class_mapping import ClassMapping
from engine.extraction.label_raster import LabelRasters
from engine.nomenclature import load_nomenclature
from engine.rasters.windows import PixelWindow
from tests.engine import tiny
from tests.engine.extraction.conftest import NORTH_UP

FULL = PixelWindow(0, 0, 100, 120)


def patches_of(*codes, height=100, width=120, block=10, seed=0):
    """Return squares of random codes, shape (height, width)."""
    rows, columns = -(-height // block), -(-width // block)
    squares = np.random.default_rng(seed).choice(codes, (rows, columns))
    return np.kron(squares, np.ones((block, block), int))[:height, :width].astype(np.uint8)


@pytest.fixture
def write(tmp_path):
    def make(codes, name="labels.tif", **options):
        options = {"transform": NORTH_UP, **options}
        return tiny.write(tmp_path / name, codes[None], **options)

    return make


@pytest.fixture
def opened(recorder, make_source):
    def make(*paths, classes=None, source=None):
        mapping = ClassMapping.parse(classes, load_nomenclature("flair"))
        return LabelRasters.open(paths, mapping, source or make_source(), recorder)

    return make


def read(labels, window=FULL):
    with labels.reader() as reader:
        return reader.read(window, examine=True)


def test_the_same_grid_is_taken_pixel_for_pixel(write, opened, recorder):
    codes = patches_of(0, 1, 7, 19)
    found = read(opened(write(codes)))
    assert (found.codes == codes).all()
    assert found.values == {value: int((codes == value).sum()) for value in (0, 1, 7, 19)}
    assert not recorder.warnings
    part = PixelWindow(13, 27, 40, 50)
    assert (read(opened(write(codes)), part).codes == codes[13:53, 27:77]).all()


def test_a_part_of_the_image_and_beyond_it(write, opened):
    codes = patches_of(1, 7)
    moved = NORTH_UP * Affine.translation(-30, 40)
    labels = opened(write(codes, transform=moved))
    wanted = np.zeros((100, 120), np.uint8)
    wanted[40:, :90] = codes[:60, 30:]
    assert (read(labels).codes == wanted).all()
    assert not labels.touches(PixelWindow(0, 0, 40, 120))
    assert labels.touches(PixelWindow(30, 80, 20, 20))


@pytest.mark.parametrize("dtype", ["uint16", "int16", "int32", "float32", "float64"])
def test_types(write, opened, dtype):
    codes = patches_of(1, 7)
    assert (read(opened(write(codes.astype(dtype)))).codes == codes).all()


def test_another_grid_takes_the_nearest_and_says_so(write, opened, recorder):
    codes = patches_of(1, 3, 7, height=40, width=48, block=1)
    coarse = Affine(0.5, 0, 650000.1, 0, -0.5, 6860000.05)
    found = read(opened(write(codes, transform=coarse))).codes
    rows, columns = np.mgrid[:100, :120] + 0.5
    x, y = NORTH_UP * (columns, rows)
    column, row = ~coarse * (x, y)
    inside = (row >= 0) & (column >= 0) & (row < 40) & (column < 48)
    wanted = codes[np.clip(np.floor(row), 0, 39).astype(int), np.clip(np.floor(column), 0, 47).astype(int)]
    assert (found[inside] == wanted[inside]).all()
    assert any("another grid" in text and "nearest" in text for text in recorder.warnings)
    assert any("much larger" in text for text in recorder.warnings)


@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:32631"])
def test_another_crs_takes_the_nearest_and_says_so(write, opened, recorder, make_source, crs):
    codes = patches_of(1, 3, 7, height=300, width=300, block=30)
    transform, width, height = rasterio.warp.calculate_default_transform(
        "EPSG:2154", crs, 120, 100, *rasterio.transform.array_bounds(100, 120, NORTH_UP)
    )
    transform = transform * Affine.scale(width / 300, height / 300)
    found = read(opened(write(codes, transform=transform, crs=crs))).codes
    wanted = np.zeros((100, 120), np.uint8)
    reproject(
        codes, wanted, src_transform=transform, src_crs=crs, dst_transform=NORTH_UP, dst_crs="EPSG:2154",
        resampling=Resampling.nearest, tolerance=0,
    )  # fmt: skip
    assert (found == wanted).mean() > 0.999
    assert (found > 0).mean() > 0.9
    assert any("another grid" in text for text in recorder.warnings)
    part = PixelWindow(20, 30, 50, 60)
    assert (read(opened(write(codes, transform=transform, crs=crs)), part).codes == found[20:70, 30:90]).all()


def test_what_lies_outside_a_warped_raster_has_no_label_even_where_0_is_a_class(write, opened):
    codes = np.zeros((30, 30), np.uint8)
    turned = Affine.translation(650010, 6859990) * Affine.rotation(20) * Affine.scale(0.2, -0.2)
    found = read(opened(write(codes, transform=turned), classes="0=2")).codes
    assert 800 < (found == 2).sum() < 1000
    assert set(np.unique(found)) == {0, 2}


def test_without_a_crs_they_are_in_the_images(write, opened, recorder):
    codes = patches_of(1, 7)
    assert (read(opened(write(codes, crs=None))).codes == codes).all()
    assert any("without a CRS: taken to be in the image's" in text for text in recorder.logs)
    assert not recorder.warnings


@pytest.mark.parametrize(("labels", "image"), [("LOCAL", "EPSG:2154"), ("EPSG:2154", "LOCAL"), ("LOCAL", "LOCAL")])
def test_a_local_crs_such_as_flairs_own_masks_carry_says_no_more_than_none(
    write, opened, make_source, recorder, labels, image
):
    local = 'LOCAL_CS["RGF93 v1 / Lambert-93",UNIT["metre",1],AXIS["Easting",EAST],AXIS["Northing",NORTH]]'
    labels, image = (local if crs == "LOCAL" else crs for crs in (labels, image))
    codes = patches_of(1, 7)
    moved = NORTH_UP * Affine.translation(-30, 40)
    wanted = np.zeros((100, 120), np.uint8)
    wanted[40:, :90] = codes[:60, 30:]
    found = read(opened(write(codes, crs=labels, transform=moved), source=make_source(crs=image)))
    assert (found.codes == wanted).all()
    assert any("local CRS" in text for text in recorder.logs) == (labels == local and image != local)


def test_without_a_georeference_they_lie_on_the_image_if_of_its_size(write, opened):
    codes = patches_of(1, 7)
    assert (read(opened(write(codes, crs=None, transform=Affine.identity()))).codes == codes).all()
    with pytest.raises(InputError, match=r"no georeference.*99 x 120|no georeference.*120 x 99"):
        opened(write(codes[:99], crs=None, transform=Affine.identity()))


def test_nodata_and_masks_have_no_label(write, opened):
    codes = patches_of(1, 7, 255)
    found = read(opened(write(codes, nodata=255)))
    assert (found.codes == np.where(codes == 255, 0, codes)).all()
    assert set(found.values) == {1, 7}
    mask = patches_of(0, 255, seed=3)
    codes = patches_of(1, 7)
    assert (read(opened(write(codes, mask=mask))).codes == np.where(mask, codes, 0)).all()
    numbers = codes.astype(np.float32)
    numbers[:20] = np.nan
    assert (read(opened(write(numbers))).codes[:20] == 0).all()


def test_a_mapping(write, opened, recorder):
    codes = patches_of(0, 1, 2, 200)
    labels = opened(write(codes), classes="0=10,1=7,2=0,200=1")
    table = np.zeros(256, np.uint8)
    table[[0, 1, 200]] = 10, 7, 1
    found = read(labels)
    assert (found.codes == table[codes]).all()
    labels.check(found.values)
    assert any("200" in text and "as 1 building" in text for text in recorder.logs)


def test_nodata_that_is_mapped_stays_without_a_label_and_that_is_said(write, opened, recorder):
    codes = patches_of(0, 1)
    assert (read(opened(write(codes, nodata=0), classes="0=2")).codes == codes).all()
    assert any("nodata value of labels.tif" in text for text in recorder.warnings)


def test_unknown_values_are_refused_with_their_counts(write, opened):
    codes = patches_of(1, 77, 200)
    labels = opened(write(codes))
    with pytest.raises(InputError) as caught:
        labels.check(read(labels).values)
    assert f"77 ({(codes == 77).sum()} pixels)" in str(caught.value)
    assert f"200 ({(codes == 200).sum()} pixels)" in str(caught.value)
    assert "--classes" in str(caught.value)


def test_later_rasters_lie_on_top_where_they_have_labels(write, opened):
    below, above = patches_of(1, 7), patches_of(0, 3, seed=5)
    found = read(opened(write(below), write(above, "b.tif")))
    assert (found.codes == np.where(above > 0, above, below)).all()
    assert found.contested == (above > 0).sum()


@pytest.mark.parametrize(
    ("array", "options", "told"),
    [
        (np.ones((3, 100, 120), np.uint8), {}, ["3 bands", "colours"]),
        (np.ones((1, 100, 120), np.uint8), {"transform": NORTH_UP * Affine.translation(500, 0)}, ["outside the image"]),
    ],
)
def test_what_is_no_label_raster(tmp_path, opened, array, options, told):
    path = tiny.write(tmp_path / "labels.tif", array, **{"transform": NORTH_UP, **options})
    with pytest.raises(InputError) as caught:
        opened(path)
    assert all(part in str(caught.value) for part in told), str(caught.value)


def test_fractions_are_no_codes(write, opened):
    with pytest.raises(InputError, match=r"fractions such as 1.5"):
        read(opened(write(np.full((100, 120), 1.5, np.float32))))


def test_a_damaged_raster_is_named(write, opened):
    codes = np.random.default_rng(0).integers(1, 14, (100, 120)).astype(np.uint8)
    path = write(codes, compress="deflate")
    labels = opened(path)
    with open(path, "r+b") as file:
        file.seek(2000)
        file.write(bytes(3000))
    with pytest.raises(InputError, match=r"labels.tif.*damaged"):
        read(labels)


def test_more_rasters_than_may_be_open(write, opened, monkeypatch):
    monkeypatch.setattr("engine.extraction.label_raster._OPEN_FILES", 2)
    codes = patches_of(1, 7)
    paths = [
        write(codes[:, start : start + 20], f"{start}.tif", transform=NORTH_UP * Affine.translation(start, 0))
        for start in range(0, 120, 20)
    ]
    labels = opened(*paths)
    with labels.reader() as reader:
        assert (reader.read(FULL).codes == codes).all()
        assert (reader.read(FULL).codes == codes).all()

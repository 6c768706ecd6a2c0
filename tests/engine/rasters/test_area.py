from __future__ import annotations

import json

import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from rasterio.warp import transform_bounds, transform_geom

from engine.errors import InputError, RequestError
from engine.rasters.area import area_from_extent, area_from_polygons, whole_area
from engine.rasters.source import RasterSource
from engine.rasters.windows import PixelWindow

# 100 x 80 pixels of 1 m, upper left corner at (650000, 6860000).


@pytest.fixture
def source(write_raster, reporter):
    path = write_raster("image.tif", np.ones((1, 80, 100), "uint8"), pixel=1.0)
    return RasterSource.open([path], ("red",), reporter=reporter)


@pytest.fixture
def turned(write_raster, reporter):
    transform = Affine.translation(650000, 6860000) * Affine.rotation(30) * Affine.scale(1, -1)
    path = write_raster("turned.tif", np.ones((1, 80, 100), "uint8"), transform=transform)
    return RasterSource.open([path], ("red",), reporter=reporter)


@pytest.fixture
def write_polygons(tmp_path):
    def write(name, shapes, crs="EPSG:2154", layer=None, **options):
        path = tmp_path / name
        pyogrio.raw.write(
            path,
            geometry=np.array([shapely.to_wkb(shape) for shape in shapes], dtype=object),
            field_data=[],
            fields=[],
            crs=crs,
            geometry_type=options.pop("kind", "Polygon"),
            layer=layer,
            **options,
        )
        return str(path)

    return write


def box(left, top, right, bottom):
    """Rectangle in pixels of the image."""
    return shapely.box(650000 + left, 6860000 - bottom, 650000 + right, 6860000 - top)


def by_centres(source, shape):
    rows, columns = np.mgrid[: source.height, : source.width] + 0.5
    x, y = source.transform * (columns, rows)
    return shapely.contains_xy(shape, x, y)


def full(source):
    return PixelWindow(0, 0, source.height, source.width)


def test_whole(source):
    area = whole_area(source)
    assert area.window == full(source)
    assert area.mask(PixelWindow(-1, 98, 3, 3)).tolist() == [[False] * 3, [True, True, False], [True, True, False]]


def test_extent_takes_pixels_by_their_centre(source):
    area = area_from_extent("650010,650020,6859970,6859990", source)
    assert area.window == PixelWindow(10, 10, 20, 10)
    assert area.geometry is None
    assert area_from_extent("650010.4,650020.6,6859970,6859990", source).window == PixelWindow(10, 10, 20, 11)
    mask = area.mask(full(source))
    assert mask.sum() == 200
    assert mask[10:30, 10:20].all()


def test_extent_is_clipped_to_the_image(source):
    assert area_from_extent("0,650020,6859990,9999999 [EPSG:2154]", source).window == PixelWindow(0, 0, 10, 20)


def test_extent_in_another_crs(source):
    left, bottom, right, top = transform_bounds("EPSG:2154", "EPSG:4326", 650010, 6859970, 650020, 6859990)
    area = area_from_extent(f"{left},{right},{bottom},{top} [EPSG:4326]", source)
    # The rectangle around a rectangle around a turned rectangle is a little larger.
    wanted = PixelWindow(10, 10, 20, 10)
    assert wanted.intersection(area.window) == wanted
    assert area.window.pixels <= 24 * 14


def test_extent_on_a_rotated_image(turned):
    area = area_from_extent("650010,650050,6859980,6860010", turned)
    expected = by_centres(turned, shapely.box(650010, 6859980, 650050, 6860010))
    assert expected.any()
    assert np.array_equal(area.mask(full(turned)), expected)
    inside = area.window
    assert expected.sum() == expected[inside.slices_in(full(turned))].sum()


@pytest.mark.parametrize("text", ["", "1,2,3", "a,b,c,d", "2,1,3,4", "1,2,4,4", "nan,2,3,4"])
def test_what_is_no_extent(source, text):
    with pytest.raises(RequestError):
        area_from_extent(text, source)


def test_extent_with_an_unknown_crs(source):
    with pytest.raises(RequestError, match="EPSG:0"):
        area_from_extent("1,2,3,4 [EPSG:0]", source)


def test_extent_outside_says_where_the_image_is(source):
    with pytest.raises(InputError, match="outside") as caught:
        area_from_extent("0,10,0,10", source)
    assert "650000,650100,6859920,6860000" in caught.value.hint
    with pytest.raises(InputError):
        area_from_extent("650010.6,650010.9,6859970,6859990", source)


def test_extent_with_a_crs_on_an_image_without(write_raster, reporter):
    path = write_raster("plain.tif", np.ones((1, 9, 9), "uint8"), crs=None, pixel=1.0)
    plain = RasterSource.open([path], ("red",), ground_sampling_distance=1, reporter=reporter)
    assert area_from_extent("650001,650003,6859995,6859999", plain).window == PixelWindow(1, 1, 4, 2)
    with pytest.raises(InputError, match="image has none"):
        area_from_extent("650001,650003,6859995,6859999 [EPSG:2154]", plain)


@pytest.mark.parametrize("name", ["a.gpkg", "a.geojson", "a.shp"])
def test_polygons(source, write_polygons, name):
    shapes = [
        shapely.Polygon([(650010, 6859990), (650050, 6859985), (650020, 6859930)]),
        shapely.Point(650070, 6859960).buffer(9).difference(shapely.Point(650070, 6859960).buffer(4)),
    ]
    crs = "EPSG:4326" if name.endswith("json") else "EPSG:2154"
    if crs == "EPSG:4326":
        moved = [shapely.geometry.shape(transform_geom("EPSG:2154", crs, shape)) for shape in shapes]
        area = area_from_polygons(write_polygons(name, moved, crs), None, source)
    else:
        area = area_from_polygons(write_polygons(name, shapes), None, source)
    expected = by_centres(source, shapely.union_all(shapes))
    mask = area.mask(full(source))
    assert (mask != expected).sum() <= (3 if crs == "EPSG:4326" else 0)
    # The window is tight, and every window agrees with the whole.
    rows, columns = np.nonzero(expected)
    assert area.window.row in (rows.min() - 1, rows.min())
    assert area.window.right - 1 in (columns.max(), columns.max() + 1)
    for window in (PixelWindow(13, 17, 20, 30), PixelWindow(40, 60, 50, 50), PixelWindow(0, 0, 5, 5)):
        cut = np.zeros((window.height, window.width), bool)
        common = window.intersection(full(source))
        cut[common.slices_in(window)] = mask[common.slices_in(full(source))]
        assert np.array_equal(area.mask(window), cut)
        assert area.touches(window) >= cut.any()
    assert not area.touches(PixelWindow(0, 0, 5, 5))


def test_polygons_on_a_rotated_image(turned, write_polygons):
    shape = shapely.Point(650040, 6859990).buffer(20)
    area = area_from_polygons(write_polygons("a.gpkg", [shape]), None, turned)
    assert np.array_equal(area.mask(full(turned)), by_centres(turned, shape))


def test_invalid_polygon_is_repaired(source, write_polygons):
    bow = shapely.Polygon([(650010, 6859990.3), (650030, 6859970), (650030, 6859990.9), (650010, 6859970.4)])
    assert not bow.is_valid
    area = area_from_polygons(write_polygons("a.gpkg", [bow]), None, source)
    assert np.array_equal(area.mask(full(source)), by_centres(source, shapely.make_valid(bow)))
    assert area.mask(full(source)).sum() == pytest.approx(bow.convex_hull.area / 2, rel=0.1)


def test_layers(source, write_polygons):
    path = write_polygons("a.gpkg", [shapely.Point(650010, 6859990)], kind="Point", layer="points")
    write_polygons("a.gpkg", [box(10, 10, 20, 20)], layer="one", append=True)
    write_polygons("a.gpkg", [box(30, 10, 40, 20)], layer="two", append=True)
    assert area_from_polygons(path, None, source).window == PixelWindow(10, 10, 10, 10)
    assert area_from_polygons(path, "two", source).window == PixelWindow(10, 30, 10, 10)
    with pytest.raises(InputError, match="no layer 'three'") as caught:
        area_from_polygons(path, "three", source)
    assert "two" in caught.value.hint
    with pytest.raises(InputError, match="no polygons"):
        area_from_polygons(path, "points", source)


def test_what_gives_no_area(source, write_polygons, tmp_path):
    (tmp_path / "text.gpkg").write_text("nothing")
    (tmp_path / "none.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": []}))
    for path, words in (
        (write_polygons("far.gpkg", [shapely.box(0, 0, 1, 1)]), "outside the image"),
        (write_polygons("line.gpkg", [shapely.LineString([(0, 0), (1, 1)])], kind="LineString"), "no polygons"),
        (str(tmp_path / "missing.gpkg"), "There is no file"),
        (str(tmp_path / "text.gpkg"), "not a vector file"),
        (str(tmp_path / "none.geojson"), "is empty"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            area_from_polygons(path, None, source)
        assert caught.value.hint


def test_fingerprint_tells_areas_apart(source, write_polygons):
    one = area_from_polygons(write_polygons("a.gpkg", [box(10, 10, 20, 20).buffer(3)]), None, source)
    two = area_from_polygons(write_polygons("b.gpkg", [box(10, 10, 20, 20).buffer(3, quad_segs=2)]), None, source)
    assert one.window == two.window
    assert json.dumps(one.fingerprint()) != json.dumps(two.fingerprint())

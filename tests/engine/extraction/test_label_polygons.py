"""Labels that are polygons."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.warp import transform_geom

from engine.errors import InputError
from engine.extraction.class_mapping import ClassMapping
from engine.extraction.label_polygons import LabelPolygons, choose_field
from engine.nomenclature import load_nomenclature
from engine.rasters.windows import PixelWindow
from tests.engine.extraction.conftest import NORTH_UP
from tests.engine.vectors import box, write_features

FULL = PixelWindow(0, 0, 100, 120)


def rectangle(row, column, height, width):
    return box(NORTH_UP, row, column, height, width)


@pytest.fixture
def drawn(tmp_path, recorder, make_source):
    """Draw polygons, given as (shape, class), on the image; returns the codes and how many pixels are contested."""

    def draw(features, *, source=None, classes=None, window=FULL, **options):
        source = source or make_source()
        path = write_features(
            tmp_path / options.pop("name", "labels.gpkg"),
            [shape for shape, _ in features],
            **{options.pop("field", "code"): [value for _, value in features]},
            crs=options.pop("crs", "EPSG:2154"),
        )
        mapping = ClassMapping.parse(classes, load_nomenclature("flair"))
        labels = LabelPolygons.read(
            [path], options.pop("layer", None), options.pop("class_field", None), mapping, source, recorder
        )
        with labels.reader() as reader:
            found = reader.read(window, examine=True)
        return found.codes, found.contested

    return draw


def expected(*rectangles):
    codes = np.zeros((100, 120), np.uint8)
    for row, column, height, width, code in rectangles:
        codes[row : row + height, column : column + width] = code
    return codes


def test_pixels_belong_to_the_polygon_that_holds_their_centre(drawn):
    codes, contested = drawn([(rectangle(10, 20, 30, 40), 7), (rectangle(40, 20, 5, 40), 3)])
    assert (codes == expected((10, 20, 30, 40, 7), (40, 20, 5, 40, 3))).all()
    assert contested == 0
    codes, _ = drawn([(rectangle(10.4, 20.6, 3, 3), 7)], name="half.gpkg")
    assert (codes == expected((10, 21, 3, 3, 7))).all()


def test_a_window_is_a_part_of_the_whole(drawn):
    features = [(rectangle(0, 0, 100, 120), 10), (shapely.Point(650012, 6859990).buffer(7), 5)]
    whole, _ = drawn(features)
    window = PixelWindow(33, 41, 50, 60)
    part, _ = drawn(features, window=window, name="part.gpkg")
    assert (part == whole[33:83, 41:101]).all()


@pytest.mark.parametrize("order", [1, -1])
def test_the_smaller_polygon_lies_on_top_in_whatever_order_they_come(drawn, order):
    features = [(rectangle(10, 10, 60, 60), 10), (rectangle(20, 20, 10, 10), 5), (rectangle(60, 60, 20, 20), 1)]
    codes, contested = drawn(features[::order])
    assert (codes == expected((10, 10, 60, 60, 10), (20, 20, 10, 10, 5), (60, 60, 20, 20, 1))).all()
    assert contested == 100 + 100


def test_of_equal_polygons_the_later_lies_on_top(drawn):
    codes, contested = drawn([(rectangle(10, 10, 20, 20), 7), (rectangle(10, 10, 20, 20), 3)])
    assert (codes == expected((10, 10, 20, 20, 3))).all()
    assert contested == 400


def test_overlaps_within_a_class_are_not_contested(drawn):
    assert drawn([(rectangle(10, 10, 20, 20), 7), (rectangle(15, 15, 20, 20), 7)])[1] == 0


def test_a_class_left_out_hides_what_lies_below(drawn):
    features = [(rectangle(10, 10, 60, 60), "building"), (rectangle(20, 20, 10, 10), "unclear")]
    codes, _ = drawn(features, classes="unclear=0", field="class")
    assert (codes == expected((10, 10, 60, 60, 1), (20, 20, 10, 10, 0))).all()


def test_holes_stay_without_a_label(drawn):
    ring = rectangle(10, 10, 30, 30).difference(rectangle(20, 20, 10, 10))
    codes, _ = drawn([(ring, 7)])
    assert (codes == expected((10, 10, 30, 30, 7), (20, 20, 10, 10, 0))).all()


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:32631"])
def test_another_crs_is_reprojected_and_said(drawn, recorder, crs):
    shape = rectangle(10, 20, 30, 40).segmentize(1)
    moved = shapely.geometry.shape(transform_geom("EPSG:2154", crs, shapely.geometry.mapping(shape), precision=-1))
    codes, _ = drawn([(moved, 7)], crs=crs)
    assert (codes == expected((10, 20, 30, 40, 7))).all()
    assert any("reprojected to the image's CRS" in text for text in recorder.logs)


def test_without_a_crs_they_are_in_the_images(drawn, recorder):
    codes, _ = drawn([(rectangle(10, 20, 30, 40), 7)], crs=None)
    assert (codes == expected((10, 20, 30, 40, 7))).all()
    assert any("no CRS" in text for text in recorder.warnings)


def test_an_image_without_a_crs_takes_them_as_they_are(drawn, make_source, recorder):
    codes, _ = drawn([(rectangle(10, 20, 30, 40), 7)], source=make_source(crs=None))
    assert (codes == expected((10, 20, 30, 40, 7))).all()
    assert any("The image has no CRS" in text for text in recorder.warnings)


def test_a_rotated_image(tmp_path, recorder, make_source):
    turned = Affine.translation(650000, 6860000) * Affine.rotation(30) * Affine.scale(0.2, -0.2)
    path = write_features(tmp_path / "l.gpkg", [box(turned, 10, 20, 30, 40)], code=[7])
    mapping = ClassMapping.parse(None, load_nomenclature("flair"))
    labels = LabelPolygons.read([path], None, None, mapping, make_source(transform=turned), recorder)
    assert (labels.draw(FULL).codes == expected((10, 20, 30, 40, 7))).all()
    assert labels.touches(PixelWindow(0, 0, 20, 30))
    assert not labels.touches(PixelWindow(60, 80, 20, 30))


def test_invalid_polygons_are_repaired_and_counted(drawn, recorder):
    x, y = NORTH_UP * (20, 10)
    bow = shapely.Polygon([(x, y), (x + 4, y), (x, y - 4), (x + 4, y - 4)])
    codes, _ = drawn([(bow, 7), (rectangle(50, 50, 5, 5), 3)])
    assert any("1 polygons of labels.gpkg are invalid" in text for text in recorder.warnings)
    assert abs(int((codes == 7).sum()) - 2 * 100) < 25
    assert (codes[50:55, 50:55] == 3).all()


def test_what_has_no_class_or_no_area_is_left_out_and_counted(drawn, recorder):
    features = [
        (rectangle(10, 10, 5, 5), "building"),
        (rectangle(20, 10, 5, 5), None),
        (rectangle(30, 10, 5, 5), "  "),
        (shapely.Point(650001, 6859999), "water"),
        (shapely.LineString([(650000, 6860000), (650010, 6859990)]), "water"),
    ]
    codes, _ = drawn(features, field="class")
    assert (codes == expected((10, 10, 5, 5, 1))).all()
    warned = " ".join(recorder.warnings)
    assert "2 polygons of labels.gpkg have nothing in 'class'" in warned
    assert "2 features of labels.gpkg are points or lines" in warned


def test_empty_numbers_are_no_class(drawn, recorder):
    codes, _ = drawn([(rectangle(10, 10, 5, 5), 1), (rectangle(20, 10, 5, 5), None)])
    assert (codes == expected((10, 10, 5, 5, 1))).all()
    assert any("1 polygons" in text and "nothing in 'code'" in text for text in recorder.warnings)


def test_polygons_of_several_parts_count_once(drawn, recorder):
    several = shapely.MultiPolygon([rectangle(10, 10, 5, 5), rectangle(30, 30, 5, 5)])
    codes, _ = drawn([(several, 7), (shapely.GeometryCollection([rectangle(50, 50, 5, 5)]), 7)])
    assert (codes == expected((10, 10, 5, 5, 7), (30, 30, 5, 5, 7), (50, 50, 5, 5, 7))).all()
    assert any("7 (2 polygons) as 7 deciduous" in text for text in recorder.logs)


def test_unknown_classes_outside_the_image_do_not_matter(drawn):
    codes, _ = drawn([(rectangle(10, 10, 5, 5), "water"), (rectangle(1000, 10, 5, 5), "lava")], field="class")
    assert (codes == expected((10, 10, 5, 5, 5))).all()


def test_several_files_are_united(tmp_path, recorder, make_source):
    one = write_features(tmp_path / "a.gpkg", [rectangle(10, 10, 20, 20)], code=[7])
    two = write_features(tmp_path / "b.geojson", [box(NORTH_UP, 15, 15, 5, 5)], crs="EPSG:2154", **{"class": ["water"]})
    mapping = ClassMapping.parse(None, load_nomenclature("flair"))
    labels = LabelPolygons.read([one, two], None, None, mapping, make_source(), recorder)
    assert (labels.draw(FULL).codes == expected((10, 10, 20, 20, 7), (15, 15, 5, 5, 5))).all()


def test_layers(tmp_path, recorder, make_source):
    path = write_features(tmp_path / "a.gpkg", [shapely.Point(650001, 6859999)], layer="p", kind="Point", code=[1])
    write_features(path, [rectangle(10, 10, 5, 5)], layer="one", append=True, kind="Polygon", code=[7])
    write_features(path, [rectangle(10, 10, 5, 5)], layer="two", append=True, kind="Polygon", code=[3])
    mapping = ClassMapping.parse(None, load_nomenclature("flair"))
    for layer, code in ((None, 7), ("two", 3)):
        labels = LabelPolygons.read([path], layer, None, mapping, make_source(), recorder)
        assert set(np.unique(labels.draw(FULL).codes)) == {0, code}
    with pytest.raises(InputError, match=r"no layer 'three'.*one, two"):
        LabelPolygons.read([path], "three", None, mapping, make_source(), recorder)
    with pytest.raises(InputError, match="holds no polygons"):
        LabelPolygons.read([path], "p", None, mapping, make_source(), recorder)


@pytest.mark.parametrize(
    ("features", "options", "told"),
    [
        ([(rectangle(1000, 10, 5, 5), 7)], {}, ["No polygon", "inside the image", "650000"]),
        ([(rectangle(10, 10, 5, 5), 7)], {"crs": "EPSG:32633"}, ["No polygon", "CRS"]),
        ([], {}, ["is empty"]),
        ([(rectangle(10, 10, 5, 5), "lava")], {}, ["'lava' (1 polygons)", "--classes"]),
        ([(rectangle(10, 10, 5, 5), None)], {}, ["No polygon with a class"]),
        ([(rectangle(10, 10, 5, 5), 7)], {"class_field": "cod"}, ["no field 'cod'", "Did you mean 'code'"]),
        ([(rectangle(10, 10, 5, 5), 7)], {"field": "art"}, ["--class-field", "It has: art"]),
    ],
)  # fmt: skip
def test_what_gives_no_labels(drawn, features, options, told):
    with pytest.raises(InputError) as caught:
        drawn(features, **options)
    assert all(part in str(caught.value) for part in told), str(caught.value)


def test_the_field_of_the_class(recorder):
    assert choose_field(["id", "class", "code"], None, "l.gpkg", recorder) == "code"
    assert "'code'; there is also 'class'" in recorder.logs[-1]
    assert choose_field(["id", "Class"], None, "l.gpkg", recorder) == "Class"
    assert choose_field(["Art", "code"], "art", "l.gpkg", recorder) == "Art"
    assert choose_field(["art", "Art"], "Art", "l.gpkg", recorder) == "Art"
    with pytest.raises(InputError, match="no fields"):
        choose_field([], None, "l.gpkg", recorder)

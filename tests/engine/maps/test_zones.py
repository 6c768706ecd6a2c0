import numpy as np
import pytest
import shapely
from affine import Affine

from engine.errors import InputError, RequestError
from engine.events import SilentReporter
from engine.maps import zones as module
from engine.maps.zones import grid_zones, read_zones
from engine.rasters.source import RasterSource
from engine.rasters.windows import PixelWindow
from tests.engine import tiny
from tests.engine.vectors import box, write_features

METRES = Affine(1, 0, 650000, 0, -1, 6860000)


def opened(tmp_path, transform=METRES, size=(50, 60), crs="EPSG:2154"):
    path = tiny.write(tmp_path / "p.tif", np.ones((1, *size), np.uint8), transform=transform, crs=crs)
    return RasterSource.open([path], ("class",), bands={"class": 1}, reporter=SilentReporter())


def pixels(zones, window):
    """Pixels of each polygon in a window."""
    counts = np.zeros(len(zones), int)
    for numbers, ids in zones.burn(window):
        counts[numbers] += np.bincount(ids.ravel(), minlength=len(numbers) + 1)[1:]
    return counts.tolist()


def test_polygons_that_overlap_each_have_all_their_pixels(tmp_path, recorder):
    shapes = [
        box(METRES, 0, 0, 10, 10),
        box(METRES, 5, 5, 10, 10),
        box(METRES, 0, 0, 50, 60),
        box(METRES, 5, 5, 10, 10),
    ]
    path = write_features(tmp_path / "a.gpkg", shapes, nom=["a", "b", None, "d"])
    found = read_zones(path, None, None, opened(tmp_path), recorder)
    assert found.names == ("a", "b", "3", "d")
    assert pixels(found, PixelWindow(0, 0, 50, 60)) == [100, 100, 3000, 100]
    assert pixels(found, PixelWindow(5, 5, 5, 5)) == [25, 25, 25, 25]
    assert pixels(found, PixelWindow(20, 20, 5, 5)) == [0, 0, 25, 0]


def test_neighbours_share_no_pixel_and_leave_none_out(tmp_path, recorder):
    # Triangles whose common edges run through pixel centres.
    corner, size = (650000, 6860000), 50
    ring = [(corner[0] + x, corner[1] - y) for x, y in ((0, 0), (size, 0), (size, size), (0, size))]
    middle = (corner[0] + size / 2, corner[1] - size / 2)
    shapes = [shapely.Polygon([ring[n], ring[(n + 1) % 4], middle]) for n in range(4)]
    path = write_features(tmp_path / "a.gpkg", shapes)
    found = read_zones(path, None, None, opened(tmp_path), recorder)
    assert sum(pixels(found, PixelWindow(0, 0, 50, 60))) == size * size


def test_a_feature_of_two_parts_with_a_hole(tmp_path, recorder):
    ring = shapely.difference(box(METRES, 0, 0, 10, 10), box(METRES, 2, 2, 4, 4))
    path = write_features(tmp_path / "a.gpkg", [shapely.MultiPolygon([ring, box(METRES, 40, 40, 5, 5)])])
    found = read_zones(path, None, None, opened(tmp_path), recorder)
    assert pixels(found, PixelWindow(0, 0, 50, 60)) == [100 - 16 + 25]


def test_another_crs_and_an_invalid_polygon(tmp_path, recorder):
    source = opened(tmp_path)
    bow = shapely.Polygon([(650000, 6860000), (650010, 6859990), (650010, 6860000), (650000, 6859990)])
    from rasterio.warp import transform

    def degrees(shape):
        return shapely.transform(
            shape, lambda p: np.column_stack(transform("EPSG:2154", "EPSG:4326", p[:, 0].tolist(), p[:, 1].tolist()))
        )

    path = write_features(
        tmp_path / "a.gpkg", [degrees(bow), degrees(box(METRES, 20, 20, 7, 9))], crs="EPSG:4326", kind="Polygon"
    )
    found = read_zones(path, None, None, source, recorder)
    assert found.crs.to_epsg() == 4326
    assert shapely.bounds(found.drawn[0])[0] < 10
    both = pixels(found, PixelWindow(0, 0, 50, 60))
    assert both[1] == 63
    assert 45 <= both[0] <= 55


def test_what_lies_outside_is_named(tmp_path, recorder):
    shapes = [
        box(METRES, 900, 0, 5, 5),
        box(METRES, 3, 3, 10, 10),
        box(METRES, 45, 0, 10, 10),
        box(METRES, 0, 60, 9, 9),
    ]
    path = write_features(tmp_path / "a.gpkg", shapes, nom=["far", "in", "half", "beside"])
    found = read_zones(path, None, None, opened(tmp_path), recorder)
    assert found.names == ("in", "half")
    assert found.features == (2, 3)
    assert found.covered == pytest.approx((1.0, 0.5))
    assert recorder.warnings == [
        "2 polygons ('far', 'beside') lie outside the raster: left out.",
        "The polygon 'half' reaches beyond the raster: only what lies on it counts.",
    ]


def test_names_of_numbers(tmp_path, recorder):
    path = write_features(tmp_path / "a.gpkg", [box(METRES, 3, 3, 10, 10)] * 3, Code=[7, None, 9])
    assert read_zones(path, None, None, opened(tmp_path), recorder).names == ("7", "2", "9")
    assert read_zones(path, None, "CODE", opened(tmp_path), recorder).names == ("7", "2", "9")
    with pytest.raises(InputError, match="no field 'nom'") as error:
        read_zones(path, None, "nom", opened(tmp_path), recorder)
    assert error.value.hint == "It has: Code."


def test_codes_that_polygons_share_are_no_names_unless_asked_for(tmp_path, recorder):
    path = write_features(tmp_path / "a.gpkg", [box(METRES, 3, 3, 10, 10)] * 3, code=[7, 9, 7])
    assert read_zones(path, None, None, opened(tmp_path), recorder).names == ("1", "2", "3")
    assert any("named by numbers" in text for text in recorder.logs)
    assert read_zones(path, None, "code", opened(tmp_path), recorder).names == ("7", "9", "7")
    path = write_features(tmp_path / "b.gpkg", [box(METRES, 3, 3, 10, 10)] * 2, nom=["Bray", "Bray"])
    assert read_zones(path, None, None, opened(tmp_path), recorder).names == ("Bray", "Bray")


def test_nothing_on_the_raster(tmp_path, recorder):
    path = write_features(tmp_path / "a.gpkg", [box(METRES, 900, 0, 5, 5)])
    with pytest.raises(InputError, match=r"No polygon of .* lies on the raster") as error:
        read_zones(path, None, None, opened(tmp_path), recorder)
    assert "650000,650060,6859950,6860000 in EPSG:2154" in error.value.hint
    points = write_features(tmp_path / "p.gpkg", [shapely.Point(650001, 6859999)])
    with pytest.raises(InputError, match="holds no polygons"):
        read_zones(points, None, None, opened(tmp_path), recorder)


def test_a_grid_lies_on_round_coordinates(tmp_path, recorder):
    found = grid_zones(20.0, opened(tmp_path, Affine(1, 0, 650005, 0, -1, 6860005)), recorder)
    assert len(found) == 4 * 4
    assert found.names[:5] == ("1-1", "1-2", "1-3", "1-4", "2-1")
    assert shapely.bounds(found.shapes[0]).tolist() == [650000, 6860000, 650020, 6860020]
    assert pixels(found, PixelWindow(0, 0, 50, 60))[:2] == [15 * 5, 20 * 5]
    assert sum(pixels(found, PixelWindow(0, 0, 50, 60))) == 3000
    assert found.covered[0] == pytest.approx(75 / 400)


def test_a_grid_in_degrees_measures_metres(tmp_path, recorder):
    found = grid_zones(30.0, opened(tmp_path, Affine(1e-5, 0, 2, 0, -1e-5, 48), crs="EPSG:4326"), recorder)
    left, bottom, right, top = shapely.bounds(found.shapes[0])
    assert (right - left) * 111320 * np.cos(np.radians(48)) == pytest.approx(30, rel=0.01)
    assert (top - bottom) * 111200 == pytest.approx(30, rel=0.01)
    assert sum(pixels(found, PixelWindow(0, 0, 50, 60))) == 3000


def test_too_small_and_too_many(tmp_path, recorder, monkeypatch):
    with pytest.raises(RequestError, match=r"Cells of 0\.5 m are smaller than the raster's pixels of 1 m"):
        grid_zones(0.5, opened(tmp_path), recorder)
    monkeypatch.setattr(module, "MOST", 5)
    with pytest.raises(RequestError, match="The grid has 9 cells; up to 5"):
        grid_zones(20.0, opened(tmp_path), recorder)

import numpy as np
import pytest
import shapely

from engine.comparison import zones as module
from engine.comparison.zones import read_zones
from engine.errors import InputError
from engine.events import SilentReporter
from engine.rasters.source import RasterSource
from engine.rasters.windows import PixelWindow
from tests.engine import tiny
from tests.engine.patch_sets import ORIGIN
from tests.engine.vectors import box, write_features


@pytest.fixture
def source(tmp_path):
    path = tiny.write(tmp_path / "p.tif", np.ones((1, 50, 60), np.uint8), transform=ORIGIN)
    return RasterSource.open([path], ("class",), bands={"class": 1}, reporter=SilentReporter())


def test_a_feature_of_two_parts_is_one_zone(tmp_path, source, recorder):
    two = shapely.MultiPolygon([box(ORIGIN, 0, 0, 5, 5), box(ORIGIN, 40, 40, 5, 5)])
    path = write_features(tmp_path / "a.gpkg", [two, box(ORIGIN, 3, 3, 10, 10)], nom=["both", None])
    found = read_zones(path, None, None, source, recorder)
    assert found.names == ("both", "2")
    assert found.areas[0].mask(PixelWindow(0, 0, 50, 60)).sum() == 50
    assert found.areas[1].mask(PixelWindow(0, 0, 50, 60)).sum() == 100
    assert found.touching(PixelWindow(0, 0, 10, 10)) == [0, 1]
    assert found.touching(PixelWindow(40, 40, 10, 10)) == [0]
    assert found.touching(PixelWindow(20, 20, 10, 10)) == []


def test_zones_without_pixels_are_left_out_and_it_is_said(tmp_path, source, recorder):
    shapes = [box(ORIGIN, 900, 0, 5, 5), box(ORIGIN, 3, 3, 10, 10)]
    path = write_features(tmp_path / "a.gpkg", shapes, kind="Polygon")
    assert read_zones(path, None, None, source, recorder).names == ("2",)
    assert recorder.logs == ["1 polygons of the area hold no pixel of the prediction: left out."]


def test_too_many(tmp_path, source, recorder, monkeypatch):
    monkeypatch.setattr(module, "MOST", 1)
    path = write_features(tmp_path / "a.gpkg", [box(ORIGIN, 3, 3, 10, 10)] * 2)
    with pytest.raises(InputError, match="has 2 polygons"):
        read_zones(path, None, None, source, recorder)


def test_codes_that_polygons_share_are_no_names_unless_asked_for(tmp_path, source, recorder):
    path = write_features(tmp_path / "a.gpkg", [box(ORIGIN, 3, 3, 10, 10)] * 3, code=[7, 9, 7])
    assert read_zones(path, None, None, source, recorder).names == ("1", "2", "3")
    assert read_zones(path, None, "code", source, recorder).names == ("7", "9", "7")
    path = write_features(tmp_path / "b.gpkg", [box(ORIGIN, 3, 3, 10, 10)] * 3, id=[7, None, 9])
    assert read_zones(path, None, None, source, recorder).names == ("7", "2", "9")

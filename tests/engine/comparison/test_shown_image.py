import numpy as np
import pytest
from affine import Affine

from engine.comparison.shown_image import ShownImage
from engine.events import SilentReporter
from engine.rasters.source import RasterSource
from engine.rasters.windows import PixelWindow
from tests.engine import tiny
from tests.engine.patch_sets import ORIGIN


@pytest.fixture
def prediction(tmp_path):
    path = tiny.write(tmp_path / "p.tif", np.ones((1, 50, 60), np.uint8), transform=ORIGIN)
    return RasterSource.open([path], ("class",), bands={"class": 1}, reporter=SilentReporter())


def opened(path, prediction, recorder):
    return ShownImage.open([path], None, prediction, recorder)


def test_a_finer_image_is_cut_at_the_same_place(tmp_path, prediction, recorder):
    pixels = tiny.smooth(3, 100, 120)
    path = tiny.write(tmp_path / "i.tif", pixels, transform=ORIGIN * Affine.scale(0.5))
    image = opened(path, prediction, recorder)
    assert image.names == ("red", "green", "blue")
    assert (image.read(PixelWindow(10, 20, 5, 8)) == pixels[:, 20:30, 40:56]).all()


def test_beyond_its_edge_it_is_black(tmp_path, prediction, recorder):
    pixels = tiny.smooth(3, 20, 20)
    path = tiny.write(tmp_path / "i.tif", pixels, transform=ORIGIN * Affine.translation(10, 10))
    image = opened(path, prediction, recorder)
    found = image.read(PixelWindow(5, 5, 10, 10))
    assert (found[:, 5:, 5:] == pixels[:, :5, :5]).all()
    assert not found[:, :5].any()
    assert image.read(PixelWindow(40, 40, 5, 5)) is None


def test_another_crs_is_said(tmp_path, prediction, recorder):
    path = tiny.write(tmp_path / "i.tif", tiny.smooth(3, 20, 20), crs="EPSG:32631")
    assert opened(path, prediction, recorder) is None
    assert recorder.warnings == ["The image lies in another CRS than the prediction and is not shown."]

from collections import Counter

import numpy as np
import pytest
import rasterio

from engine.comparison.prediction import open_prediction
from engine.errors import InputError
from engine.nomenclature import load_nomenclature
from engine.rasters.windows import PixelWindow
from tests.engine import tiny
from tests.engine.vectors import box, write_features

FLAIR = load_nomenclature("flair")


def opened(paths, recorder, **options):
    values = {"nomenclature": None, "crs": None, "nodata": None, **options}
    return open_prediction(paths, reporter=recorder, **values)


def codes_of(prediction):
    with prediction.source.reader() as reader:
        return prediction.codes(*reader.read(PixelWindow(0, 0, prediction.source.height, prediction.source.width)))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32"])
def test_codes_of_any_type(tmp_path, recorder, dtype):
    array = np.array([[1, 10, 0], [99, 7, 19]], dtype)
    found, strange = codes_of(opened([tiny.write(tmp_path / "p.tif", array[None])], recorder))
    assert found.dtype == np.uint8
    assert (found[0].tolist(), found[1, 1:].tolist()) == ([1, 10, 0], [7, 19])
    assert found[1, 0] not in FLAIR.codes
    assert strange == {99: 1}


def test_values_that_no_code_can_have(tmp_path, recorder):
    array = np.array([[1, -5, 300, 256 + 7]], "int16")
    prediction = opened([tiny.write(tmp_path / "p.tif", array[None])], recorder)
    found, strange = codes_of(prediction)
    assert found.tolist() == [[1, 255, 255, 255]]
    assert strange == {-5: 1, 300: 1, 263: 1}
    prediction.warn_of(Counter(strange), recorder)
    assert "no class of 'flair'" in recorder.warnings[-1]
    assert "300 (1 pixels)" in recorder.warnings[-1]


def test_nodata_is_nothing(tmp_path, recorder):
    path = tiny.write(tmp_path / "p.tif", np.array([[[3, 9, 3]]], np.uint8), nodata=9)
    assert codes_of(opened([path], recorder))[0].tolist() == [[3, 0, 3]]
    assert codes_of(opened([path], recorder, nodata=3.0))[0].tolist() == [[0, 9, 0]]


def test_without_a_crs(tmp_path, recorder):
    path = tiny.write(tmp_path / "p.tif", np.ones((1, 4, 4), np.uint8), crs=None)
    assert opened([path], recorder).source.crs is None
    assert opened([path], recorder, crs="EPSG:2154").source.crs.to_epsg() == 2154


def test_mosaic(tmp_path, recorder):
    right = rasterio.Affine(0.2, 0, 650000.8, 0, -0.2, 6860000.0)
    paths = [
        tiny.write(tmp_path / "a.tif", np.full((1, 2, 4), 1, np.uint8)),
        tiny.write(tmp_path / "b.tif", np.full((1, 2, 2), 5, np.uint8), transform=right),
    ]
    assert codes_of(opened(paths, recorder))[0].tolist() == [[1, 1, 1, 1, 5, 5]] * 2
    assert "2 files, 6 x 2 pixels" in recorder.logs[-1]


@pytest.mark.parametrize("swapped", ["image", "float", "polygons"])
def test_what_is_no_prediction(tmp_path, recorder, swapped):
    if swapped == "image":
        path, message = tiny.write(tmp_path / "i.tif", np.ones((4, 4, 4), np.uint8)), "bands: it holds colours"
    elif swapped == "float":
        path, message = tiny.write(tmp_path / "f.tif", np.full((1, 4, 4), 0.37)), "holds fractions such as 0.37"
    else:
        path = write_features(tmp_path / "l.gpkg", [box(rasterio.Affine.identity(), 0, 0, 4, 4)], code=[1])
        message = "holds polygons, not pixels"
    with pytest.raises(InputError, match=message) as caught:
        codes_of(opened([path], recorder))
    assert caught.value.hint

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from engine.errors import OutputError
from engine.rasters.percent_raster import (
    confidence_layer,
    probabilities_layer,
    write_confidence_raster,
    write_probabilities_raster,
)
from engine.rasters.pyramid import halve
from tests.engine.rasters.stored_tiles import NOMENCLATURE, fill, finish, grid_of, names_in, open_store


def percent(count, height, width):
    image = np.random.default_rng(0).integers(0, 101, (count, height, width)).astype(np.uint8)
    image[:, : height // 2, : width // 3] = 255
    return image


def test_confidence(tmp_path):
    output = tmp_path / "confidence.tif"
    image = percent(1, 600, 700)
    store = open_store(output, grid_of(600, 700), layers=(confidence_layer(),))
    fill(store, 256, confidence=image)
    finish(write_confidence_raster, store, output, {"FLAIR_MODEL": "m"})
    store.remove()
    assert names_in(tmp_path) == {"confidence.tif", "confidence.qml"}
    with rasterio.open(output) as file:
        np.testing.assert_array_equal(file.read(), image)
        assert file.nodata == 255
        assert file.descriptions == ("Confidence (%)",)
        assert file.tags()["FLAIR_MODEL"] == "m"
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    with rasterio.open(output, overview_level=0) as file:
        np.testing.assert_array_equal(file.read(), halve(image, 255, "average"))
    renderer = ElementTree.parse(tmp_path / "confidence.qml").find("pipe/rasterrenderer")
    assert renderer is not None
    assert renderer.get("type") == "singlebandpseudocolor"


def test_probabilities_have_a_named_band_per_enabled_class(tmp_path):
    output = tmp_path / "probabilities.tif"
    layer = probabilities_layer(NOMENCLATURE)
    image = percent(layer.count, 520, 530)
    store = open_store(output, grid_of(520, 530), layers=(layer,))
    fill(store, 256, probabilities=image)
    finish(write_probabilities_raster, store, output, NOMENCLATURE, {})
    with rasterio.open(output) as file:
        np.testing.assert_array_equal(file.read(), image)
        assert file.count == 15
        assert file.descriptions == tuple(item.title for item in NOMENCLATURE.enabled)
        assert set(file.nodatavals) == {255}
        assert not {ColorInterp.alpha, ColorInterp.red} & set(file.colorinterp)
        assert file.overviews(15) == [2]


def test_statistics_of_an_earlier_raster_do_not_stay(tmp_path):
    output = tmp_path / "confidence.tif"
    output.write_bytes(b"old")
    (tmp_path / "confidence.tif.aux.xml").write_text("<PAMDataset/>")
    store = open_store(output, grid_of(20, 20), layers=(confidence_layer(),))
    fill(store, 20, confidence=percent(1, 20, 20))
    with pytest.raises(OutputError, match="exists already"):
        finish(write_confidence_raster, store, output, {})
    assert (tmp_path / "confidence.tif.aux.xml").exists()
    finish(write_confidence_raster, store, output, {}, overwrite=True)
    store.remove()
    assert names_in(tmp_path) == {"confidence.tif", "confidence.qml"}

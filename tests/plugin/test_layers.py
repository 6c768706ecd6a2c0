import math
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from helpers import TILE, Feedback, write_raster
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessingException,
    QgsRasterLayer,
    QgsRectangle,
)
from qgis.PyQt.QtCore import QCoreApplication

from flair_qgis import layer_rendering, layers
from flair_qgis.layer_rendering import Extract, metres_per_unit
from flair_qgis.layers import describe_layer, readable_path
from flair_qgis.progress import Progress

MERCATOR = QgsCoordinateReferenceSystem("EPSG:3857")


def path_of(layer, tmp_path, feedback, extent=None, gsd=0.2):
    described = describe_layer(layer)
    return readable_path(described, extent, gsd, tmp_path / "copy.tif", feedback, Progress(feedback))


def opens_elsewhere(path):
    code = f"from osgeo import gdal; raise SystemExit(gdal.Open({path!r}) is None)"
    return subprocess.run([sys.executable, "-c", code], cwd="/", capture_output=True).returncode == 0


def test_plain_file(image, tmp_path, feedback):
    layer = QgsRasterLayer(image, "image")
    described = describe_layer(layer)
    assert (described.path, described.bands, described.override_crs) == (image, 3, False)
    assert described.crs_text is None
    assert path_of(layer, tmp_path, feedback) == image


def test_relative_path_becomes_absolute(image, tmp_path, feedback, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert opens_elsewhere(path_of(QgsRasterLayer("image.tif", "image"), tmp_path, feedback))


@pytest.mark.parametrize("kind", ["zip", "gpkg", "options", "vrt", "netcdf-like"])
def test_other_ways_to_name_a_raster(kind, image, tmp_path, feedback):
    if kind == "zip":
        import zipfile

        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.write(image, "inner/image.tif")
        source = f"/vsizip/{tmp_path}/a.zip/inner/image.tif"
    elif kind == "gpkg":
        gdal.Translate(str(tmp_path / "a.gpkg"), image, format="GPKG", creationOptions=["RASTER_TABLE=one"])
        options = ["RASTER_TABLE=two", "APPEND_SUBDATASET=YES"]
        gdal.Translate(str(tmp_path / "a.gpkg"), image, format="GPKG", creationOptions=options)
        source = f"GPKG:{tmp_path}/a.gpkg:two"
    elif kind == "options":
        source = f"{image}|option:NUM_THREADS=2"
    elif kind == "vrt":
        gdal.BuildVRT(str(tmp_path / "a.vrt"), [image]).FlushCache()
        source = str(tmp_path / "a.vrt")
    else:
        source = f"GTIFF_DIR:1:{image}"
    layer = QgsRasterLayer(source, kind)
    assert layer.isValid()
    path = path_of(layer, tmp_path, feedback)
    assert "|" not in path
    assert opens_elsewhere(path)


def test_layer_in_memory_is_copied(image, tmp_path, feedback):
    gdal.Translate("/vsimem/flair_test.tif", image)
    try:
        path = path_of(QgsRasterLayer("/vsimem/flair_test.tif", "memory"), tmp_path, feedback)
        assert opens_elsewhere(path)
        assert gdal.Open(path).ReadAsArray()[:, 0, 0].tolist() == [51, 52, 53]
    finally:
        gdal.Unlink("/vsimem/flair_test.tif")


def test_crs_given_in_qgis(tmp_path):
    layer = QgsRasterLayer(write_raster(tmp_path / "bare.tif", epsg=None), "bare")
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:2154"))
    assert describe_layer(layer).crs_text == "EPSG:2154"
    layer = QgsRasterLayer(write_raster(tmp_path / "wrong.tif", epsg=32631), "wrong")
    assert describe_layer(layer).crs_text is None
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:2154"))
    assert describe_layer(layer).crs_text == "EPSG:2154"
    layer.setCrs(QgsCoordinateReferenceSystem.fromProj("+proj=tmerc +lon_0=3.1 +ellps=GRS80"))
    assert "Transverse_Mercator" in describe_layer(layer).crs_text


def test_vanished_file(image, tmp_path):
    layer = QgsRasterLayer(image, "image")
    os.unlink(image)
    with pytest.raises(QgsProcessingException, match="cannot be opened"):
        describe_layer(layer)
    with pytest.raises(QgsProcessingException, match="cannot be read"):
        describe_layer(QgsRasterLayer(str(tmp_path / "absent.tif"), "absent"))


def test_service_is_copied_in_pieces(tiles, tmp_path, feedback, monkeypatch):
    layer, box = tiles
    monkeypatch.setattr(layer_rendering, "PIECE", 128)
    path = path_of(layer, tmp_path, feedback, (box, MERCATOR), gsd=1.0)
    copy = gdal.Open(path)
    values = copy.ReadAsArray()
    # a unit of this CRS measures 0.66 m on the ground in Paris
    expected = 2 * TILE * math.cos(math.radians(48.85))
    assert values.shape[1] == pytest.approx(expected, rel=0.01)
    assert values.shape[0] == 4
    near, far = values.shape[1] // 4, values.shape[1] * 3 // 4
    assert values[:, near, near].tolist() == [10, 20, 200, 255]
    assert values[:, near, far].tolist() == [110, 20, 200, 255]
    assert values[:, far, near].tolist() == [10, 120, 200, 255]
    assert values[3, far, far] == 0
    assert copy.GetRasterBand(4).GetColorInterpretation() == gdal.GCI_AlphaBand
    assert copy.GetGeoTransform()[0] == pytest.approx(box.xMinimum())
    assert copy.GetGeoTransform()[3] == pytest.approx(box.yMaximum())
    assert "3857" in copy.GetProjection()
    assert len(feedback.progresses) > 5
    assert any("have holes" in text for text in feedback.warnings)


def test_service_is_copied_in_a_thread(tiles, tmp_path):
    layer, box = tiles
    described, outcome = describe_layer(layer), []

    def work():
        feedback = Feedback()
        outcome.append(
            readable_path(described, (box, MERCATOR), 1.0, tmp_path / "copy.tif", feedback, Progress(feedback))
        )

    thread = threading.Thread(target=work)
    thread.start()
    end = time.monotonic() + 20
    while thread.is_alive() and time.monotonic() < end:
        # QGIS's main thread goes on with its events meanwhile
        QCoreApplication.processEvents()
        time.sleep(0.01)
    assert outcome
    assert gdal.Open(outcome[0]).ReadAsArray()[:, 5, 5].tolist() == [10, 20, 200, 255]


def test_service_without_extent(tiles, tmp_path, feedback):
    layer, _ = tiles
    assert describe_layer(layer).needs_extent
    assert describe_layer(layer).bands == 3
    with pytest.raises(QgsProcessingException, match="Choose an extent"):
        path_of(layer, tmp_path, feedback)


def test_service_that_shows_nothing(tiles, tmp_path, feedback):
    layer, box = tiles
    away = QgsRectangle(box.xMinimum() + 20000, box.yMinimum(), box.xMaximum() + 20000, box.yMaximum())
    with pytest.raises(QgsProcessingException, match="shows nothing"):
        path_of(layer, tmp_path, feedback, (away, MERCATOR), gsd=1.0)


def test_service_cancelled(tiles, tmp_path):
    layer, box = tiles
    feedback = Feedback()
    feedback.cancel()
    with pytest.raises(QgsProcessingException, match="Cancelled"):
        path_of(layer, tmp_path, feedback, (box, MERCATOR), gsd=1.0)


def test_extent_far_too_large_or_outside(tiles):
    layer, _ = tiles
    provider = layer.dataProvider()
    with pytest.raises(QgsProcessingException, match="too large"):
        Extract.plan("tiles", provider, MERCATOR, QgsRectangle(0, 0, 1e6, 1e6), MERCATOR, 0.2)
    with pytest.raises(QgsProcessingException, match="outside"):
        Extract.plan("tiles", provider, MERCATOR, QgsRectangle(1e9, 1e9, 2e9, 2e9), MERCATOR, 0.2)


def test_extent_in_another_crs(tiles):
    layer, _ = tiles
    degrees = QgsCoordinateReferenceSystem("EPSG:4326")
    box = QgsRectangle(2.35, 48.85, 2.351, 48.851)
    plan = Extract.plan("tiles", layer.dataProvider(), MERCATOR, box, degrees, 0.2)
    assert plan.width * 0.2 == pytest.approx(73.4, rel=0.02)
    assert plan.height * 0.2 == pytest.approx(111.2, rel=0.02)
    assert plan.pixel_size[0] == pytest.approx(plan.pixel_size[1])


def test_metres_per_unit():
    from qgis.core import QgsPointXY

    assert metres_per_unit(QgsCoordinateReferenceSystem("EPSG:2154"), QgsPointXY(700000, 6600000)) == pytest.approx(
        (1, 1), rel=2e-3
    )
    assert metres_per_unit(MERCATOR, QgsPointXY(0, 4439106.8)) == pytest.approx((0.8, 0.8), rel=0.01)
    along_x, along_y = metres_per_unit(QgsCoordinateReferenceSystem("EPSG:4326"), QgsPointXY(0, 60))
    assert along_x == pytest.approx(55800, rel=0.01)
    assert along_y == pytest.approx(111400, rel=0.01)


def test_virtual_raster_keeps_its_values(image, tmp_path, feedback):
    """A layer computed on the fly has values, not colours."""
    from qgis.core import QgsRasterDataProvider

    uri = (
        f"?crs=EPSG:2154&extent=700000,6599998,700004,6600000&width=20&height=10"
        f'&formula="image@1" * 2&image:uri={image}&image:provider=gdal'
    )
    layer = QgsRasterLayer(uri, "virtual", "virtualraster")
    if not layer.isValid():
        pytest.skip("this QGIS has no virtual rasters")
    assert isinstance(layer.dataProvider(), QgsRasterDataProvider)
    crs = QgsCoordinateReferenceSystem("EPSG:2154")
    path = path_of(layer, tmp_path, feedback, (QgsRectangle(700001, 6599999, 700003, 6600000), crs), gsd=0.2)
    copy = gdal.Open(path)
    assert copy.RasterCount == 1
    assert np.unique(copy.ReadAsArray()).tolist() == [102]
    assert (copy.RasterXSize, copy.RasterYSize) == (10, 5)


def test_margin_keeps_the_pixels_where_they_are(tiles, tmp_path):
    layer, box = tiles
    part = QgsRectangle(box.xMinimum() + 100, box.yMinimum() + 100, box.xMinimum() + 150, box.yMinimum() + 140)
    plain = Extract.plan("tiles", layer.dataProvider(), MERCATOR, part, MERCATOR, 0.5)
    wide = Extract.plan("tiles", layer.dataProvider(), MERCATOR, part, MERCATOR, 0.5, 96)
    assert (wide.width, wide.height) == (plain.width + 192, plain.height + 192)
    assert wide.pixel_size == pytest.approx(plain.pixel_size)
    assert (plain.box.xMinimum() - wide.box.xMinimum()) / plain.pixel_size[0] == pytest.approx(96)
    assert (wide.box.yMaximum() - plain.box.yMaximum()) / plain.pixel_size[1] == pytest.approx(96)


def test_margin_ends_where_the_layer_does(image):
    """A layer with an end is copied as far as it reaches, in whole pixels."""
    layer = QgsRasterLayer(image, "image")
    crs = QgsCoordinateReferenceSystem("EPSG:2154")
    part = QgsRectangle(700001, 6599998.6, 700003, 6599999.6)
    wide = Extract.plan("image", layer.dataProvider(), crs, part, crs, 0.2, 96)
    assert (wide.width, wide.height) == (20, 10)
    assert wide.box.xMinimum() == pytest.approx(700000)
    assert wide.box.yMaximum() == pytest.approx(6600000)


@pytest.mark.parametrize("path", ["/vsis3/bucket/folder/map.tif", "/vsizip//vsis3/bucket/a.zip/map.tif"])
def test_layer_in_storage_is_named_as_gdal_opens_it(path, monkeypatch):
    class Layer:
        def source(self):
            return path

    asked = []
    monkeypatch.setattr(layers, "_opens", lambda candidate: asked.append(candidate) or candidate == path)
    assert layers.gdal_path(Layer()) == path
    assert asked == [path]

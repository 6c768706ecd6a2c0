"""Imagery services as input, of a real server: QGIS Server publishes the scene on this machine."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest
import rasterio
import rasterio.warp

from tests.end_to_end import rasters
from tests.end_to_end.processes import PATIENCE, engine_command, engine_environment
from tests.end_to_end.publishing import published

# Whole pixels of the scene, 300 x 200 from column 200 and row 100 on, well inside: what lies across the edge of the
# server's own raster, QGIS Server shifts by up to a row.
X, Y = 853_000.0, 6_541_000.0
EXTENT = f"{X + 40},{X + 100},{Y - 60},{Y - 20} [EPSG:2154]"
PART = (slice(100, 300), slice(200, 500))
BANDS = "red=1,green=2,blue=3,infrared=4,elevation=5"


@pytest.fixture(scope="module")
def service(material, tmp_path_factory):
    with published(material.folder / "scene", tmp_path_factory.mktemp("server"), 256) as server:
        yield server


@pytest.fixture(scope="module")
def roomy(material, tmp_path_factory):
    """The same with pictures of 512 pixels: QGIS cuts larger ones along the whole layer, so also across its edge."""
    with published(material.folder / "scene", tmp_path_factory.mktemp("roomy"), 512) as server:
        yield server


def engine(material, command, **options):
    line = engine_command(command, options)
    return subprocess.run(
        line,
        env=engine_environment(material.cache),
        capture_output=True,
        text=True,
        check=False,
        timeout=120 * PATIENCE,
    )


def same(path, material):
    """Return the share of pixels that have the class of the classified file."""
    with rasterio.open(path) as dataset:
        assert (dataset.width, dataset.height) == (300, 200)
        assert dataset.transform.to_gdal() == pytest.approx((X + 40, 0.2, 0, Y - 20, 0, -0.2))
        pixels = dataset.read(1)
    assert (pixels > 0).all()
    return (pixels == rasters.read(material.map)[PART]).mean()


def test_all_bands_from_a_coverage(service, material, tmp_path):
    output = tmp_path / "map.tif"
    done = engine(
        material, "classify", model=material.model, input=service.wcs("image"), bands=BANDS, extent=EXTENT,
        output=output,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert same(output, material) > 0.99


def test_prepared_of_maps_and_coverages_then_classified(service, material, tmp_path):
    image, output = tmp_path / "image.tif", tmp_path / "map.tif"
    wanted = {
        "rgb": service.wms("rgb"),
        "irc": service.wms("irc", version="1.1.1"),
        "dsm": service.wcs("dsm", resolution=0.5),
        "dtm": service.wcs("dtm", resolution=0.5),
        "extent": EXTENT,
    }
    done = engine(material, "prepare-input", **wanted, output=image)
    assert done.returncode == 0, done.stderr
    asked = service.asked("GetMap")
    assert asked == 4, "two pieces of at most 256 pixels for each layer"
    pixels, truth = rasters.read_all(image), rasters.read_all(material.image)[(slice(None), *PART)]
    assert np.array_equal(pixels[:4], truth[:4])
    assert np.abs(pixels[4].astype(int) - truth[4]).max() <= 1
    assert (pixels[4] == truth[4]).mean() > 0.99
    assert engine(material, "classify", model=material.model, input=image, output=output).returncode == 0
    # Without its neighbours the network sees other things at the edge.
    with rasterio.open(output) as dataset:
        inner = (slice(64, -64), slice(64, -64))
        assert (dataset.read(1)[inner] == rasters.read(material.map)[PART][inner]).mean() > 0.99
    again = engine(material, "prepare-input", **wanted, output=image, overwrite=True)
    assert again.returncode == 0, again.stderr
    assert service.asked("GetMap") == asked, "the second run asks nothing"
    assert np.array_equal(rasters.read_all(image), pixels)


def assert_lies_right(material, image):
    """Check that an image fits the scene, brought into its CRS, better than one moved by some pixels."""
    with rasterio.open(material.image) as scene, rasterio.open(image) as dataset:
        expected = np.zeros((3, dataset.height, dataset.width), np.uint8)
        rasterio.warp.reproject(
            scene.read([1, 2, 3]), expected, src_transform=scene.transform, src_crs=scene.crs,
            dst_transform=dataset.transform, dst_crs=dataset.crs, resampling=rasterio.warp.Resampling.bilinear,
        )  # fmt: skip
        pixels = dataset.read().astype(int)[:, 8:-8, 8:-8]

    def difference(down, right):
        rows, columns = expected.shape[1:]
        moved = expected[:, 8 + down : rows - 8 + down, 8 + right : columns - 8 + right]
        return np.abs(pixels - moved).mean()

    here = difference(0, 0)
    assert here < min(difference(3, 0), difference(-3, 0), difference(0, 3), difference(0, -3))


def test_degrees_lie_where_they_should(service, material, tmp_path):
    image = tmp_path / "image.tif"
    done = engine(material, "prepare-input", rgb=service.wms("rgb", crs="EPSG:4326"), extent=EXTENT, output=image)
    assert done.returncode == 0, done.stderr
    with rasterio.open(image) as dataset:
        assert dataset.crs.to_epsg() == 4326
    assert_lies_right(material, image)


def test_the_servers_own_sentence(service, material, tmp_path):
    done = engine(
        material, "prepare-input", rgb=service.wms("rgb", styles="nonsense"), extent=EXTENT, output=tmp_path / "map.tif"
    )
    assert done.returncode == 3
    assert "127.0.0.1 answers:" in done.stderr
    assert not (tmp_path / "map.tif").exists()
    absent = engine(material, "prepare-input", rgb=service.wms("rbg"), extent=EXTENT, output=tmp_path / "map.tif")
    assert absent.returncode == 3
    assert "has no layer 'rbg'" in absent.stderr
    assert "Did you mean rgb" in absent.stderr


def layer(service, name):
    """Return a layer as QGIS's own text has it: provider, and what it is made from."""
    return f"wms://crs=EPSG:2154&dpiMode=7&format=image/png&layers={name}&styles=&url=http://{service.host}/"


def coverage(service, name):
    return f"wcs://crs=EPSG:2154&dpiMode=7&format=GeoTIFF&identifier={name}&url=http://{service.host}/"


def test_layers_of_services_in_qgis(roomy, qgis, material, tmp_path):
    image = tmp_path / "image.tif"
    wanted = {
        "RGB": layer(roomy, "rgb"),
        "IRC": layer(roomy, "irc"),
        "DSM": coverage(roomy, "dsm"),
        "DTM": coverage(roomy, "dtm"),
        "EXTENT": EXTENT,
        "OUTPUT": image,
    }
    answer = qgis.execute("flair:prepareinput", **wanted)
    assert answer.code == 0, answer.text
    with rasterio.open(image) as dataset:
        assert dataset.transform.to_gdal() == pytest.approx((X + 40, 0.2, 0, Y - 20, 0, -0.2))
        pixels = dataset.read()
    truth = rasters.read_all(material.image)[(slice(None), *PART)]
    assert np.array_equal(pixels[:4], truth[:4])
    assert (pixels[4] == truth[4]).mean() > 0.99
    asked = roomy.asked("GetMap")
    assert asked >= 2
    again = qgis.execute("flair:prepareinput", **wanted)
    assert again.code == 0, again.text
    assert roomy.asked("GetMap") == asked, "the second run asks for no picture"
    assert np.array_equal(rasters.read_all(image), pixels)


def test_tiles_lie_where_they_should_in_qgis(roomy, qgis, material, tmp_path):
    image = tmp_path / "image.tif"
    tiles = (
        "wms://crs=EPSG:3857&dpiMode=7&format=image/png&layers=rgb&styles=default&tileMatrixSet=EPSG:3857"
        f"&url=http://{roomy.host}/?SERVICE%3DWMTS%26REQUEST%3DGetCapabilities"
    )
    answer = qgis.execute("flair:prepareinput", RGB=tiles, EXTENT=EXTENT, OUTPUT=image)
    assert answer.code == 0, answer.text
    with rasterio.open(image) as dataset:
        assert dataset.crs.to_epsg() == 3857
    assert_lies_right(material, image)


def test_a_coverage_is_classified_in_qgis(roomy, qgis, material, tmp_path):
    output = tmp_path / "map.tif"
    answer = qgis.classify(
        INPUT=coverage(roomy, "image"), MODEL=material.model, BANDS=BANDS, EXTENT=EXTENT, OUTPUT=output
    )
    assert answer.code == 0, answer.text
    assert same(output, material) > 0.99


def test_pictures_hold_no_infrared(service, material, tmp_path):
    asked = service.asked("GetMap")
    done = engine(
        material, "classify", model=material.model, input=service.wms("rgb"), extent=EXTENT, output=tmp_path / "map.tif"
    )
    assert done.returncode == 3
    assert "The model wants infrared and elevation" in done.stderr
    assert service.asked("GetMap") == asked


def test_what_goes_wrong_with_a_service_in_qgis(roomy, qgis, tmp_path):
    output = tmp_path / "image.tif"
    wrong = layer(roomy, "rgb").replace("styles=", "styles=nonsense&password=hidden")
    refused = qgis.execute("flair:prepareinput", RGB=wrong, EXTENT=EXTENT, OUTPUT=output)
    assert refused.code != 0
    assert "shows nothing inside the extent" in refused.stderr
    assert "QGIS says of the service" in refused.text
    absent = qgis.execute("flair:prepareinput", RGB=wrong.replace("=rgb", "=rbg"), EXTENT=EXTENT, OUTPUT=output)
    assert absent.code != 0
    assert "The service wms://" in absent.stderr
    assert "hidden" not in "".join(line for line in absent.errors if "The service" in line)
    assert not output.exists()

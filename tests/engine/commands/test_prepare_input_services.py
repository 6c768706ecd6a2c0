"""prepare-input of services: one image, exact, with files beside them."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine

from engine.cancellation import Cancellation
from engine.commands import prepare_input
from engine.errors import RequestError
from engine.events import SilentReporter
from engine.requests import parse_request
from tests.engine.services.service_server import NORTH, STEP, WEST, ServiceServer, colours

# 100 x 80 pixels from column 10 and row 20 of the server's world
EXTENT = f"{WEST + 2},{WEST + 22},{NORTH - 20},{NORTH - 4} [EPSG:2154]"
COLUMNS, ROWS = np.arange(10, 110), np.arange(20, 100)


@pytest.fixture
def service(monkeypatch, tmp_path):
    monkeypatch.setenv("FLAIR_CACHE_DIR", str(tmp_path / "cache"))
    with ServiceServer() as server:
        yield server


def prepare(output, **options):
    options = {"allow_mismatch": True, "output": str(output), **options}
    result = prepare_input.run(parse_request("prepare-input", options), SilentReporter(), Cancellation())
    with rasterio.open(output) as dataset:
        assert (dataset.width, dataset.height) == (100, 80)
        assert dataset.transform.to_gdal() == (WEST + 2, STEP, 0, NORTH - 4, 0, -STEP)
        return result, dataset.read(), dataset.descriptions


def test_all_products_from_services(service, tmp_path):
    result, pixels, names = prepare(
        tmp_path / "x.tif", rgb=service.address(), irc=service.address(), extent=EXTENT,
        dsm=service.address("dsm"), dtm=service.address("dsm", styles="ground", resolution="1"),
    )  # fmt: skip
    assert names == ("red", "green", "blue", "infrared", "elevation")
    wanted = colours(COLUMNS, ROWS)
    assert np.array_equal(pixels[:3], wanted)
    # of colour-infrared the first band is infrared
    assert np.array_equal(pixels[3], wanted[0])
    # surface and terrain of 1 m are the same plane, but for the middle of a coarser pixel
    assert pixels[4].max() <= 5
    assert result["pixels"] == 8000


def test_a_file_takes_its_infrared_from_a_service(service, tmp_path):
    file = tmp_path / "rgb.tif"
    transform = Affine(STEP, 0, WEST + 2, 0, -STEP, NORTH - 4)
    with rasterio.open(
        file, "w", driver="GTiff", width=100, height=80, count=3, dtype="uint8", crs="EPSG:2154", transform=transform
    ) as dataset:
        dataset.write(colours(COLUMNS, ROWS))
    # Neither an extent nor a CRS has to be said: the file tells both.
    _, pixels, _ = prepare(tmp_path / "x.tif", rgb=str(file), irc=service.address())
    assert np.array_equal(pixels[3], colours(COLUMNS, ROWS)[0])
    assert service.pieces[0]["CRS"] == "EPSG:2154"


def test_what_cannot_be_done_with_services(service, tmp_path):
    with pytest.raises(RequestError, match="which part is wanted"):
        prepare(tmp_path / "x.tif", rgb=service.address())
    with pytest.raises(RequestError, match="cannot be a virtual raster"):
        prepare(tmp_path / "x.vrt", rgb=service.address(), extent=EXTENT)
    with pytest.raises(RequestError, match="There is no service 'ign:orto'"):
        prepare(tmp_path / "x.tif", rgb="ign:orto", extent=EXTENT)
    assert not service.asked

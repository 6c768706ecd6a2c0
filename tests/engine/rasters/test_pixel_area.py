import math

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import transform as warp_transform

from engine.rasters.pixel_area import PixelAreas, zone_area
from engine.rasters.windows import PixelWindow


def areas(crs, transform, width=1000, height=1000, window=None):
    made = PixelAreas(CRS.from_user_input(crs), transform, width, height)
    return made.of(window or PixelWindow(0, 0, height, width))


def exact(west, south, east, north):
    """Square metres of a cell of longitude and latitude on WGS 84, by integrating M N cos(phi) in small steps."""
    a, f = 6378137.0, 1 / 298.257223563
    e2 = f * (2 - f)
    edges = np.radians(np.linspace(south, north, 20001))
    phi = (edges[:-1] + edges[1:]) / 2
    density = a**2 * (1 - e2) * np.cos(phi) / (1 - e2 * np.sin(phi) ** 2) ** 2
    return float((density * np.diff(edges)).sum() * math.radians(east - west))


def test_all_zones_together_are_the_ellipsoid():
    # NIMA TR8350.2 gives 510 065 621.724 square kilometres
    assert float(zone_area(-math.pi / 2, math.pi / 2)) * 2 * math.pi / 1e6 == pytest.approx(510065621.724, abs=0.001)


@pytest.mark.parametrize("north", [0.01, 45.0, 48.5, -20.0, 89.0])
def test_degrees_are_exact_row_by_row(north):
    found = areas("EPSG:4326", Affine(1e-5, 0, 2, 0, -1e-5, north), 300, 400)
    assert found.shape == (400, 300)
    assert found.sum() == pytest.approx(exact(2, north - 400e-5, 2 + 300e-5, north), rel=1e-9)
    assert found[0, 0] == pytest.approx(exact(2, north - 1e-5, 2 + 1e-5, north), rel=1e-6)


def test_a_rotated_raster_in_degrees_is_measured():
    turned = Affine(1e-5, 0, 2, 0, -1e-5, 48) * Affine.rotation(30)
    upright = areas("EPSG:4326", Affine(1e-5, 0, 2, 0, -1e-5, 48))
    assert areas("EPSG:4326", turned)[0, 0] == pytest.approx(upright[0, 0], rel=1e-5)


def test_an_equal_area_map_is_taken_as_it_stands():
    # EPSG:3035 keeps areas everywhere, on an ellipsoid that differs from WGS 84 by 0.1 mm of its axis
    for x, y in ((4321000, 3210000), (3000000, 2000000), (6000000, 4500000)):
        found = areas("EPSG:3035", Affine(2, 0, x, 0, -2, y))
        assert np.allclose(found, 4.0, rtol=1e-6)


def test_lambert_93_has_its_scale():
    # On the standard parallels 49 and 44 degrees the scale is 1; between them the map is smaller than the ground.
    for latitude, least, most in ((49, -2e-5, 2e-5), (44, -2e-5, 2e-5), (46.5, 0.0018, 0.0020), (51, -0.005, -0.003)):
        (x,), (y,) = warp_transform(CRS.from_epsg(4326), CRS.from_epsg(2154), [3.0], [latitude])
        ratio = areas("EPSG:2154", Affine(0.2, 0, x, 0, -0.2, y), 100, 100).sum() / 400
        assert least <= ratio - 1 <= most, latitude


def test_web_mercator_and_degrees_agree():
    left, bottom, right, top = 2.0, 48.0, 2.05, 48.04
    (x0, x1), (y0, y1) = warp_transform(CRS.from_epsg(4326), CRS.from_epsg(3857), [left, right], [bottom, top])
    found = areas("EPSG:3857", Affine((x1 - x0) / 500, 0, x0, 0, -(y1 - y0) / 400, y1), 500, 400)
    assert found.sum() == pytest.approx(exact(left, bottom, right, top), rel=1e-6)


def test_a_unit_of_feet():
    metres = areas("EPSG:32118", Affine(1, 0, 300000, 0, -1, 60000), 50, 50).sum()
    feet = 0.3048006096012192
    found = areas("EPSG:2263", Affine(1 / feet, 0, 300000 / feet, 0, -1 / feet, 60000 / feet), 50, 50).sum()
    assert found == pytest.approx(metres, rel=1e-6)


def test_a_window_has_the_areas_of_the_whole():
    window = PixelWindow(300, 700, 50, 20)
    for crs, transform in (("EPSG:2154", Affine(50, 0, 650000, 0, -50, 6860000)),
                           ("EPSG:4326", Affine(1e-3, 0, 2, 0, -1e-3, 48))):  # fmt: skip
        whole = areas(crs, transform)
        assert np.array_equal(areas(crs, transform, window=window), whole[300:350, 700:720])


def test_a_local_crs_is_taken_as_it_stands():
    local = CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1]]')
    assert areas(local, Affine(0.5, 0, 0, 0, -0.5, 0), 10, 10).sum() == pytest.approx(25)

from __future__ import annotations

import math

import pytest
from affine import Affine
from rasterio.crs import CRS

from engine.errors import InputError
from engine.rasters.ground_sampling import ground_sampling_distance


def measure(crs, transform, reporter, size=(1000, 1000)):
    return ground_sampling_distance(CRS.from_user_input(crs), transform, *size, reporter)


def test_lambert_93_is_about_true_to_scale(reporter):
    assert measure("EPSG:2154", Affine(0.2, 0, 652000, 0, -0.2, 6862000), reporter) == pytest.approx(
        (0.2, 0.2), rel=2e-3
    )


def test_web_mercator_shrinks_with_latitude(reporter):
    x, y = measure("EPSG:3857", Affine(0.31298, 0, 14152000, 0, -0.31310, 4437400), reporter)
    latitude = math.radians(36.98)
    # Scale of the spherical Mercator against the ellipsoid's radii, to which the prime vertical is 0.12 % larger here.
    assert x == pytest.approx(0.31298 * math.cos(latitude) * 1.0012, rel=1e-3)
    assert y == pytest.approx(0.25, rel=5e-3)


def test_degrees(reporter):
    x, y = measure("EPSG:4326", Affine(1e-5, 0, 2.0, 0, -1e-5, 45.005), reporter)
    # Lengths of a degree at 45 degrees: 78 847 m and 111 132 m.
    assert (x, y) == pytest.approx((0.78847, 1.11132), rel=1e-4)


def test_feet(reporter):
    x, y = measure("EPSG:2263", Affine(1, 0, 985000, 0, -1, 200000), reporter)
    assert (x, y) == pytest.approx((0.3048, 0.3048), rel=1e-3)


def test_rotation_does_not_matter(reporter):
    turned = Affine.translation(652000, 6862000) * Affine.rotation(30) * Affine.scale(0.2, -0.5)
    assert measure("EPSG:2154", turned, reporter) == pytest.approx((0.2, 0.5), rel=2e-3)


def test_one_pixel(reporter):
    x, y = measure("EPSG:2154", Affine(0.2, 0, 652000, 0, -0.2, 6862000), reporter, (1, 1))
    assert (x, y) == pytest.approx((0.2, 0.2), rel=5e-3)


def test_local_crs_is_taken_as_metres_with_a_warning(reporter):
    crs = 'LOCAL_CS["site",UNIT["metre",1]]'
    assert measure(crs, Affine(0.5, 0, 10, 0, -0.5, 10), reporter) == (0.5, 0.5)
    assert "metres" in reporter.warnings[0]


def test_place_outside_the_crs(reporter):
    with pytest.raises(InputError, match="outside the area"):
        measure("EPSG:2154", Affine(0.2, 0, 1e12, 0, -0.2, 1e15), reporter)
    with pytest.raises(InputError, match="outside the area"):
        measure("EPSG:4326", Affine(0.2, 0, 652000, 0, -0.2, 6862000), reporter)


def test_pixels_without_size(reporter):
    with pytest.raises(InputError, match="no size"):
        measure("EPSG:2154", Affine(0, 0, 652000, 0, 0, 6862000), reporter)

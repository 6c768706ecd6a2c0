"""Polygons of all outlines: valid, without gap or overlap, the same for any strips; against rasterio's."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio.features
import shapely
from affine import Affine

from engine.vectors.outlines import Care
from tests.engine.vectors.drawn import NORTH_UP, PIXEL, RASTERS, builder_of, patches, polygons_of, regions_of

TURNED = Affine.translation(650000, 6860000) * Affine.rotation(20) * Affine.scale(PIXEL, -PIXEL)
SOUTH_UP = Affine(PIXEL, 0, 650000, 0, PIXEL, 6860000)


@pytest.mark.parametrize("kind", sorted(RASTERS))
def test_pixel_outlines_are_those_of_gdal(kind, tmp_path):
    for seed in range(8):
        regions = regions_of(RASTERS[kind](seed))
        shapes, _ = polygons_of(regions, tmp_path / f"{seed}", strip=5)
        assert shapely.is_valid(shapes).all()
        theirs = {}
        for shape, value in rasterio.features.shapes(regions, connectivity=4, transform=NORTH_UP):
            theirs[int(value)] = shapely.make_valid(shapely.geometry.shape(shape))
        assert len(theirs) == len(shapes)
        for number, shape in enumerate(shapes, 1):
            assert shape.symmetric_difference(theirs[number]).area < 1e-9
            assert shape.area == pytest.approx((regions == number).sum() * PIXEL**2, rel=1e-6)


@pytest.mark.parametrize("kind", sorted(RASTERS))
@pytest.mark.parametrize("outline", ["simplified", "smooth"])
@pytest.mark.parametrize("tolerance", [0.3, 1.5, 6])
def test_no_gap_and_no_overlap(kind, outline, tolerance, tmp_path):
    for seed in range(3):
        regions = regions_of(RASTERS[kind](seed))
        shapes, _ = polygons_of(regions, tmp_path / f"{seed}", outline, tolerance)
        assert shapely.is_valid(shapes).all()
        assert not shapely.is_empty(shapes).any()
        whole = regions.size * PIXEL**2
        assert shapely.area(shapes).sum() == pytest.approx(whole, abs=1e-6)
        assert shapely.union_all(shapes).area == pytest.approx(whole, abs=1e-6)
        assert shapely.union_all(shapes).geom_type == "Polygon"
        one, other = shapely.STRtree(shapes).query(shapes, predicate="intersects")
        pairs = one < other
        assert shapely.area(shapely.intersection(shapes[one[pairs]], shapes[other[pairs]])).max() < 1e-9


@pytest.mark.parametrize("outline", ["pixels", "simplified", "smooth"])
@pytest.mark.parametrize("strip", [1, 3, 7, 13])
def test_same_polygons_for_any_strips(outline, strip, tmp_path):
    for name, make in RASTERS.items():
        regions = regions_of(make(4))
        whole, redrawn = polygons_of(regions, tmp_path / f"{name}-whole", outline)
        parts, again = polygons_of(regions, tmp_path / f"{name}-parts", outline, strip=strip)
        assert shapely.equals_exact(whole, parts, 0).all()
        assert redrawn == again


@pytest.mark.parametrize("transform", [TURNED, SOUTH_UP])
def test_rasters_that_are_turned(transform, tmp_path):
    regions = regions_of(patches(1))
    shapes, _ = polygons_of(regions, tmp_path / "a", "simplified", transform=transform)
    assert shapely.is_valid(shapes).all()
    corners = [transform * place for place in ((0, 0), (60, 0), (60, 60), (0, 60))]
    assert shapely.union_all(shapes).equals_exact(shapely.Polygon(corners), 1e-6) or (
        shapely.union_all(shapes).symmetric_difference(shapely.Polygon(corners)).area < 1e-6
    )


def test_borders_move_no_further_than_the_tolerance(tmp_path):
    regions = regions_of(patches(2, 120))
    exact, _ = polygons_of(regions, tmp_path / "exact")
    for tolerance, share in ((0.3, 1.0), (1.5, 0.6), (3, 0.5)):
        shapes, _ = polygons_of(regions, tmp_path / f"{tolerance}", "simplified", tolerance)
        moved = shapely.hausdorff_distance(shapely.boundary(exact), shapely.boundary(shapes))
        assert moved.max() <= tolerance * PIXEL * 1.0001
        assert shapely.get_num_coordinates(shapes).sum() <= share * shapely.get_num_coordinates(exact).sum()


def test_a_sloping_border_has_no_steps(tmp_path):
    rows, columns = np.mgrid[:100, :100]
    regions = np.where(rows * 3 > columns + 90, 2, 1).astype(np.int32)
    shapes, redrawn = polygons_of(regions, tmp_path / "a", "simplified")
    assert redrawn == 0
    # the corners of the raster, and the two ends of the border
    assert [len(shape.exterior.coords) - 1 for shape in shapes] == [4, 4]


def test_a_rounded_border_has_no_sharp_turn(tmp_path):
    rows, columns = np.mgrid[:200, :200]
    regions = np.where(np.hypot(rows - 100, columns - 100) < 60, 2, 1).astype(np.int32)
    shapes, _ = polygons_of(regions, tmp_path / "a", "smooth")
    ring = np.array(shapes[1].exterior.coords)
    step = np.diff(ring, axis=0)
    angle = np.unwrap(np.arctan2(step[:, 1], step[:, 0]))
    assert np.abs(np.diff(angle)).max() < np.radians(25)
    assert shapes[1].area == pytest.approx(np.pi * (60 * PIXEL) ** 2, rel=0.02)


def test_an_island_in_a_bend_stays_on_its_side(tmp_path):
    """A border drawn straight across a bend would leave the island in it behind, without crossing it."""
    regions = np.ones((40, 60), np.int32)
    regions[20:, :] = 2
    regions[15:20, 25:35] = 2
    regions[17, 30] = 3
    shapes, redrawn = polygons_of(regions, tmp_path / "a", "simplified", 8)
    assert shapely.is_valid(shapes).all()
    assert redrawn > 0
    assert len(shapes[1].interiors) == 1
    assert shapes[0].disjoint(shapes[2])


def test_crossing_borders_are_found_and_mended(tmp_path):
    """Two thin winding stripes: with so much room their borders run over each other."""
    rows, columns = np.mgrid[:80, :160]
    wave = 40 + 12 * np.sin(columns / 7.0)
    regions = np.where(rows < wave, 1, np.where(rows < wave + 2, 2, 3)).astype(np.int32)
    regions = regions_of(regions.astype(np.uint8))
    builder = builder_of(regions, tmp_path / "raw", "simplified", 10)
    before = next(builder.batches(np.arange(1, regions.max() + 1), 10**6))
    assert not before.valid.all()
    shapes, redrawn = polygons_of(regions, tmp_path / "mended", "simplified", 10)
    assert redrawn > 0
    assert shapely.is_valid(shapes).all()


def test_the_safest_drawing_never_crosses(tmp_path):
    for seed in range(4):
        for make in RASTERS.values():
            regions = regions_of(make(seed))
            builder = builder_of(regions, tmp_path / "a", "smooth", 5)
            builder.store.care[:] = Care.SAFE
            builder.store.redraw(np.arange(len(builder.store.table)))
            batch = next(builder.batches(np.arange(1, regions.max() + 1), 10**9))
            assert batch.valid.all()
            for file in (tmp_path / "a").iterdir():
                file.unlink()

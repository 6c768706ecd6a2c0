"""Class rasters of tests, and their polygons without a file around them."""

from __future__ import annotations

import numpy as np
from affine import Affine
from scipy import ndimage

from engine.vectors.arc_store import ArcStore
from engine.vectors.boundary_sweep import BoundarySweep
from engine.vectors.components import label_strip
from engine.vectors.crossings import redraw_crossing
from engine.vectors.faces import rings_of
from engine.vectors.outlines import Outline
from engine.vectors.polygons import PolygonBuilder

PIXEL = 0.2
NORTH_UP = Affine(PIXEL, 0, 650000.1, 0, -PIXEL, 6860000.3)


def noise(seed, shape=(23, 27), classes=3):
    """Every pixel of any class: the most nodes that there can be."""
    return np.random.default_rng(seed).integers(0, classes, shape).astype(np.uint8)


def blocks(seed):
    """Squares of 3 pixels."""
    return np.kron(noise(seed, (14, 15)), np.ones((3, 3), np.uint8))


def patches(seed, size=60, classes=4):
    """Rounded patches, as networks draw them."""
    random = np.random.default_rng(seed)
    fields = [ndimage.gaussian_filter(random.random((size, size)), 2) for _ in range(classes)]
    return np.stack(fields).argmax(0).astype(np.uint8)


RASTERS = {"noise": noise, "blocks": blocks, "patches": patches}


def regions_of(codes):
    """Number of each pixel's region, from 1."""
    return label_strip(codes)[0] + 1


def swept(regions, strip):
    """Arcs of a raster that is taken so many rows at a time."""
    sweep = BoundarySweep(regions.shape[1])
    parts = [sweep.add(regions[row : row + strip]) for row in range(0, len(regions), strip)]
    return [*parts, sweep.finish()]


def builder_of(regions, folder, kind="pixels", tolerance=1.5, strip=1000, transform=NORTH_UP):
    """What builds the polygons; borders are not checked yet."""
    folder.mkdir(exist_ok=True)
    store = ArcStore(folder, regions.shape[1], Outline(kind, tolerance), transform)
    for arcs in swept(regions, strip):
        store.add(arcs)
    store.finish()
    return PolygonBuilder(store, rings_of(store.table, int(regions.max())))


def polygons_of(regions, folder, kind="pixels", tolerance=1.5, strip=1000, transform=NORTH_UP):
    """Polygons by region from 1, and how many arcs had to be drawn with more care."""
    builder = builder_of(regions, folder, kind, tolerance, strip, transform)
    count = int(regions.max())
    redrawn = 0
    if kind != "pixels":
        reach = (tolerance + 2) * PIXEL
        redrawn = redraw_crossing(builder, count, 500, reach, lambda done: None)
    batches = builder.batches(np.arange(1, count + 1), 500)
    return np.concatenate([batch.shapes for batch in batches]), redrawn

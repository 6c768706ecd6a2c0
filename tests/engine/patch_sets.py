"""What tests of data sets cut them from, and what must be in them."""

from __future__ import annotations

import csv

import numpy as np
import rasterio
from affine import Affine

ORIGIN = Affine(0.2, 0, 650000.0, 0, -0.2, 6860000.0)
SPLITS = ("train", "val", "test")
# 6 x 8 patches of 64 pixels.
HEIGHT, WIDTH = 6 * 64 + 10, 8 * 64 + 20


def squares(height=HEIGHT, width=WIDTH, codes=(1, 3, 7, 10), side=16, seed=0):
    rows, columns = -(-height // side), -(-width // side)
    picked = np.random.default_rng(seed).choice(codes, (rows, columns))
    return np.kron(picked, np.ones((side, side), int))[:height, :width].astype(np.uint8)


def patches(folder):
    """Return (split, image path, mask path, row, column) of all patches that the lists name."""
    found = []
    for split in SPLITS:
        with open(folder / f"{split}.csv", newline="") as stream:
            for row in csv.reader(stream):
                assert len(row) == 2
                with rasterio.open(folder / row[0]) as file:
                    x, y = ~ORIGIN * (file.transform.c, file.transform.f)
                found.append((split, folder / row[0], folder / row[1], round(y), round(x)))
    return found


def check(folder, pixels, codes, size=64):
    """Assert that every patch is the part of image and codes that its place says; returns the patches."""
    found = patches(folder)
    for _, image_path, mask_path, row, column in found:
        place = (slice(row, row + size), slice(column, column + size))
        with rasterio.open(image_path) as image, rasterio.open(mask_path) as mask:
            assert (image.read() == pixels[(slice(None), *place)]).all()
            assert (mask.read(1) == codes[place]).all()
            for file in (image, mask):
                assert file.transform.almost_equals(ORIGIN * Affine.translation(column, row), 1e-9)
                assert file.crs.to_epsg() == 2154
                assert file.shape == (size, size)
            assert mask.dtypes == ("uint8",)
            assert mask.nodata == 0
    return found

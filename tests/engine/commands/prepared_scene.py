"""A scene as the parts that are delivered of it."""

from __future__ import annotations

import rasterio

from engine.data.sample_scene import write_sample_scene
from tests.engine import tiny


def write_parts(folder, width, height, seed=4):
    """Write RGB, IRC, DSM and DTM of a scene; returns their paths, all pixels and the transform."""
    made = write_sample_scene(folder / "whole", width=width, height=height, seed=seed)
    with rasterio.open(made.image) as file:
        pixels, transform = file.read(), file.transform
    return {
        "rgb": tiny.write(folder / "rgb_2021.tif", pixels[:3], transform=transform),
        "irc": tiny.write(folder / "irc_2021.tif", pixels[[3, 0, 1]], transform=transform),
        "dsm": str(made.dsm),
        "dtm": str(made.dtm),
        "pixels": pixels,
        "transform": transform,
    }


def inputs(scene, *names):
    return {name: scene[name] for name in names or ("rgb", "irc", "dsm", "dtm")}


def read(path):
    """Return bands, validity and names of an image."""
    with rasterio.open(path) as file:
        return file.read(), file.dataset_mask() > 0, file.descriptions

"""Products as they are delivered, cut from the scene of the tests: orthophoto, colour-infrared, heights."""

from __future__ import annotations

import numpy as np
import rasterio
from affine import Affine

# metres of elevation per unit of the scene's fifth band
STEP = 0.2


def deliver(image, folder):
    """Write red, green, blue; infrared, red, green; surface and terrain with pixels of 0.5 m.

    Args:
        image: Scene of five bands: red, green, blue, infrared, elevation.
        folder: Where the files go.

    Returns:
        Paths by product.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with rasterio.open(image) as dataset:
        bands, profile = dataset.read(), dataset.profile
    made = {}
    for name, chosen in (("rgb", [0, 1, 2]), ("irc", [3, 0, 1])):
        made[name] = folder / f"{name}.tif"
        with rasterio.open(made[name], "w", **_profile(profile, 3, "uint8")) as dataset:
            dataset.write(bands[chosen])
    heights = bands[4].astype("float32") * STEP
    # every second and third pixel by turns, 2.5 on average: a grid of half a metre
    rows, columns = (
        np.minimum((np.arange(int(side / 2.5)) * 2.5 + 1.25).astype(int), side - 1) for side in heights.shape
    )
    coarse = heights[np.ix_(rows, columns)]
    size = {"height": coarse.shape[0], "width": coarse.shape[1], "transform": profile["transform"] @ Affine.scale(2.5)}
    for name, values in (("dsm", coarse + 100), ("dtm", np.full_like(coarse, 100))):
        made[name] = folder / f"{name}.tif"
        with rasterio.open(made[name], "w", **_profile({**profile, **size}, 1, "float32")) as dataset:
            dataset.write(values, 1)
    return made


def _profile(profile, count, kind):
    kept = {key: profile[key] for key in ("width", "height", "transform", "crs")}
    return {"driver": "GTiff", "count": count, "dtype": kind, **kept}

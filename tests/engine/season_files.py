"""A tiny model with a season, and satellite images for it."""

from __future__ import annotations

import numpy as np
import rasterio
from affine import Affine

from engine.band import Band
from engine.models.season_input import SeasonInput
from engine.models.utt.design import SatelliteDesign
from tests.engine import tiny

DESIGN = SatelliteDesign((16, 16, 32), (16, 16, 32), (8,), heads=8, attention_width=32)
# 64 aerial pixels of 0.2 m are 8 satellite pixels of 1.6 m, in the middle of 16.
RATIO, PATCH, SIDE = 8, 64, 16
PIXEL = 1.6
SEASON_BANDS = ("B02", "B03", "B04")
DATES = ("20210415", "20210604", "20210714", "20210902")
CORNER = (650000.0, 6860000.0)


def season_input(**changes):
    bands = tuple(Band(name, 1000.0, 500.0, 0.0, 10000.0) for name in SEASON_BANDS)
    values = {"ground_sampling_distance": PIXEL, "side": SIDE, "design": DESIGN, "patch": PATCH, **changes}
    return SeasonInput(bands, **values)


def manifest(**changes):
    return tiny.manifest(name="seasonal", architecture="utt", season=season_input(**changes))


def network(described, seed=0):
    """Return a network in which the season decides about as much as the image."""
    import torch

    made = tiny.network(described, seed)
    with torch.no_grad():
        for module in made.satellite.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                module.running_mean.normal_(0, 0.1)
                module.weight.uniform_(0.5, 1.5)
        for part in (made.cropped, made.collapsed):
            for value in part.parameters():
                value.mul_(3)
    return made


def land(row, column, number):
    """Return the value of the ground on a date: a formula of its place in satellite pixels, far from any grid."""
    wave = np.sin(row * 0.31 + number) + np.cos(column * 0.23 - number * 0.7) + np.sin((row + column) * 0.11)
    return 1000 + 400 * wave


def write_series(folder, rows, columns, *, around=12, shift=0.0, dates=DATES, bands=SEASON_BANDS, crs="EPSG:2154"):
    """Write images whose pixels are the aerial grid's, `shift` metres to the east and south, with a margin of pixels.

    Every image shows `land` where it lies, so that images of different grids agree as far as bilinear values do.
    """
    folder.mkdir(parents=True, exist_ok=True)
    high, wide = rows // RATIO + 2 * around, columns // RATIO + 2 * around
    at_rows, at_columns = np.mgrid[:high, :wide] - around + shift / PIXEL
    placed = Affine(PIXEL, 0, CORNER[0] - around * PIXEL + shift, 0, -PIXEL, CORNER[1] + around * PIXEL - shift)
    for number, date in enumerate(dates):
        pixels = np.stack([land(at_rows, at_columns, number + 2 * band) for band in range(len(bands))])
        with rasterio.open(
            folder / f"S2_{date}.tif",
            "w",
            driver="GTiff",
            height=high,
            width=wide,
            count=len(bands),
            dtype="float32",
            crs=crs,
            transform=placed,
        ) as file:
            file.write(pixels.astype(np.float32))
            file.descriptions = bands
    return folder


def truth(made, described, image, series):
    """Return logits (K, H, W) of the enabled classes from the plain network for one patch and its series."""
    import torch

    from engine.data.time_series.series import batch_series

    def scaled(values, bands):
        mean, std = (np.array([getattr(band, name) for band in bands]) for name in ("mean", "std"))
        return ((values - mean[:, None, None]) / std[:, None, None]).astype(np.float32)

    pixels, days, valid = batch_series([series])
    pixels = torch.from_numpy(scaled(pixels.numpy(), described.season.bands))
    with torch.inference_mode():
        logits = made(torch.from_numpy(scaled(image, described.bands))[None], pixels, days, valid).logits.numpy()[0]
    return logits[[index for index, item in enumerate(described.nomenclature.classes) if not item.disabled]]

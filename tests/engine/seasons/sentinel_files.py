"""Downloads of Sentinel-2 as the operator, Theia and others lay them out, a few pixels large."""

from __future__ import annotations

import numpy as np
import rasterio
from affine import Affine

from engine.data.time_series.season_folder import SENTINEL_2

# A corner of tile T31UDQ; Lambert-93 650 000, 6 860 000 lies in it.
EAST, NORTH = 450_000, 5_411_000
SIDE = 120
COARSE = ("B05", "B06", "B07", "B8A", "B11", "B12")


def write(path, pixels, *, pixel=10, crs="EPSG:32631", corner=(EAST, NORTH), nodata=None, names=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.asarray(pixels)
    pixels = pixels[None] if pixels.ndim == 2 else pixels
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=len(pixels),
        height=pixels.shape[1],
        width=pixels.shape[2],
        dtype=pixels.dtype,
        crs=crs,
        transform=Affine(pixel, 0, corner[0], 0, -pixel, corner[1]),
        nodata=nodata,
    ) as file:
        file.write(pixels)
        if names:
            file.descriptions = names
    return path


def values(band, date, side=SIDE):
    """Return pixels that tell of band, date and place."""
    rows, columns = np.mgrid[:side, :side]
    return (1000 + 100 * SENTINEL_2.index(band) + 10 * date + rows + columns).astype(np.uint16)


def operator(folder, day, *, number=0, baseline="N0300", scene=None, lacking=(), tile="T31UDQ", corner=(EAST, NORTH)):
    """Write an unpacked L2A product; bands of 20 m hold the value of their upper left pixel of 10 m."""
    root = folder / f"S2A_MSIL2A_{day}T105031_{baseline}_R051_{tile}_{day}T140000.SAFE" / "GRANULE" / "L2A" / "IMG_DATA"
    for band in SENTINEL_2:
        if band in lacking:
            continue
        pixels = values(band, number)
        name = f"{tile}_{day}T105031_{band}"
        if band in COARSE:
            write(root / "R20m" / f"{name}_20m.tif", pixels[::2, ::2], pixel=20, corner=corner)
        else:
            write(root / "R10m" / f"{name}_10m.tif", pixels, corner=corner)
            write(root / "R20m" / f"{name}_20m.tif", pixels[::2, ::2] * 0 + 7, pixel=20, corner=corner)
    write(root / "R10m" / f"{tile}_{day}T105031_TCI_10m.tif", np.ones((3, SIDE, SIDE), np.uint8), corner=corner)
    if scene is not None:
        write(root / "R20m" / f"{tile}_{day}T105031_SCL_20m.tif", scene, pixel=20, corner=corner)
    return root


def theia(folder, day, *, cloud=None):
    name = f"SENTINEL2A_{day}-105637-498_L2A_T31UDQ_C_V2-2"
    for band in SENTINEL_2:
        short = band.replace("B0", "B")
        pixels = values(band, 0).astype(np.int16)
        step = 2 if band in COARSE else 1
        write(folder / name / f"{name}_FRE_{short}.tif", pixels[::step, ::step], pixel=10 * step, nodata=-10000)
        write(folder / name / f"{name}_SRE_{short}.tif", pixels[::step, ::step] * 0 + 3, pixel=10 * step)
    if cloud is not None:
        write(folder / name / "MASKS" / f"{name}_CLM_R1.tif", cloud)


def stack(folder, name, *, bands=SENTINEL_2, dtype=np.uint16, scale=1.0, names=None, **options):
    pixels = np.stack([values(band, 0) for band in bands]) * scale
    write(folder / name, pixels.astype(dtype), names=names, **options)

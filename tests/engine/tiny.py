"""Small models and images that tests make themselves."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from engine.band import Band
from engine.models.manifest import Manifest
from engine.nomenclature import LandCoverClass, Nomenclature

ROOT = Path(__file__).resolve().parents[2]
# Codes are not channel numbers plus one, and a class in the middle is disabled: a mix-up of any of them shows.
TINY_CLASSES = Nomenclature(
    "tiny",
    (
        LandCoverClass(7, "roof", "#ff0000"),
        LandCoverClass(3, "grass", "#00ff00"),
        LandCoverClass(250, "never", "#123456", disabled=True),
        LandCoverClass(5, "water", "#0000ff"),
        LandCoverClass(1, "road", "#888888"),
    ),
)
STATISTICS = {
    "red": (105.08, 52.17),
    "green": (110.87, 45.38),
    "blue": (101.82, 44.0),
    "infrared": (106.38, 39.69),
    "elevation": (53.26, 79.3),
}


def manifest(name="tiny", architecture="unet", encoder="mobilenet_v2", bands=("red", "green", "blue"), **changes):
    values = {
        "name": name,
        "architecture": architecture,
        "encoder": encoder,
        "bands": tuple(Band(band, *STATISTICS[band]) for band in bands),
        "nomenclature": TINY_CLASSES,
    }
    return Manifest(**{**values, **changes})


def network(described, seed=0):
    """Return the untrained network of a manifest with weights that make classes of different places win."""
    import torch

    from engine.models.architecture import network_of

    torch.manual_seed(seed)
    made = network_of(described)
    with torch.no_grad():
        for module in made.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.2)
    return made.eval()


def smooth(bands, height, width, seed=0, dtype="uint8", low=20.0, high=235.0):
    """Return a smooth random image (bands, height, width), as aerial images are."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    image = np.zeros((bands, height, width))
    for band in range(bands):
        for _ in range(6):
            a, b, phase = generator.uniform((0.01, 0.01, 0.0), (0.15, 0.15, 6.28))
            image[band] += np.sin(a * rows + b * columns + phase)
    image += generator.normal(0, 0.3, image.shape)
    image = (image - image.min()) / max(float(image.max() - image.min()), 1e-9)
    return (low + image * (high - low)).astype(dtype)


def write(path, array, *, crs="EPSG:2154", transform=None, pixel=0.2, **options):
    """Write (bands, height, width) as GeoTIFF, 0.2 m north-up unless told otherwise; returns the path as text."""
    array = np.asarray(array)
    mask = options.pop("mask", None)
    interpretation = options.pop("interpretation", None)
    transform = transform or Affine(pixel, 0, 650000.0, 0, -pixel, 6860000.0)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=array.shape[0],
        height=array.shape[1],
        width=array.shape[2],
        dtype=array.dtype,
        crs=crs,
        transform=transform,
        **options,
    ) as dataset:
        dataset.write(array)
        if interpretation:
            dataset.colorinterp = [rasterio.enums.ColorInterp[kind] for kind in interpretation]
        if mask is not None:
            dataset.write_mask(mask)
    return str(path)


def read(path, band=1):
    with rasterio.open(path) as dataset:
        return dataset.read(band)


def mirrored(image, more_rows, more_columns):
    """Return (bands, height, width) with pixels mirrored beyond the lower and right edge, about the last pixel."""
    return np.pad(image, [(0, 0), (0, more_rows), (0, more_columns)], mode="reflect")


def truth(made, described, image):
    """Return logits (K, H, W) of the enabled classes from the plain network, without any of the engine's inference.

    The image (bands, height, width) is mirrored to a multiple of 32, as the engine does beyond an edge.
    """
    import torch

    bands, height, width = image.shape
    padded = mirrored(image, -height % 32, -width % 32).astype(np.float32)
    mean = np.array([band.mean for band in described.bands], dtype=np.float32).reshape(bands, 1, 1)
    std = np.array([band.std for band in described.bands], dtype=np.float32).reshape(bands, 1, 1)
    with torch.inference_mode():
        logits = made(torch.from_numpy((padded - mean) / std)[None]).numpy()[0]
    keep = [index for index, item in enumerate(described.nomenclature.classes) if not item.disabled]
    return logits[keep][:, :height, :width]


def codes_of(logits, nomenclature=TINY_CLASSES):
    codes = np.array([item.code for item in nomenclature.classes if not item.disabled], dtype=np.uint8)
    return codes[logits.argmax(0)]


def softmax(logits):
    shifted = np.exp(logits - logits.max(0))
    return shifted / shifted.sum(0)


def header_only(path, described, extra=b""):
    """Write a model file that describes itself and holds no tensors: enough for all that happens before torch."""
    import json

    header = json.dumps({"__metadata__": {"flair_manifest": described.to_json()}}).encode()
    Path(path).write_bytes(struct.pack("<Q", len(header)) + header + extra)
    return str(path)


def engine_environment(**changes):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    environment.update({key: str(value) for key, value in changes.items()})
    return environment


def engine(*arguments, timeout=60, **options):
    """Run `python -m engine` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "engine", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=engine_environment(),
        **options,
    )

"""The published way of classifying a raster, written afresh from its description, as a baseline.

Windows of 512 pixels with a margin of 128 on every side, batches of 4 through a
DataLoader with 2 workers, normalisation in float64 patch by patch, eager
float32, the softmax of all classes copied back and its argmax taken on the CPU,
results written 256 x 256 pixels at a time into compressed blocks of 512.

    python benchmarks/published_way.py --model M.safetensors --input I.tif --output O.tif [--device cpu]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import rasterio
import torch
from rasterio.windows import Window
from torch.utils.data import DataLoader, Dataset

from engine.models.checkpoint import load_network
from engine.models.resolve import resolve_model

SIDE = 512
MARGIN = 128
STEP = SIDE - 2 * MARGIN
BATCH = 4
WORKERS = 2


class Patches(Dataset):
    """Normalised patches of a raster, zeros beyond its edge."""

    def __init__(self, path: str, offsets: list[tuple[int, int]], mean: list[float], std: list[float]) -> None:
        self.path = path
        self.offsets = offsets
        self.mean = np.array(mean, dtype=np.float64)
        self.std = np.array(std, dtype=np.float64)
        self.raster = None

    def __len__(self) -> int:
        return len(self.offsets)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        if self.raster is None:
            self.raster = rasterio.open(self.path)
        row, column = self.offsets[index]
        window = Window(column - MARGIN, row - MARGIN, SIDE, SIDE)
        values = self.raster.read(window=window, boundless=True, fill_value=0).astype(np.float64)
        for band in range(len(values)):
            values[band] = (values[band] - self.mean[band]) / self.std[band]
        return torch.as_tensor(values, dtype=torch.float), index


def classify(model: str, image: str, output: str, device: str) -> int:
    """Classify a raster and return the number of pixels computed."""
    resolved = resolve_model(model)
    network = load_network(resolved.path, resolved.manifest).to(device)
    bands = resolved.manifest.bands
    with rasterio.open(image) as source:
        profile = {
            "driver": "GTiff",
            "width": source.width,
            "height": source.height,
            "count": 1,
            "dtype": "uint8",
            "crs": source.crs,
            "transform": source.transform,
            "tiled": True,
            "blockxsize": SIDE,
            "blockysize": SIDE,
            "compress": "lzw",
        }
        height, width = source.shape
    offsets = [(row, column) for row in range(0, height, STEP) for column in range(0, width, STEP)]
    patches = Patches(image, offsets, [band.mean for band in bands], [band.std for band in bands])
    loader = DataLoader(patches, batch_size=BATCH, num_workers=WORKERS)
    with rasterio.open(output, "w", **profile) as target, torch.no_grad():
        for batch, indices in loader:
            logits = network(batch.to(device))
            probabilities = torch.softmax(logits, dim=1).cpu().numpy()
            for probability, index in zip(probabilities, indices.tolist(), strict=True):
                row, column = offsets[index]
                codes = probability.argmax(axis=0).astype(np.uint8)[MARGIN:-MARGIN, MARGIN:-MARGIN]
                codes = codes[: height - row, : width - column]
                target.write(codes, 1, window=Window(column, row, codes.shape[1], codes.shape[0]))
    return len(offsets) * SIDE * SIDE


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--input", required=True)
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    print(f"computed {classify(options.model, options.input, str(options.output), options.device)}")

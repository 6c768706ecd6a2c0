"""Speed of training beside the bare step of the same network.

    python benchmarks/train.py [--device cpu] [--write docs/performance.md]

A data set of 512 x 512 pixels and 5 bands on disk, U-Net with ResNet-34, preset flair-inc (flips, quarter turns), four
patches a step. Ours is `python -m engine train` with all that it does; counted are the batches of the second epoch, so
that loading the libraries and the validation stand apart. All figures are from one run on one machine, so only their
ratio means anything elsewhere.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import rasterio
from bare_training import ARCHITECTURE, BANDS, BATCH, ENCODER, PATCH
from measured_run import Measured, print_table, run_engine, run_script
from rasterio.transform import from_origin

BEGIN = "<!-- benchmark: train -->"
END = "<!-- end -->"
BATCHES = 8
NAMES = ("red", "green", "blue", "infrared", "elevation")


def write_dataset(folder: Path, patches: int) -> None:
    """Write patches of coloured squares with grain, whose classes are the squares, and their lists."""
    random = np.random.default_rng(0)
    lists: dict[str, list[str]] = {"train": [], "val": []}
    profile = {"driver": "GTiff", "width": PATCH, "height": PATCH, "dtype": "uint8", "crs": "EPSG:2154"}
    for number in range(patches + BATCH):
        codes = np.kron(random.integers(1, 13, (16, 16)), np.ones((32, 32))).astype(np.uint8)
        image = (codes * 15 + random.integers(-20, 21, (BANDS, PATCH, PATCH))).clip(0, 255).astype(np.uint8)
        transform = from_origin(900_000 + number * 102.4, 6_500_000, 0.2, 0.2)
        names = (f"IMG_{number:06d}.tif", f"MSK_{number:06d}.tif")
        for name, array in zip(names, (image, codes[np.newaxis]), strict=True):
            with rasterio.open(
                folder / name, "w", **profile, count=len(array), transform=transform, tiled=True, compress="deflate"
            ) as file:
                file.write(array)
                if len(array) == BANDS:
                    file.descriptions = NAMES
        lists["train" if number < patches else "val"].append(",".join(names) + "\n")
    for split, lines in lists.items():
        (folder / f"{split}.csv").write_text("".join(lines), encoding="utf-8")


def rate_of(run: Measured) -> float:
    """Return the patches per second between the first and the last batch of the second epoch."""
    times = [at for at, event in run.events if event["event"] == "progress" and "Epoch 2 of 2, batch" in event["text"]]
    return BATCH * (len(times) - 1) / (times[-1] - times[0])


def table(device: str, folder: Path) -> Iterator[str]:
    """Run everything and yield the lines of the table."""
    write_dataset(folder, BATCH * BATCHES)
    yield f"{platform.machine()}, {device}; {PATCH} x {PATCH} pixels, {BANDS} bands, {ARCHITECTURE} with {ENCODER}."
    yield ""
    yield "| precision | ours, patches/s | bare step, patches/s | ratio | peak memory, GB |"
    yield "|---|---|---|---|---|"
    for precision in ("exact", "half"):

        def bare(precision: str = precision) -> float:
            arguments = ["--device", device, "--precision", precision, "--batches", str(BATCHES)]
            return float(run_script("bare_training.py", arguments, folder / "cache").output.split()[-1])

        before = bare()
        options = {"data": str(folder), "output": str(folder / "model.safetensors"), "preset": "flair-inc"}
        options |= {"architecture": ARCHITECTURE, "encoder": ENCODER, "encoder_weights": "none", "batch_size": BATCH}
        run = run_engine(
            "train",
            {**options, "epochs": 2, "device": device, "precision": precision, "overwrite": True, "resume": False},
            folder / "cache",
        )
        reference = (before + bare()) / 2
        ours = rate_of(run)
        yield f"| {precision} | {ours:.2f} | {reference:.2f} | {ours / reference:.2f} | {run.peak_gb:.1f} |"


def main() -> None:
    """Print the table, and put it into a document on request."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--write", type=Path, help="document whose marked part is replaced")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print_table(table(options.device, Path(folder)), options.write, BEGIN, END)


if __name__ == "__main__":
    main()

"""The bare forward pass: the same network on the same windows, nothing read, nothing written.

    python benchmarks/bare_forward.py --model M.safetensors --size 4096 [--precision exact|int8] [--device cpu]

Prints the megapixels computed per second and the pixels of the plan.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from engine.events import ConsoleReporter
from engine.inference.classification_job import MARGIN
from engine.inference.load import load_predictor
from engine.inference.memory import LARGEST_CPU_WINDOW, LARGEST_GPU_WINDOW
from engine.models.resolve import resolve_model
from engine.rasters.model_grid import ModelGrid
from engine.rasters.plan import plan_tiles
from engine.rasters.windows import PixelWindow

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    model = resolve_model(options.model)
    largest = LARGEST_CPU_WINDOW if options.device == "cpu" else LARGEST_GPU_WINDOW
    area = PixelWindow(0, 0, options.size, options.size)
    plan = plan_tiles(ModelGrid(options.size, options.size, 1.0, 1.0), area, MARGIN, largest)
    noise = np.random.default_rng(0).integers(0, 256, (3, len(model.manifest.bands), 512, 512), dtype=np.uint8)
    predictor = load_predictor(
        model,
        options.device,
        options.precision,
        "codes",
        [image[np.newaxis] for image in noise],
        pixels=area.pixels,
        threads=None,
        reporter=ConsoleReporter(),
    ).predictor
    shape = (1, len(model.manifest.bands), plan.rows.size, plan.columns.size)
    window = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    predictor.predict(window)
    began = time.monotonic()
    for _ in range(len(plan)):
        predictor.predict(window)
    seconds = time.monotonic() - began
    print(f"rate {plan.computed_pixels / seconds / 1e6:.4f} pixels {plan.computed_pixels} seconds {seconds:.2f}")

"""How much faster two processes learn than one, each with one thread.

    python benchmarks/together.py [--processes 2] [--rounds 3]

U-Net with ResNet-18, the same batch over all: one process learns from eight patches a step, two from four each.
Counted are the batches of the second epoch. The runs take turns, so that what else the machine does meets both; only
their ratio means anything elsewhere, and it needs as many free cores as there are processes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from bare_training import ARCHITECTURE
from measured_run import run_engine
from train import BATCHES, write_dataset

BATCH, CROP = 8, 128


def rate_of(folder: Path, devices: int) -> float:
    """Return the patches learnt from per second in the second epoch."""
    options = {"data": str(folder), "output": str(folder / "model.safetensors"), "preset": "flair-inc"}
    options |= {"architecture": ARCHITECTURE, "encoder": "resnet18", "encoder_weights": "none", "batch_size": BATCH}
    options |= {"crop": CROP, "precision": "exact", "device": "cpu", "threads": 1, "devices": devices, "epochs": 2}
    run = run_engine("train", {**options, "overwrite": True, "resume": False}, folder / "cache")
    times = [at for at, event in run.events if event["event"] == "progress" and "Epoch 2 of 2, batch" in event["text"]]
    return BATCH * (len(times) - 1) / (times[-1] - times[0])


def main() -> None:
    """Print a line a round and the median of the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    ratios = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_dataset(folder, BATCH * BATCHES)
        print(f"| 1 process, patches/s | {options.processes} processes, patches/s | speed-up |")
        print("|---|---|---|")
        for _ in range(options.rounds):
            one, several = rate_of(folder, 1), rate_of(folder, options.processes)
            ratios.append(several / one)
            print(f"| {one:.2f} | {several:.2f} | {ratios[-1]:.2f} |", flush=True)
    print(f"\nMedian speed-up: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()

"""Speed of several worker processes on one computer against one process, each computing on one thread.

    python benchmarks/cluster.py [--side 4096] [--workers 2 4] [--write docs/performance.md]

A U-Net with ResNet-34 on 5 bands; all maps are compared to the byte. What is gained depends on the cores that are free
and on the memory's speed, so only the ratios mean anything, and those on this computer alone.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from classify import MODEL, write_image
from measured_run import print_table, run_engine

from engine.models.architecture import network_of
from engine.models.catalogue import find_entry
from engine.models.model_file import save_model

BEGIN = "<!-- benchmark: cluster -->"
END = "<!-- end -->"


def table(side: int, counts: Sequence[int], folder: Path) -> Iterator[str]:
    """Run everything and yield the lines of the table."""
    image, model, cache = folder / "image.tif", folder / "model.safetensors", folder / "cache"
    write_image(image, side)
    manifest = find_entry(MODEL).manifest
    save_model(model, network_of(manifest), manifest)
    options = {"model": str(model), "input": [str(image)], "device": "cpu", "threads": 1, "window": 512}
    # The graph is made once.
    first = folder / "first.tif"
    run_engine("classify", {**options, "output": str(first), "extent": "900000,900100,6499900,6500000"}, cache)
    yield f"{platform.machine()}, {os.cpu_count()} cores; {side} x {side} pixels, 5 bands, U-Net with ResNet-34."
    yield ""
    yield "| | seconds | speed-up | peak memory, GB | same map |"
    yield "|---|---|---|---|---|"
    alone = folder / "alone.tif"
    before = run_engine("classify", {**options, "output": str(alone)}, cache)
    yield f"| one process | {before.seconds:.1f} | 1.00 | {before.peak_gb:.2f} | |"
    for count in counts:
        output = folder / f"{count}.tif"
        run = run_engine("classify", {**options, "output": str(output), "workers": count}, cache)
        same = "yes" if output.read_bytes() == alone.read_bytes() else "NO"
        ratio = before.seconds / run.seconds
        yield f"| {count} workers | {run.seconds:.1f} | {ratio:.2f} | {run.peak_gb:.2f} | {same} |"


def main() -> None:
    """Print the table, and put it into a document on request."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--write", type=Path, help="document whose marked part is replaced")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print_table(table(options.side, options.workers, Path(folder)), options.write, BEGIN, END)


if __name__ == "__main__":
    main()

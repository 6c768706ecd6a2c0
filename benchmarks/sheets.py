"""Time and memory of a mosaic of many small files that becomes as many sheets.

    python benchmarks/sheets.py [--side 100] [--pixels 100]

A square of `side` x `side` files of `pixels` x `pixels` pixels, a small untrained
network, and sheets of the same size. The second line is the run that goes on
after a kill -9 of the first half-way; the last is a quarter of the files, for
memory that must not grow with them.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess  # nosec B404
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
from measured_run import ROOT, run_engine
from rasterio.io import MemoryFile
from rasterio.transform import from_origin

from engine.models.architecture import network_of
from engine.models.catalogue import find_entry
from engine.models.model_file import save_model

MODEL = "FLAIR-INC_rgb_15cl_resnet34-unet"
PIXEL = 0.2


def write_tiles(folder: Path, side: int, pixels: int) -> None:
    """Write the files."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for row in range(side):
        for column in range(side):
            x, y = 650_000 + column * pixels * PIXEL, 6_862_000 - row * pixels * PIXEL
            with MemoryFile() as memory:
                with memory.open(
                    driver="GTiff",
                    width=pixels,
                    height=pixels,
                    count=3,
                    dtype="uint8",
                    crs="EPSG:2154",
                    transform=from_origin(x, y, PIXEL, PIXEL),
                    photometric="RGB",
                ) as file:
                    file.write(random.integers(30, 226, (3, pixels, pixels), dtype=np.uint8))
                (folder / f"tile_{row:04d}_{column:04d}.tif").write_bytes(memory.getbuffer())


def kill_half_way(options: dict[str, object], cache: Path, sheets: int) -> float:
    """Start a run, kill it when half of its sheets are finished, and return its seconds."""
    began = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "FLAIR_CACHE_DIR": str(cache)}
    process = subprocess.Popen(  # nosec B603 - our own program
        [sys.executable, "-m", "engine", "--request"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    if process.stdin is None:
        raise RuntimeError("no pipe")
    process.stdin.write(json.dumps({"command": "classify", "options": options}) + "\n")
    process.stdin.flush()
    output = Path(str(options["output"]))
    journal = output.with_name(f".{output.name}.flair-work") / "sheets.jsonl"
    while process.poll() is None:
        time.sleep(0.5)
        if journal.is_file() and journal.read_bytes().count(b"\n") > sheets // 2:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return time.monotonic() - began
    raise SystemExit("the run ended before it could be killed")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=100, help="files on a side")
    parser.add_argument("--pixels", type=int, default=100, help="pixels on a side of a file")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, cache = Path(name), Path(name) / "cache"
        manifest = replace(find_entry(MODEL).manifest, encoder="mobilenet_v2")
        model = folder / "model.safetensors"
        save_model(model, network_of(manifest), manifest)
        print("| run | files | sheets | seconds | first tile after, s | peak memory, GB |\n|---|---|---|---|---|---|")
        for side, what in ((given.side, "killed half-way"), (given.side // 2, "")):
            tiles = folder / f"tiles_{side}"
            write_tiles(tiles, side, given.pixels)
            options: dict[str, object] = {
                "model": str(model),
                "input": [str(tiles)],
                "output": str(folder / f"map_{side}.vrt"),
                "layout": "sheets",
                "sheet_size": given.pixels * PIXEL,
                "window": 768,
                "allow_range": True,
                "allow_scale": True,
            }
            if what:
                seconds = kill_half_way(options, cache, side * side)
                print(f"| {what} | {side * side} | {side * side // 2} | {seconds:.0f} | | |", flush=True)
            run = run_engine("classify", options, cache)
            # In a run that goes on, all tiles may be there.
            first = [at for at, event in run.events if "Mpx/s" in event.get("text", "")]
            print(
                f"| {'goes on' if what else 'whole'} | {side * side} | {run.result['sheets']} | {run.seconds:.0f} | "
                f"{f'{first[0]:.0f}' if first else ''} | {run.peak_gb:.2f} |",
                flush=True,
            )
            with rasterio.open(str(options["output"])) as mosaic:
                if mosaic.shape != (side * given.pixels,) * 2:
                    raise SystemExit(f"the mosaic has {mosaic.shape} pixels")


if __name__ == "__main__":
    main()

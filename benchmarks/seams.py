"""How much context a window needs: pixels that change with the cut, for several margins.

    python benchmarks/seams.py --model M.safetensors --input I.tif [--side 2048]

A part of the image is predicted whole, then cut into small tiles with each
margin; the table gives the share of pixels whose class differs.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
from pathlib import Path

import rasterio

from engine.commands.classify import run
from engine.events import ConsoleReporter
from engine.requests import ClassifyRequest

MARGINS = (0, 32, 64, 96, 128, 192)
TILE = 256


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--input", required=True, nargs="+")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "classes.tif"

        def classify(window: int, margin: int) -> object:
            values = {"model": options.model, "input": options.input, "output": str(output), "device": options.device}
            request = ClassifyRequest(**values, window=window, margin=margin, memory=12, overwrite=True)
            run(request, ConsoleReporter(), threading.Event())
            with rasterio.open(output) as raster:
                return raster.read(1)

        whole = classify(8192, 64)
        print(f"| margin, px | pixels changed with tiles of {TILE} |\n|---|---|")
        for margin in MARGINS:
            print(f"| {margin} | {(classify(TILE, margin) != whole).mean():.3%} |", flush=True)


if __name__ == "__main__":
    main()

"""What `plan` predicts, beside what the run then takes.

    python benchmarks/planning.py [--sides 3000 6000] [--seconds 15] [--write docs/performance.md]

The plan is made twice: from the size of the area alone, and from the image itself. The run follows at once, since a
machine that is shared may be slower a minute later.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measured_run import print_table, run_engine

from engine.data.sample_scene import write_sample_scene
from engine.models.architecture import network_of
from engine.models.catalogue import find_entry
from engine.models.model_file import save_model

MODEL = "FLAIR-INC_rgbie_15cl_resnet34-unet"

BEGIN = "<!-- benchmark: planning -->"
END = "<!-- end -->"
PIXEL = 0.2


def planned(options: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return what `plan` says."""
    plan: dict[str, Any] = run_engine("plan", options, folder).result["plan"]
    return plan


def line_of(side: int, how: str, plan: dict[str, Any], seconds: float, size: int) -> str:
    """Return a line of the table."""
    return (
        f"| {side:,} x {side:,} | {how} | {plan['tiles']} | {plan['total_seconds']:.1f} s | {seconds:.1f} s | "
        f"{plan['total_seconds'] / seconds:.2f} | {plan['output_bytes'] / 1e6:.2f} MB | {size / 1e6:.2f} MB |"
    )


def compare(sides: list[int], seconds: float, folder: Path) -> Iterator[str]:
    """Yield the lines of the table."""
    manifest = find_entry(MODEL).manifest
    model = folder / "model.safetensors"
    save_model(model, network_of(manifest), manifest)
    yield f"{platform.processor() or platform.machine()}, Python {platform.python_version()}"
    yield ""
    yield "| pixels | planned from | tiles | predicted | real | ratio | output predicted | output real |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|"
    shared = {"model": str(model), "device": "cpu", "seconds": seconds}
    # The first run with a model prepares it, which is no part of any later one.
    planned({**shared, "square_kilometres": 0.1, "seconds": 1}, folder)
    for side in sides:
        image = write_sample_scene(folder / str(side), width=side, height=side).image
        area = planned({**shared, "square_kilometres": (side * PIXEL / 1000) ** 2}, folder)
        exact = planned({**shared, "input": [str(image)]}, folder)
        output = folder / "map.tif"
        run = run_engine(
            "classify",
            {"model": str(model), "device": "cpu", "input": [str(image)], "output": str(output), "overwrite": True},
            folder,
        )
        yield line_of(side, "the area's size", area, run.seconds, output.stat().st_size)
        yield line_of(side, "the image", exact, run.seconds, output.stat().st_size)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="+", default=[3000, 6000])
    parser.add_argument("--seconds", type=float, default=15.0, help="time of each calibration")
    parser.add_argument("--write", type=Path, help="document to put the table into")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print_table(compare(options.sides, options.seconds, Path(folder)), options.write, BEGIN, END)


if __name__ == "__main__":
    main()

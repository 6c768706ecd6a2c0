"""Makes what the tests share: scenes, models that were really trained, and their cached graphs.

Run in a process of its own, so that torch does not stay in the memory of the tests, with `FLAIR_CACHE_DIR` set:
`python -m tests.end_to_end.make_material scene FOLDER` or `... train IMAGE LABELS OUTPUT STEPS`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from engine.cancellation import Cancellation
from engine.commands import extract_patches
from engine.commands import train as training
from engine.data.sample_scene import write_sample_scene
from engine.events import ConsoleReporter
from engine.inference.graph import export_graph
from engine.models.resolve import resolve_model
from engine.requests import parse_request

SIZE = (768, 512)
EPOCHS, BATCH = 3, 4


def make_scene(folder: Path) -> None:
    scene = write_sample_scene(folder / "scene", width=SIZE[0], height=SIZE[1], seed=5)
    train(scene.image, scene.labels, folder / "small.safetensors", 70)


def train(image: Path, labels: Path, output: Path, steps: int) -> None:
    folder = output.with_name(f"{output.stem}_patches")
    cut = {"image": str(image), "labels": str(labels), "output": str(folder), "patch_size": 128, "test_share": 0}
    reporter = ConsoleReporter()
    patches = extract_patches.run(parse_request("extract-patches", cut), reporter, Cancellation())["patches"]["train"]
    choices = {"data": str(folder), "output": str(output), "preset": "quick", "crop": 128, "epochs": EPOCHS}
    choices["repeats"] = max(1, round(steps * BATCH / EPOCHS / patches))
    training.run(parse_request("train", {**choices, "batch_size": BATCH}), reporter, Cancellation())
    export_graph(resolve_model(str(output), None), reporter)


if __name__ == "__main__":
    if sys.argv[1] == "scene":
        make_scene(Path(sys.argv[2]))
    else:
        train(Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]), int(sys.argv[5]))

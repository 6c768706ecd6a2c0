"""Makes what the tests share: a scene, a model that was really trained on it, and the model's cached graph.

Run in a process of its own, so that torch does not stay in the memory of the tests:
`python -m tests.end_to_end.make_material FOLDER`, with `FLAIR_CACHE_DIR` set.
"""

from __future__ import annotations

import sys
from pathlib import Path

from engine.data.sample_scene import write_sample_scene
from engine.events import ConsoleReporter
from engine.inference.graph import export_graph
from engine.models.resolve import resolve_model
from engine.training.simple import train_simple

SIZE = (768, 512)


def main(folder: Path) -> None:
    scene = write_sample_scene(folder / "scene", width=SIZE[0], height=SIZE[1], seed=5)
    model = folder / "small.safetensors"
    train_simple(scene.image, scene.labels, model, encoder="resnet18", steps=70, batch_size=4, crop=128)
    export_graph(resolve_model(str(model), None), ConsoleReporter())


if __name__ == "__main__":
    main(Path(sys.argv[1]))

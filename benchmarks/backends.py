"""Which library predicts fastest on this CPU: torch, ONNX Runtime or OpenVINO, on the same network and window.

    python benchmarks/backends.py [--side 1152] [--repeats 3]

ONNX Runtime is no dependency of the project; its rows are printed where `onnxruntime` and `onnx` are installed.
Rates are megapixels a second; agreement is the share of pixels with torch's class.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from engine.events import ConsoleReporter
from engine.inference.deployed_network import DeployedNetwork
from engine.inference.graph import export_graph
from engine.inference.openvino_predictor import OpenVinoPredictor
from engine.inference.quantise import quantise
from engine.models.catalogue import find_entry
from engine.models.checkpoint import load_network
from engine.models.model_file import save_model
from engine.models.resolve import resolve_model

MODEL = "FLAIR-INC_rgbie_15cl_resnet34-unet"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=1152)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", help="model file; default: the 5-band U-Net with random weights")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FLAIR_CACHE_DIR"] = folder
        path = Path(options.model) if options.model else Path(folder) / "model.safetensors"
        if not options.model:
            manifest = find_entry(MODEL).manifest
            from engine.models.architecture import network_of

            save_model(path, network_of(manifest), manifest)
        compare(path, options.side, options.repeats, Path(folder))


def compare(path: Path, side: int, repeats: int, folder: Path) -> None:
    """Time each library and print its row."""
    model = resolve_model(str(path))
    network = DeployedNetwork(load_network(model.path, model.manifest), model.manifest).eval()
    codes = np.array([item.code for item in model.manifest.nomenclature.enabled], dtype=np.uint8)
    shape = (1, len(model.manifest.bands), side, side)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    expected: list[np.ndarray] = []

    def row(label: str, predict: Callable[[], np.ndarray]) -> None:
        found = predict()
        expected[:] = expected or [found]
        began = time.monotonic()
        for _ in range(repeats):
            predict()
        rate = repeats * side * side / (time.monotonic() - began) / 1e6
        print(f"| {label} | {rate:.2f} | {(found == expected[0]).mean():.4%} |", flush=True)

    @torch.inference_mode()
    def in_torch() -> np.ndarray:
        return codes[network(torch.from_numpy(images).float()).argmax(1).numpy()]

    print("| | Mpx/s | agreement |\n|---|---|---|")
    row("torch, eager", in_torch)
    network.to(memory_format=torch.channels_last)
    row("torch, channels last", in_torch)
    if importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("onnx"):
        row("ONNX Runtime", _onnx_runtime(network, images, codes, folder))
    graph = export_graph(model, ConsoleReporter())
    nomenclature = model.manifest.nomenclature
    for precision in ("exact", "half"):
        predictor = OpenVinoPredictor(graph.path, nomenclature, precision=precision)
        row(f"OpenVINO, {precision}", lambda predictor=predictor: predictor.predict(images).codes)
    samples = [images[:, :, start : start + 512, :512] for start in range(0, max(1, side - 511), 128)]
    quantised = OpenVinoPredictor(quantise(graph, samples, ConsoleReporter()), nomenclature, precision="int8")
    row("OpenVINO, int8", lambda: quantised.predict(images).codes)


def _onnx_runtime(
    network: torch.nn.Module, images: np.ndarray, codes: np.ndarray, folder: Path
) -> Callable[[], np.ndarray]:
    import onnxruntime

    target = str(folder / "model.onnx")
    floats = images.astype(np.float32)
    torch.onnx.export(network, (torch.from_numpy(floats),), target, input_names=["images"], dynamo=False)
    session = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"])
    return lambda: codes[session.run(None, {"images": floats})[0].argmax(1)]


if __name__ == "__main__":
    main()

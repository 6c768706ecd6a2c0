"""Exported graphs for the CPU: made once per model with torch, used afterwards without it.

OpenVINO was chosen on evidence: `benchmarks/backends.py` prints its rate and
memory beside those of torch and ONNX Runtime on the same network.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.cache import cache_folder, staged_folder
from engine.errors import ModelError
from engine.events import Reporter
from engine.models.manifest import Manifest
from engine.models.resolve import ResolvedModel

if TYPE_CHECKING:
    import openvino

# Raise when the exported graph changes for the same model.
GRAPH_VERSION = 1
SELF_TEST_SIDE = 256
# Another shape than the traced one: a trace can hold sizes where it should compute them.
OTHER_ROWS, OTHER_COLUMNS = 96, 160
MEASURED_SIDE = 1024
# Agreement in float32 is limited by the order of additions; a wrong graph is off by far more.
SELF_TEST_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Graph:
    """An exported graph: (N, C, H, W) float32 raw values to (N, K, H, W) logits of the enabled classes.

    Args:
        path: OpenVINO model file; its weights lie beside it.
        bytes_per_pixel: Working memory per pixel of a window, measured at export.
        key: Identifies model, export and library version.
    """

    path: Path
    bytes_per_pixel: float
    key: str


def graph_key(model: ResolvedModel) -> str:
    """Return what identifies a model's graph: weights, manifest, export and library version."""
    from importlib.metadata import version

    text = f"{GRAPH_VERSION} {version('openvino')} {model.sha256} {model.manifest.to_json()}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def cached_graph(model: ResolvedModel) -> Graph | None:
    """Return the graph of an earlier run, or None."""
    key = graph_key(model)
    folder = cache_folder() / "graphs" / key
    try:
        values = json.loads((folder / "graph.json").read_text(encoding="utf-8"))
        graph = Graph(folder / "graph.xml", float(values["bytes_per_pixel"]), key)
        complete = graph.path.with_suffix(".bin").stat().st_size == values["weights_bytes"]
    except (OSError, ValueError, KeyError):
        return None
    return graph if complete and graph.path.is_file() else None


def export_graph(model: ResolvedModel, reporter: Reporter) -> Graph:
    """Export a model's graph, check it against torch, and keep it.

    Raises:
        ModelError: The weights do not fit, or the graph answers differently from torch.
        OutputError: The cache cannot be written.
    """
    reporter.log("Preparing the model for this computer (once per model).")
    import openvino as ov
    import torch

    from engine.inference.deployed_network import DeployedNetwork
    from engine.models.checkpoint import load_network

    network = DeployedNetwork(load_network(model.path, model.manifest), model.manifest).eval()
    images = _self_test_images(model.manifest, SELF_TEST_SIDE, SELF_TEST_SIDE)
    others = _self_test_images(model.manifest, OTHER_ROWS, OTHER_COLUMNS)
    with torch.inference_mode(), warnings.catch_warnings():
        expected, expected_others = (network(torch.from_numpy(item)).numpy() for item in (images, others))
        # The self-tests below replace the check of the trace, which takes nearly half the time, and its warnings.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(network, torch.from_numpy(images), check_trace=False)  # type: ignore[no-untyped-call]
    exported = ov.convert_model(traced, example_input=torch.from_numpy(images))
    exported.reshape({exported.input(0): [-1, len(model.manifest.bands), -1, -1]})
    bytes_per_pixel = _self_test(exported, images, expected, model.manifest.name)
    _check_other_shape(exported, others, expected_others)

    target = cache_folder() / "graphs" / graph_key(model)
    if cached_graph(model) is None:
        # What lies there is damaged, and would stay.
        shutil.rmtree(target, ignore_errors=True)
    with staged_folder(target) as folder:
        ov.save_model(exported, folder / "graph.xml", compress_to_fp16=False)
        values = {
            "model": model.manifest.name,
            "bytes_per_pixel": bytes_per_pixel,
            "weights_bytes": (folder / "graph.bin").stat().st_size,
        }
        (folder / "graph.json").write_text(json.dumps(values), encoding="utf-8")
    graph = cached_graph(model)
    if graph is None:
        raise ModelError(f"The exported graph of '{model.manifest.name}' cannot be read back from '{target}'.")
    return graph


def _self_test_images(manifest: Manifest, rows: int, columns: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    noise = np.random.default_rng(0).standard_normal((1, len(manifest.bands), rows, columns))
    mean = np.array([band.mean for band in manifest.bands]).reshape(1, -1, 1, 1)
    std = np.array([band.std for band in manifest.bands]).reshape(1, -1, 1, 1)
    return np.asarray(noise * std + mean, dtype=np.float32)


def _self_test(
    exported: openvino.Model,
    images: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    expected: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    name: str,
) -> float:
    """Compare with torch's answer; return the working memory per pixel of a window in bytes."""
    if not np.isfinite(expected).all():
        raise ModelError(f"The model '{name}' answers with values that are not finite.", "Get the file again.")
    deviation = _deviation(exported, images, expected)
    if not deviation <= SELF_TEST_TOLERANCE:
        raise ModelError(f"The exported graph of '{name}' deviates from torch by {deviation:.1e}.")
    return _working_memory(exported, images.shape[1])


def _check_other_shape(
    exported: openvino.Model,
    images: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    expected: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> None:
    """Check that the graph does not hold the shape that it was traced with; such a network runs in torch.

    Raises:
        ArithmeticError: It does.
    """
    deviation = _deviation(exported, images, expected)
    if not deviation <= SELF_TEST_TOLERANCE:
        raise ArithmeticError(f"for images of another shape the graph deviates by {deviation:.1e}")


def _deviation(
    exported: openvino.Model,
    images: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    expected: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> float:
    import openvino as ov

    # Compiled for its shape, as predictions are.
    model = exported.clone()
    model.reshape(list(images.shape))
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    actual = np.asarray(compiled.create_infer_request().infer({0: images})[compiled.output(0)])
    return float(np.abs(actual - expected).max() / max(float(np.abs(expected).max()), 1e-6))


def _working_memory(exported: openvino.Model, bands: int) -> float:
    """Return the memory that one prediction takes per pixel, in bytes."""
    import openvino as ov
    import psutil

    process = psutil.Process()
    before = process.memory_info().rss
    model = exported.clone()
    model.reshape([1, bands, MEASURED_SIDE, MEASURED_SIDE])
    request = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    request.infer({0: np.zeros((1, bands, MEASURED_SIDE, MEASURED_SIDE), dtype=np.float32)})
    return float(max(process.memory_info().rss - before, 0)) / MEASURED_SIDE**2

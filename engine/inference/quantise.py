"""int8 graphs: calibrated on the image at hand, with their agreement measured."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.cache import cache_folder, staged_folder
from engine.events import Reporter
from engine.inference.graph import Graph
from engine.inference.predictor import Predictor

QUANTISATION_VERSION = 1
CALIBRATION_SIDE = 512
CALIBRATION_WINDOWS = 6
CHECKED_WINDOWS = 3
# Below this agreement a graph that was calibrated on another image is calibrated anew.
GOOD_AGREEMENT = 0.97

Images = npt.NDArray[np.generic]


def cached_quantised_graph(graph: Graph) -> Path | None:
    """Return the int8 graph of an earlier run, or None."""
    folder = _folder(graph)
    path = folder / "graph.xml"
    try:
        size = json.loads((folder / "graph.json").read_text(encoding="utf-8"))["weights_bytes"]
        return path if path.is_file() and path.with_suffix(".bin").stat().st_size == size else None
    except (OSError, ValueError, KeyError):
        return None


def calibrated_on(graph: Graph, images: Sequence[Images]) -> bool:
    """Return whether the int8 graph of an earlier run was calibrated on the same windows."""
    try:
        values = json.loads((_folder(graph) / "graph.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(values, dict) and values.get("calibrated_on") == _digest(images)


def quantise(graph: Graph, images: Sequence[Images], reporter: Reporter, *, replace: bool = False) -> Path:
    """Make the int8 graph of a graph and keep it.

    Args:
        graph: Graph in float32.
        images: Windows of shape (1, C, H, W) that show what the values look like.
        reporter: Told that this takes a while.
        replace: Whether to put it in the place of an earlier one.

    Raises:
        OutputError: The cache cannot be written.
    """
    reporter.log("Quantising the model to int8 on samples of this image (once per model).")
    import logging

    import nncf
    import openvino as ov

    logging.getLogger("nncf").setLevel(logging.ERROR)
    model = ov.Core().read_model(graph.path)
    calibration = nncf.Dataset([np.asarray(image, dtype=np.float32) for image in images])
    quantised = nncf.quantize(
        model, calibration, preset=nncf.QuantizationPreset.MIXED, subset_size=len(images), fast_bias_correction=True
    )
    target = _folder(graph)
    if replace or cached_quantised_graph(graph) is None:
        # A damaged one would stay otherwise.
        shutil.rmtree(target, ignore_errors=True)
    with staged_folder(target) as folder:
        ov.save_model(quantised, folder / "graph.xml", compress_to_fp16=False)
        size = (folder / "graph.bin").stat().st_size
        values = {"weights_bytes": size, "calibrated_on": _digest(images)}
        (folder / "graph.json").write_text(json.dumps(values), encoding="utf-8")
    return target / "graph.xml"


def agreement(exact: Predictor, other: Predictor, images: Sequence[Images]) -> float:
    """Return the share of pixels, 0 to 1, on which two predictors give the same code."""
    same = total = 0
    for image in images:
        first, second = exact.predict(image).codes, other.predict(image).codes
        if first is None or second is None:
            raise TypeError("Agreement is measured on codes.")
        same += int((first == second).sum())
        total += first.size
    return same / total if total else 1.0


def _digest(images: Sequence[Images]) -> str:
    digest = hashlib.sha256()
    for image in images:
        digest.update(np.ascontiguousarray(image).tobytes())
    return digest.hexdigest()


def _folder(graph: Graph) -> Path:
    return cache_folder() / "graphs" / f"{graph.key}-int8-{QUANTISATION_VERSION}"

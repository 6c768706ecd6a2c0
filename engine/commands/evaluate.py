"""How good a map or a model is: figures, a report, and a map of what is wrong."""

from __future__ import annotations

import threading
from typing import Any

from engine.events import Reporter
from engine.requests import EvaluateRequest


def run(request: EvaluateRequest, reporter: Reporter, cancelled: threading.Event) -> dict[str, Any]:
    """Judge a class raster by its truth, or a model on a data set.

    Args:
        request: What to do.
        reporter: Receives progress, facts and warnings.
        cancelled: Set to stop; nothing is left behind.

    Returns:
        Paths of folder, report, metrics, confusion matrix and map of errors; definition, miou, overall_accuracy, kappa,
        fscore (0 to 1, None without a value) and pixels; rows by class and by polygon; seconds.

    Raises:
        EngineError: Something is wrong with the request, the inputs, the model or the disk.
    """
    if request.model:
        from engine.commands.evaluate_patches import evaluate_patches

        return evaluate_patches(request, reporter, cancelled)
    # The other way needs a network, this one must not wait for torch.
    from engine.commands.evaluate_rasters import evaluate_rasters

    return evaluate_rasters(request, reporter, cancelled)

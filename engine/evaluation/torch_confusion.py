"""Counts which class was predicted where which class is true, on the device that holds the tensors."""

from __future__ import annotations

import torch
from torch import Tensor

_LANES = 64
"""Copies of each counter on a GPU: neighbouring pixels of one class would otherwise wait for each other's increment."""


def confusion_counts(truth: Tensor, predicted: Tensor, classes: int) -> Tensor:
    """Return pixel counts as `ConfusionMatrix.add_matrix` takes them.

    Nothing waits for the device: the result can be added up over many batches and be fetched once.

    Args:
        truth: Channel numbers, whole numbers of any shape such as (N, H, W); 255 (ignored) and everything else outside
            0 to `classes` - 1 goes to the last row.
        predicted: Channel numbers, of the same shape and on the same device; everything outside 0 to `classes` - 1
            goes to the last column.
        classes: Number of classes K.

    Returns:
        int64 of shape (K + 1, K + 1): rows truth, columns prediction.

    Raises:
        ValueError: The two differ in shape.
    """
    if truth.shape != predicted.shape:
        raise ValueError(f"Truth and prediction differ in shape: {tuple(truth.shape)} and {tuple(predicted.shape)}")
    size = classes + 1
    pairs = _bounded(truth, classes) * size + _bounded(predicted, classes)
    # On a GPU bincount asks for the largest value first, which makes the CPU wait for all work before it.
    bins = size * size
    counted = torch.bincount(pairs, minlength=bins) if pairs.device.type == "cpu" else _scattered(pairs, bins)
    return counted.view(size, size)


def _bounded(indices: Tensor, classes: int) -> Tensor:
    """Return int64 of shape (pixels,), with `classes` in place of everything outside 0 to `classes` - 1."""
    flat = indices.reshape(-1).to(torch.int64)
    return flat.where((flat >= 0) & (flat < classes), classes)


def _scattered(pairs: Tensor, bins: int) -> Tensor:
    """Return how often each number from 0 to `bins` - 1 occurs, without the device telling the CPU anything."""
    lane = torch.arange(pairs.numel(), device=pairs.device) % _LANES
    counted = torch.zeros(_LANES * bins, dtype=torch.int64, device=pairs.device)
    counted.scatter_add_(0, lane * bins + pairs, torch.ones_like(pairs))
    return counted.view(_LANES, bins).sum(dim=0)

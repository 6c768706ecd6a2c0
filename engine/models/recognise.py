"""What a checkpoint is, by its content: names of files say little."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import ModelError
from engine.models.catalogue import load_catalogue
from engine.models.model_file import is_safetensors, read_header
from engine.models.pickle_scan import check_checkpoint

if TYPE_CHECKING:
    import torch
    from torch import nn

    from engine.models.manifest import Manifest

CHECKPOINT_SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt")
# Networks take a second each to build, one of them half a minute: only those of about the right size are. What a
# network does not use makes up to a twentieth of a published file.
SIZE_TOLERANCE = 0.05


def check_content(path: Path) -> None:
    """Check that a file is a checkpoint that holds tensors and no code.

    Raises:
        ModelError: It is missing, no checkpoint, cut off, or would run code when opened.
    """
    if is_safetensors(path):
        read_header(path)
    else:
        check_checkpoint(path)


def _network(manifest: Manifest) -> nn.Module:
    """Return the network of a manifest without memory for its weights, where it can be built so."""
    import torch

    from engine.models.architecture import network_of

    try:
        with torch.device("meta"):
            return network_of(manifest)
    except ModelError:
        return network_of(manifest)


def fitting_models(tensors: Mapping[str, torch.Tensor]) -> list[str]:
    """Return the names of the catalogue's models whose network takes tensors of exactly these shapes.

    Args:
        tensors: Tensors by the network's own names.
    """
    # Shapes alone: libraries have renamed tensors, and loading knows the old names.
    given = Counter(tuple(tensor.shape) for tensor in tensors.values())
    fitting, known = [], {}
    megabytes = sum(4 * math.prod(shape) * count for shape, count in given.items()) / 1e6
    for name, entry in load_catalogue().items():
        manifest = entry.manifest
        if abs(megabytes / entry.size_mb - 1) > SIZE_TOLERANCE:
            continue
        kind = (manifest.architecture, manifest.encoder, len(manifest.bands), len(manifest.nomenclature.classes))
        if kind not in known:
            known[kind] = Counter(tuple(tensor.shape) for tensor in _network(manifest).state_dict().values())
        if known[kind] == given:
            fitting.append(name)
    return fitting

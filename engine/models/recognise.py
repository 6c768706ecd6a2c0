"""What a checkpoint is, by its content: names of files say little."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from engine.models.catalogue import load_catalogue
from engine.models.model_file import is_safetensors, read_header
from engine.models.pickle_scan import check_checkpoint

if TYPE_CHECKING:
    import torch

CHECKPOINT_SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt")


def check_content(path: Path) -> None:
    """Check that a file is a checkpoint that holds tensors and no code.

    Raises:
        ModelError: It is missing, no checkpoint, cut off, or would run code when opened.
    """
    if is_safetensors(path):
        read_header(path)
    else:
        check_checkpoint(path)


def fitting_models(tensors: Mapping[str, torch.Tensor]) -> list[str]:
    """Return the names of the catalogue's models whose network takes exactly these tensors.

    Args:
        tensors: Tensors by the network's own names.
    """
    import torch

    from engine.models.architecture import network_of

    given = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    fitting, known = [], {}
    for name, entry in load_catalogue().items():
        manifest = entry.manifest
        kind = (manifest.architecture, manifest.encoder, len(manifest.bands), len(manifest.nomenclature.classes))
        if kind not in known:
            with torch.device("meta"):
                state = network_of(manifest).state_dict()
            known[kind] = {name: tuple(tensor.shape) for name, tensor in state.items()}
        if known[kind] == given:
            fitting.append(name)
    return fitting

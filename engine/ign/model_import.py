"""From weights of IGN's tools and what a configuration says of them to a model file of ours."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from engine.models.architecture import network_of
from engine.models.checkpoint import load_strictly, read_tensors
from engine.models.manifest import Manifest
from engine.models.model_file import read_header, save_model
from engine.models.pickle_scan import check_checkpoint

if TYPE_CHECKING:
    import torch
    from torch import nn

# FLAIR-HUB keeps encoders by modality and decoders by task; a network of one of each needs neither name.
_HUB_PARTS = (
    (re.compile(r"^encoders\.AERIAL_RGBI\.seg_model\."), "encoder."),
    (re.compile(r"^main_decoders\.[^.]+\.seg_model\."), ""),
)
_HUB_DROPPED = ("criterion.", "fusion_handler.")


def load_weights(weights: Path, manifest: Manifest) -> nn.Module:
    """Return the network of a manifest with the weights of a file, ready to predict.

    Args:
        weights: `.pth`, `.ckpt` or `.safetensors`, of FLAIR-1, FLAIR-HUB or this project.
        manifest: What the configuration says of them.

    Raises:
        ModelError: The file is not safe to open, or a tensor does not fit.
    """
    if weights.suffix == ".safetensors":
        read_header(weights)
    else:
        check_checkpoint(weights)
    tensors = without_hub_names(read_tensors(weights))
    network = network_of(manifest)
    load_strictly(network, tensors, weights.name)
    return network.eval()


def import_model(weights: Path, manifest: Manifest, target: Path) -> None:
    """Write weights as a model file that needs no configuration.

    Args:
        weights: See `load_weights`.
        manifest: What the configuration says of them.
        target: Model file to write; the same weights and configuration give the same file.

    Raises:
        ModelError: The file is not safe to open, or a tensor does not fit.
        OutputError: The model file cannot be written.
    """
    save_model(target, load_weights(weights, manifest), manifest)


def without_hub_names(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return tensors under the names of one encoder and one decoder; others than FLAIR-HUB's as they are."""
    plain = {name.removeprefix("model."): tensor for name, tensor in tensors.items()}
    if not any(name.startswith("encoders.AERIAL_RGBI.") for name in plain):
        return tensors
    renamed = {}
    for name, tensor in plain.items():
        if name.startswith(_HUB_DROPPED):
            continue
        for pattern, part in _HUB_PARTS:
            name = pattern.sub(part, name)
        renamed[name] = tensor
    return renamed

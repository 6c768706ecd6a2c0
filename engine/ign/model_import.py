"""From weights of IGN's tools and what a configuration says of them to a model file of ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from engine.models.checkpoint import load_network
from engine.models.manifest import Manifest
from engine.models.model_file import save_model
from engine.models.recognise import check_content

if TYPE_CHECKING:
    from torch import nn


def load_weights(weights: Path, manifest: Manifest) -> nn.Module:
    """Return the network of a manifest with the weights of a file, ready to predict.

    Args:
        weights: `.pth`, `.ckpt` or `.safetensors`, of FLAIR-1, FLAIR-HUB or this project.
        manifest: What the configuration says of them.

    Raises:
        ModelError: The file is not safe to open, or a tensor does not fit.
    """
    check_content(weights)
    return load_network(weights, manifest)


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

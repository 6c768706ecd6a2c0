"""Weights of the published U-T&T, brought to the names of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from engine.models.checkpoint import load_strictly

if TYPE_CHECKING:
    import torch

    from engine.models.utt.utt import UTT

PARTS = (
    ("arch_vhr.", "aerial."),
    ("arch_hr.", "satellite."),
    ("fm_utae_featmap_cropped.conv_list.", "cropped.convolutions."),
    ("fm_utae_featmap_collapsed.mlps.", "collapsed.perceptrons."),
    ("mtd_mlp.enc_mlp.", "metadata.layers."),
    ("reshape_utae_output.1.", "satellite_head."),
)
"""Beginnings of the names in the repository IGNF/FLAIR-2 (class TimeTexture_flair), and of ours."""
FUSIONS = ("cropped.convolutions.", "collapsed.perceptrons.")
IDLE = ("satellite.out_conv.",)


def load_published(network: UTT, tensors: Mapping[str, torch.Tensor], origin: str) -> None:
    """Put published weights into a network, all of them or none.

    Layers that the published code builds and never uses are left out where the network has none of them. With
    metadata, the network needs the fault `metadata_by_row`: what the 16 numbers do elsewhere was never learnt.

    Args:
        network: A network of the same encoder, bands and classes.
        tensors: As `engine.models.checkpoint.read_tensors` returns them.
        origin: Name of the file, for the error.

    Raises:
        ModelError: Tensors are missing, left over, misshapen or not finite; counted and named.
    """
    renamed = {_our_name(name): tensor for name, tensor in tensors.items()}
    if not network.faults.idle_layers:
        renamed = {
            moved: tensor
            for name, tensor in renamed.items()
            if not name.startswith(IDLE) and (moved := _without_first_stage(name))
        }
    load_strictly(network, renamed, origin)


def _our_name(name: str) -> str:
    for theirs, ours in PARTS:
        if name.startswith(theirs):
            return ours + name[len(theirs) :]
    return name


def _without_first_stage(name: str) -> str:
    """Return the name with its stage counted from the second; empty for the first, the image itself."""
    for part in FUSIONS:
        if name.startswith(part):
            stage, _, rest = name[len(part) :].partition(".")
            if stage.isdigit():
                return f"{part}{int(stage) - 1}.{rest}" if int(stage) else ""
    return name

"""The network that a training begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.models.adapt import start_from
from engine.models.architecture import network_of
from engine.models.changes import TensorChange
from engine.models.encoder_weights import load_encoder_weights

if TYPE_CHECKING:
    from torch import nn

    from engine.events import Reporter
    from engine.models.manifest import Manifest
    from engine.models.resolve import ResolvedModel


def build_initial_network(
    manifest: Manifest, *, encoder_weights: str, origin: ResolvedModel | None, seed: int, reporter: Reporter
) -> tuple[nn.Module, list[TensorChange]]:
    """Build a network with the weights that a training starts from.

    Args:
        manifest: Architecture, encoder, bands and classes.
        encoder_weights: `imagenet`, `none`, or a file with a state dict of the encoder; of no effect with an origin.
        origin: Model whose weights to adapt, None for none.
        seed: Seed of torch, which is left seeded; equal seeds give equal weights, whatever device they go to later.
        reporter: Gets one line of where the weights come from.

    Returns:
        The network on the CPU, in training mode, and what became of each of its tensors.

    Raises:
        ModelError: The network cannot be built, or the weights cannot be had or do not fit.
    """
    import torch

    torch.manual_seed(seed)
    network = network_of(manifest)
    if origin is not None:
        return network, start_from(network, manifest, origin, reporter)
    changes = load_encoder_weights(network, manifest.encoder, encoder_weights, manifest.band_names, reporter)
    return network, changes

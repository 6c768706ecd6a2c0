"""The network that a training begins with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from engine.models.adapt import start_from
from engine.models.adapt_season import start_with_season
from engine.models.architecture import aerial_branch, network_of
from engine.models.changes import TensorChange
from engine.models.encoder_weights import load_encoder_weights

if TYPE_CHECKING:
    from torch import nn

    from engine.events import Reporter
    from engine.models.manifest import Manifest
    from engine.models.resolve import ResolvedModel


def build_initial_network(
    manifest: Manifest,
    *,
    encoder_weights: str,
    origin: ResolvedModel | None,
    seed: int,
    reporter: Reporter,
    satellite_dropout: float = 0.0,
) -> tuple[nn.Module, list[TensorChange]]:
    """Build a network with the weights that a training starts from.

    Args:
        manifest: Architecture, encoder, bands and classes.
        encoder_weights: `imagenet`, `none`, or a file with a state dict of the encoder; of no effect with an origin.
        origin: Model whose weights to adapt, None for none.
        seed: Seed of torch, which is left seeded; equal seeds give equal weights, whatever device they go to later.
        reporter: Gets one line of where the weights come from.
        satellite_dropout: With a season: share of the items that learn without it, 0 to 1.

    Returns:
        The network on the CPU, in training mode, and what became of each of its tensors.

    Raises:
        ModelError: The network cannot be built, or the weights cannot be had or do not fit.
    """
    import torch

    torch.manual_seed(seed)
    network = network_of(manifest, satellite_dropout)
    if origin is not None:
        start = start_from if manifest.season is None else start_with_season
        return network, start(network, manifest, origin, reporter)
    branch, prefix = aerial_branch(network)
    changes = load_encoder_weights(branch, manifest.encoder, encoder_weights, manifest.band_names, reporter)
    changes = [item if item.what == "left out" else replace(item, name=prefix + item.name) for item in changes]
    if prefix:
        changes += [TensorChange(name, "new") for name in network.state_dict() if not name.startswith(prefix)]
    return network, changes

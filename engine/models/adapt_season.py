"""Weights of one model for a network that also looks at a season."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.errors import ModelError
from engine.models.adapt import adapted, check_encoders, rows_by_class
from engine.models.architecture import aerial_branch
from engine.models.changes import TensorChange, summary
from engine.models.checkpoint import load_strictly, read_tensors
from engine.models.manifest import UTT

if TYPE_CHECKING:
    import torch
    from torch import nn

    from engine.events import Reporter
    from engine.models.manifest import Manifest
    from engine.models.resolve import ResolvedModel

# The aerial branch by itself.
UNET = "unet"
HEAD = "satellite_head."
# Layers that may be there in one network alone, and lead to no answer or were not asked for.
IDLE, METADATA = "satellite.out_conv.", "metadata."


def start_with_season(
    network: nn.Module, manifest: Manifest, origin: ResolvedModel, reporter: Reporter
) -> list[TensorChange]:
    """Put the weights of a model into a new U-T&T.

    A model of aerial images alone starts the aerial branch, as `start_from` does; what looks at the satellite images
    stays random. Of another U-T&T all is taken: rows of both heads go by class.

    Args:
        network: New network of `manifest`; changed in place.
        manifest: Bands, classes and season of the new network.
        origin: Model whose weights to take.
        reporter: Gets one line of what became of the tensors.

    Returns:
        What became of each tensor of the network, and which of the file were left out.

    Raises:
        ModelError: The encoders, the satellite bands or the satellite branches differ, or the file does not hold what
            its description says.
    """
    before = origin.manifest
    check_encoders(before, manifest)
    given = read_tensors(origin.path)
    branch, prefix = aerial_branch(network)
    aerial: Mapping[str, torch.Tensor] = given
    if before.season is not None:
        aerial = {name.removeprefix(prefix): tensor for name, tensor in given.items() if name.startswith(prefix)}
    changes = [
        item if item.what == "left out" else replace(item, name=prefix + item.name)
        for item in adapted(branch, _plain(manifest), _plain(before), aerial, origin.path.name)
    ]
    rest = [name for name in network.state_dict() if not name.startswith(prefix)]
    if before.season is None:
        changes += [TensorChange(name, "new", "a season beside the aerial image") for name in rest]
    else:
        others = {name: tensor for name, tensor in given.items() if not name.startswith(prefix)}
        changes += _seasonal(network, manifest, before, others, origin.path.name)
    reporter.log(f"Starting from '{before.name}': {summary(changes)}.")
    return changes


def _plain(manifest: Manifest) -> Manifest:
    architecture = UNET if manifest.architecture == UTT else manifest.architecture
    return replace(manifest, architecture=architecture, season=None)


def _seasonal(
    network: nn.Module, manifest: Manifest, before: Manifest, given: Mapping[str, torch.Tensor], file: str
) -> list[TensorChange]:
    theirs, ours = before.season, manifest.season
    if theirs is None or ours is None:
        return []
    names, wanted = ([band.name for band in season.bands] for season in (theirs, ours))
    if names != wanted:
        raise ModelError(
            f"'{before.name}' learnt from the satellite bands {', '.join(names)}, not {', '.join(wanted)}.",
            f"Train with --season-bands {','.join(names)}, or start from another model.",
        )
    _, prefix = aerial_branch(network)
    state = network.state_dict()
    fresh = {name: tensor for name, tensor in state.items() if not name.startswith(prefix)}
    tensors: dict[str, torch.Tensor] = {name: state[name] for name in state if name.startswith(prefix)}
    notes: dict[str, TensorChange] = {}
    for name, tensor in fresh.items():
        if name.startswith(HEAD) and name in given:
            tensors[name], notes[name] = rows_by_class(
                name, given[name], tensor, before.nomenclature, manifest.nomenclature
            )
        elif name in given and (given[name].shape == tensor.shape or not name.startswith(IDLE)):
            tensors[name] = given[name]
        elif name.startswith((IDLE, METADATA)):
            tensors[name], notes[name] = tensor, TensorChange(name, "new")
    left_out = [
        TensorChange(name, "left out", "no part of the new network")
        for name in given
        if name not in fresh and name.startswith((IDLE, METADATA))
    ]
    load_strictly(network, tensors, file)
    return [notes.get(name, TensorChange(name, "kept")) for name in fresh] + left_out

"""Parts of a network that a training leaves unchanged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from engine.errors import ModelError
from engine.models.architecture import aerial_branch

if TYPE_CHECKING:
    import torch
    from torch import nn

PROBE = 64
"""Side in pixels of the image that encoders without a size of their own are followed with."""


def freeze(network: nn.Module, what: str) -> list[str]:
    """Exclude a part of the encoder from training.

    The statistics of its normalisation layers stay unchanged only when `hold_still` follows each `network.train()`.

    Args:
        network: Network with an `encoder`, or with one in its aerial branch; its parameters get `requires_grad` False.
        what: `none`, `encoder`, or how many of the encoder's first stages, `1` to `5`. A stage is all that a further
            feature map needs; an encoder with fewer stages is frozen as far as it has them.

    Returns:
        Names of the frozen parameters.

    Raises:
        ModelError: `what` is none of these.
    """
    branch, prefix = aerial_branch(network)
    encoder = branch.get_submodule("encoder")
    if what == "none":
        return []
    if what == "encoder":
        frozen = [name for name, _ in encoder.named_parameters()]
    elif what in ("1", "2", "3", "4", "5"):
        frozen = [name for stage in encoder_stages(encoder)[: int(what)] for name in stage]
    else:
        raise ModelError(f"'{what}' cannot be frozen.", "Take none, encoder, or a number of stages from 1 to 5.")
    for name in frozen:
        encoder.get_parameter(name).requires_grad_(False)
    return [f"{prefix}encoder.{name}" for name in frozen]


def hold_still(network: nn.Module, names: Iterable[str]) -> None:
    """Keep frozen parts in evaluation mode: their running statistics rest, and dropout does too.

    Args:
        network: Network in training mode; to be called after each `network.train()`.
        names: What `freeze` returned.
    """
    frozen = set(names)
    if not frozen:
        return
    for path, module in network.named_modules():
        prefix = f"{path}." if path else ""
        own = [f"{prefix}{name}" for name, _ in module.named_parameters()]
        if own and frozen.issuperset(own):
            module.eval()


def encoder_stages(encoder: nn.Module) -> list[list[str]]:
    """Return the names of an encoder's parameters by stage.

    Encoders of the library name their parts in many ways and tell the stages of none but the last two. So the feature
    maps are followed back to the parameters they depend on: the first map's make stage 1, what the second needs beyond
    those makes stage 2, and so on.

    Args:
        encoder: Encoder that maps (N, C, H, W) to a list of feature maps, the finest first.

    Returns:
        Names within the encoder, stage by stage. Parameters that no feature map needs are in none.
    """
    import torch

    parameters = dict(encoder.named_parameters())
    modes = [(module, module.training) for module in encoder.modules()]
    wanted = [(parameter, parameter.requires_grad) for parameter in parameters.values()]
    first = next(iter(parameters.values()))
    # Some transformers take images of one size only.
    sizes = (getattr(module, "img_size", None) for module in encoder.modules())
    size = next((size for size in sizes if isinstance(size, tuple)), (PROBE, PROBE))
    try:
        encoder.eval()
        for parameter in parameters.values():
            parameter.requires_grad_(True)
        with torch.enable_grad():
            image = torch.zeros(1, _channels(encoder), *size, device=first.device, dtype=first.dtype)
            features = encoder(image)
    finally:
        for module, mode in modes:
            module.training = mode
        for parameter, flag in wanted:
            parameter.requires_grad_(flag)
    names = {id(parameter): name for name, parameter in parameters.items()}
    seen: set[object] = set()
    stages: list[list[str]] = []
    for feature in features:
        # The image itself, and the empty map in the place of one that an encoder does not have, need no parameter.
        if feature.grad_fn is not None:
            reached = _reached(feature, seen)
            stages.append([name for key, name in names.items() if key in reached])
    return [stage for stage in stages if stage]


def _channels(encoder: nn.Module) -> int:
    # The library keeps it private; encoders of VGG's kind do not list the image among their feature maps.
    return int(getattr(encoder, "_in_channels", 3))


def _reached(feature: torch.Tensor, seen: set[object]) -> set[int]:
    """Return the ids of the parameters behind a feature map, less those behind nodes already seen."""
    found: set[int] = set()
    waiting: list[object] = [feature.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)
        if variable is not None:
            found.add(id(variable))
        following: Sequence[tuple[object, int]] = getattr(node, "next_functions", ())
        waiting.extend(after for after, _ in following)
    return found

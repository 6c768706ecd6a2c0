"""The filters of a network's first layer, by the name of the band they look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn

RGB = ("red", "green", "blue")


def input_layers(encoder: nn.Module, channels: int) -> list[str]:
    """Return the names of the weights that the bands enter through, normally one.

    Works for convolutions and patch embeddings alike: the first parameter whose second dimension is the number of
    bands, and with it those beside it in the same block that take the same input (branches of one layer).

    Args:
        encoder: Encoder that takes (N, channels, H, W).
        channels: Number of bands.

    Returns:
        Names within the encoder; empty when the encoder takes its input in another way.
    """
    found: list[str] = []
    block, filters = "", 0
    for name, parameter in encoder.named_parameters():
        if parameter.ndim != 4 or parameter.shape[1] != channels:
            continue
        if not found:
            block, filters = _block(name), parameter.shape[0]
        if _block(name) == block and parameter.shape[0] == filters:
            found.append(name)
    return found


def _block(name: str) -> str:
    # timm's encoders stand one level deeper, under `model.`.
    return name.removeprefix("model.").partition(".")[0]


def filters_by_name(
    weight: torch.Tensor, given: Sequence[str], wanted: Sequence[str]
) -> tuple[torch.Tensor, dict[str, str]]:
    """Return the filters for other bands, and what those of new bands were made from.

    A band that both have keeps its own filters, wherever it stands. Infrared looks at the same shapes as red, with
    vegetation reversed, so it starts from red's filters; all other bands start from the mean over red, green and blue.

    Args:
        weight: Filters, (filters, len(given), height, width).
        given: Names of the bands that the filters were trained on.
        wanted: Names of the bands of the new network.

    Returns:
        Filters, (filters, len(wanted), height, width), not scaled; and for each new band the source of its filters,
        such as `red` or `the mean of red, green, blue`.
    """
    import torch

    place = {name: index for index, name in enumerate(given)}
    colours = [name for name in RGB if name in place] or list(given)
    mean = weight[:, [place[name] for name in colours]].mean(1)
    sources: dict[str, str] = {}
    chosen: list[torch.Tensor] = []
    for name in wanted:
        if name in place:
            chosen.append(weight[:, place[name]])
        elif name == "infrared" and "red" in place:
            sources[name] = "red"
            chosen.append(weight[:, place["red"]])
        else:
            sources[name] = f"the mean of {', '.join(colours)}" if len(colours) > 1 else colours[0]
            chosen.append(mean)
    return torch.stack(chosen, 1), sources


def described(sources: dict[str, str], wanted: Sequence[str]) -> str:
    """Return which bands kept their filters and what those of the others were made from, for a person."""
    new = ", ".join(f"{name} from {source}" for name, source in sources.items())
    return f"{len(wanted) - len(sources)} bands kept, {len(sources)} new ({new})"

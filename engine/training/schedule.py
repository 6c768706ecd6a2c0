"""How the learning rate changes, and what each parameter gets of it."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from engine.models.architecture import aerial_branch
from engine.recipe import Recipe

# The rate begins and ends at these shares of the highest (Smith and Topin, Super-Convergence, 2018, in spirit).
FIRST_SHARE = 0.05
LAST_SHARE = 0.001
LEAST_RATE = 1e-7


def one_cycle(done: float, warm_up: float) -> float:
    """Return the share of the highest learning rate when so much of the training is done.

    Args:
        done: Share of all steps that are done, 0 to 1.
        warm_up: Share of the steps in which the rate rises, 0 to 1; it falls along a cosine afterwards.
    """
    if done < warm_up:
        return FIRST_SHARE + (1 - FIRST_SHARE) * done / warm_up
    fallen = min(1.0, (done - warm_up) / max(1e-9, 1 - warm_up))
    return LAST_SHARE + (1 - LAST_SHARE) * 0.5 * (1 + math.cos(math.pi * fallen))


def make_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the optimizer of a recipe over the parameters that may change.

    The encoder gets its share of the rate. Biases and normalisations are not decayed: there is nothing to shrink.
    """
    encoder = getattr(aerial_branch(network)[0], "encoder", None)
    inside = {id(parameter) for parameter in encoder.parameters()} if isinstance(encoder, nn.Module) else set()
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        if parameter.requires_grad:
            groups.setdefault((id(parameter) in inside, parameter.ndim > 1), []).append(parameter)
    options: list[dict[str, Any]] = [
        {
            "params": parameters,
            "lr": recipe.learning_rate * (recipe.encoder_rate if in_encoder else 1.0),
            "weight_decay": recipe.weight_decay if decays else 0.0,
        }
        for (in_encoder, decays), parameters in groups.items()
    ]
    # A rate of exactly nothing is a frozen encoder, which the groups then leave out.
    options = [group for group in options if group["lr"] > 0]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(options, lr=recipe.learning_rate, momentum=recipe.momentum)
    return torch.optim.AdamW(options, lr=recipe.learning_rate)

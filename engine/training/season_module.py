"""A network with a season while it learns."""

from __future__ import annotations

import torch
from torch import nn

from engine.models.manifest import Manifest
from engine.models.season_answer import SeasonAnswer
from engine.models.utt.utt import Answer
from engine.recipe import Recipe
from engine.training.losses import SegmentationLoss, class_weights
from engine.training.module import Batch, SegmentationModule
from engine.training.season_loss import SeasonLoss


class SeasonModule(SegmentationModule):
    """Learns from batches of patches with their season; see `SegmentationModule`.

    Args:
        network: A U-T&T.
        manifest: Bands, classes and season.
        recipe: How to learn.
        loss: A `SeasonLoss`.
        frozen: Names of the network's parts that stay as they are.
        seed: Seed of what is drawn on the device.
    """

    def __init__(
        self, network: nn.Module, manifest: Manifest, recipe: Recipe, loss: nn.Module, frozen: list[str], seed: int
    ) -> None:
        super().__init__(network, manifest, recipe, loss, frozen, seed)
        if manifest.season is None:
            raise ValueError("the network has no season")
        self._answer = SeasonAnswer(manifest.season)

    def judged_logits(self, batch: Batch) -> torch.Tensor:
        """Return logits (N, classes, H, W) of the judged network for a batch of whole patches."""
        return self._ask(self.judged_network, self.normalised(batch["image"]), batch).logits.float()

    def loss_of(self, values: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Return the loss of a batch: of the answer, and of the satellite images alone."""
        answer = self._ask(self.network, values, batch)
        loss: torch.Tensor = self.loss(
            answer.logits.float(), answer.satellite_logits.float(), batch["target"], batch["valid"]
        )
        return loss

    def _ask(self, network: nn.Module, values: torch.Tensor, batch: Batch) -> Answer:
        answer: Answer = self._answer(network, values, batch)
        return answer


def season_loss(recipe: Recipe, aerial: SegmentationLoss, pixels: torch.Tensor, manifest: Manifest) -> SeasonLoss:
    """Return the loss of a recipe for both answers.

    Args:
        recipe: The recipe.
        aerial: Loss of the answer itself.
        pixels: Training pixels by class, shape (classes,).
        manifest: Classes and season.
    """
    weights = class_weights(recipe.satellite_class_weights, pixels, manifest.nomenclature.codes)
    satellite = SegmentationLoss(recipe.loss, weights, recipe.label_smoothing)
    swapped = manifest.season is not None and manifest.season.faults.swapped_loss_weights
    return SeasonLoss(aerial, satellite, 1.0, recipe.satellite_weight, swapped=swapped)

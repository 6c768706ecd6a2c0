"""The network while it learns, as Lightning runs it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytorch_lightning as pl
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from engine.data.jitter import Jitter
from engine.evaluation.confusion import ConfusionMatrix
from engine.evaluation.scores import score
from engine.evaluation.torch_confusion import confusion_counts
from engine.models.freeze import hold_still
from engine.models.manifest import Manifest
from engine.nomenclature import IGNORE_INDEX
from engine.recipe import Recipe
from engine.training.distributed import sum_over_processes
from engine.training.schedule import LEAST_RATE, make_optimizer, one_cycle

Batch = dict[str, torch.Tensor]


class SegmentationModule(pl.LightningModule):
    """Learns from batches and judges itself on whole patches.

    Args:
        network: Maps (N, bands, H, W) to (N, classes, H, W) logits.
        manifest: Bands and classes.
        recipe: How to learn.
        loss: Loss over logits and targets.
        frozen: Names of the network's parts that stay as they are.
        seed: Seed of what is drawn on the device: dropout and noise.
    """

    band_mean: torch.Tensor
    band_std: torch.Tensor
    band_minimum: torch.Tensor
    band_maximum: torch.Tensor
    disabled: torch.Tensor

    def __init__(
        self,
        network: nn.Module,
        manifest: Manifest,
        recipe: Recipe,
        loss: nn.Module,
        frozen: list[str],
        seed: int,
    ) -> None:
        super().__init__()
        self.network = network
        self.loss = loss
        self.averaged: AveragedModel | None = None
        if recipe.ema:
            self.averaged = AveragedModel(network, multi_avg_fn=_running_mean(recipe.ema), use_buffers=True)
            self.averaged.requires_grad_(False)
        self._recipe = recipe
        self._frozen = frozen
        self._seed = seed
        self._jitter = Jitter(recipe, manifest.band_names)
        self._plateau: torch.optim.lr_scheduler.ReduceLROnPlateau | None = None
        self._plateau_state: dict[str, Any] | None = None
        self._first_rates: list[float] = []
        self._nomenclature = manifest.nomenclature
        self._classes = len(manifest.nomenclature.classes)
        mask = torch.full((self._classes,), float("-inf"))
        mask[list(manifest.nomenclature.enabled_channels)] = 0.0
        self.register_buffer("disabled", mask.view(1, -1, 1, 1), persistent=False)
        for name in ("mean", "std", "minimum", "maximum"):
            values = torch.tensor([float(getattr(band, name)) for band in manifest.bands])
            self.register_buffer(f"band_{name}", values.view(1, -1, 1, 1), persistent=False)
        self.register_buffer("counts", torch.zeros(0, dtype=torch.int64), persistent=False)
        self.register_buffer("judged", torch.zeros(2, dtype=torch.float64), persistent=False)
        self.confusion: npt.NDArray[np.int64] | None = None
        """Confusion matrix of the last validation, shape (classes + 1, classes + 1)."""
        self.val_loss = float("nan")
        self.val_miou = float("nan")
        # Lightning puts modules back into the mode in which it found them, and never calls this itself.
        self.train()

    @property
    def judged_network(self) -> nn.Module:
        """The network that is validated and kept: the running mean of the weights where the recipe asks for one."""
        return self.averaged.module if self.averaged is not None else self.network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes, H, W) of the judged network for raw images (N, bands, H, W)."""
        logits: torch.Tensor = self.judged_network(self.normalised(images))
        return logits.float()

    def normalised(self, images: torch.Tensor) -> torch.Tensor:
        """Return what a network gets of raw images (N, bands, H, W)."""
        values = (images.float() - self.band_mean) / self.band_std
        return values.contiguous(memory_format=torch.channels_last)

    def judged_logits(self, batch: Batch) -> torch.Tensor:
        """Return logits (N, classes, H, W) of the judged network for a batch of whole patches."""
        logits: torch.Tensor = self(batch["image"])
        return logits

    def loss_of(self, values: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Return the loss of a batch.

        Args:
            values: Its images, normalised, shape (N, bands, H, W).
            batch: The batch.
        """
        logits = self.network(values).float()
        return self.loss(logits, batch["target"])  # type: ignore[no-any-return]

    def classes_of(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the channel of the enabled class that wins, shape (N, H, W)."""
        return (logits + self.disabled).argmax(1)

    def train(self, mode: bool = True) -> SegmentationModule:
        """Switch to training; frozen parts and the running mean of the weights stay as for prediction."""
        super().train(mode)
        if mode:
            hold_still(self.network, self._frozen)
            if self.averaged is not None:
                self.averaged.eval()
        return self

    def training_step(self, batch: Batch, number: int) -> torch.Tensor:
        """Return the loss of a batch of pieces."""
        # Counted, not carried on: a training that goes on after a break draws what it would have drawn.
        place = (self._seed, self.current_epoch, number, self.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))
        images = batch["image"].float()
        if self._jitter.active:
            # In 16 bits, a blur would round the image.
            with torch.autocast(self.device.type, enabled=False):
                values = self._jitter.apply(
                    images, batch["jitter"], self.band_mean, self.band_std, self.band_minimum, self.band_maximum
                )
        else:
            values = self.normalised(images)
        return self.loss_of(values.contiguous(memory_format=torch.channels_last), batch)

    def on_train_batch_start(self, batch: Batch, number: int) -> None:
        """Set the learning rate: a function of the step alone, where it does not follow a plateau."""
        del batch, number
        if self._recipe.schedule != "one-cycle":
            return
        share = one_cycle(
            self.trainer.global_step / max(1, self.trainer.estimated_stepping_batches), self._recipe.warm_up
        )
        for group, rate in zip(self._optimizer.param_groups, self._first_rates, strict=True):
            group["lr"] = rate * share

    def on_train_batch_end(self, outputs: Any, batch: Batch, number: int) -> None:
        """Take the new weights into the running mean."""
        del outputs, batch
        if self.averaged is not None and (number + 1) % self._recipe.accumulate == 0:
            self.averaged.update_parameters(self.network)

    def on_validation_epoch_start(self) -> None:
        """Begin to count anew."""
        self.counts = torch.zeros((self._classes + 1, self._classes + 1), dtype=torch.int64, device=self.device)
        self.judged = torch.zeros(2, dtype=torch.float64, device=self.device)

    def validation_step(self, batch: Batch, number: int) -> None:
        """Count what is right and wrong in a batch of whole patches."""
        del number
        logits = self.judged_logits(batch)
        valid = (batch["target"] != IGNORE_INDEX).sum()
        # Cross-entropy alone: what the loss adds to guide the learning says little to a person.
        summed = nn.functional.cross_entropy(logits, batch["target"].long(), ignore_index=IGNORE_INDEX, reduction="sum")
        self.judged += torch.stack([summed.double(), valid.double()])
        self.counts += confusion_counts(batch["target"], self.classes_of(logits), self._classes)

    def on_validation_epoch_end(self) -> None:
        """Gather the counts of all processes, and follow a plateau."""
        counts, judged = sum_over_processes(self.counts), sum_over_processes(self.judged)
        matrix = ConfusionMatrix(self._nomenclature)
        matrix.add_matrix(counts.cpu().numpy())
        self.confusion = matrix.counts
        self.val_loss = float(judged[0] / judged[1].clamp(min=1))
        scores = score(matrix)
        self.val_miou = scores.miou
        self.log_dict({"val_loss": self.val_loss, "val_miou": self.val_miou}, sync_dist=False)
        self.log_dict({f"iou/{item.name}": item.iou for item in scores.classes if item.present}, sync_dist=False)
        if self._plateau is not None and not self.trainer.sanity_checking:
            self._plateau.step(self.val_loss if self._recipe.monitor == "loss" else self.val_miou)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer; learning rates are set here, not by Lightning, so that a break changes nothing."""
        self._optimizer = make_optimizer(self.network, self._recipe)
        self._first_rates = [group["lr"] for group in self._optimizer.param_groups]
        if self._recipe.schedule == "plateau":
            # Progress is a share of the best: with a sign turned round, standing still would count as progress.
            self._plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
                self._optimizer,
                mode="min" if self._recipe.monitor == "loss" else "max",
                factor=self._recipe.plateau_factor,
                patience=self._recipe.plateau_patience,
                cooldown=self._recipe.plateau_cooldown,
                min_lr=LEAST_RATE,
            )
            if self._plateau_state is not None:
                self._plateau.load_state_dict(self._plateau_state)
        return self._optimizer

    @property
    def learning_rate(self) -> float:
        """The greatest rate of all parameters now."""
        return max(float(group["lr"]) for group in self._optimizer.param_groups)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what follows a plateau."""
        if self._plateau is not None:
            state = self._plateau.state_dict()
            checkpoint["plateau"] = {
                key: state[key] for key in ("best", "cooldown_counter", "num_bad_epochs", "last_epoch")
            }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up what follows a plateau, now or as soon as there is an optimizer."""
        self._plateau_state = checkpoint.get("plateau")
        if self._plateau is not None and self._plateau_state is not None:
            self._plateau.load_state_dict(self._plateau_state)


def _running_mean(decay: float) -> Any:
    def update(means: list[torch.Tensor], now: list[torch.Tensor], seen: Any) -> None:
        # Young means follow faster; otherwise the random start would show in them for long.
        count = float(seen)
        share = 1 - min(decay, (1 + count) / (10 + count))
        for mean, value in zip(means, now, strict=True):
            mean.lerp_(value.to(mean.dtype), share) if mean.is_floating_point() else mean.copy_(value)

    return update

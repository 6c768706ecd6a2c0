"""Keeps the best model and the last state of a training, and remembers its course."""

from __future__ import annotations

import csv
import io
import math
import time
from dataclasses import replace
from typing import Any

import pytorch_lightning as pl
import torch

from engine.cancellation import Cancellation
from engine.errors import OutputError
from engine.events import Reporter
from engine.models.manifest import Manifest
from engine.models.model_file import save_model
from engine.text_file import write_whole
from engine.training.distributed import sum_over_processes, world_size
from engine.training.module import SegmentationModule
from engine.training.work_folder import WorkFolder

HISTORY = "history.csv"
_COLUMNS = ("epoch", "loss", "val_loss", "miou", "learning_rate", "seconds")


class Keeper(pl.Callback):
    """Writes the best model as a model file, the last state as a checkpoint, and a line of history, after each epoch.

    Args:
        folder: Where they go.
        manifest: What the model file says, but for figures.
        monitor: `miou`, the more the better, or `loss`, the less the better; both of the validation.
        reporter: Is told each epoch's figures.
        cancelled: Learns what to say when the training is cancelled.
    """

    def __init__(
        self, folder: WorkFolder, manifest: Manifest, monitor: str, reporter: Reporter, cancelled: Cancellation
    ) -> None:
        self._folder, self._manifest, self._monitor = folder, manifest, monitor
        self._reporter, self._cancelled = reporter, cancelled
        self.history: list[dict[str, float]] = []
        self.best: dict[str, float] | None = None
        self.best_confusion: list[list[int]] = []
        self._began = 0.0
        self._sum: torch.Tensor | None = None
        self._count = 0

    @property
    def last_miou(self) -> float:
        """Mean IoU of the last validation, NaN before the first."""
        return self.history[-1]["miou"] if self.history else float("nan")

    def add_loss(self, loss: torch.Tensor) -> None:
        """Take the loss of a batch into the epoch's mean."""
        self._sum = loss.double() if self._sum is None else self._sum + loss.double()
        self._count += 1

    def farewell(self) -> str:
        """Return what a person is told when the training is cancelled."""
        if self.best is None:
            return "Cancelled. No epoch was complete yet, so there is no model."
        return (
            f"Cancelled. The best model so far (epoch {self.best['epoch']:.0f}, mIoU {self.best['miou']:.3f}) is kept: "
            f"{self._folder.best}. The same run goes on from the last whole epoch."
        )

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Begin to count anew."""
        del trainer, module
        self._began = time.monotonic()
        self._sum, self._count = None, 0

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Remember the epoch, and keep the model when it is the best."""
        if trainer.sanity_checking or not isinstance(module, SegmentationModule):
            return
        record = {
            "epoch": trainer.current_epoch + 1,
            "loss": self._mean_loss(),
            "val_loss": module.val_loss,
            "miou": module.val_miou,
            "learning_rate": module.learning_rate,
            "seconds": round(time.monotonic() - self._began, 3),
        }
        self.history.append(record)
        better = self._better(record)
        if better:
            self.best = record
            self.best_confusion = [] if module.confusion is None else module.confusion.tolist()
        if not trainer.is_global_zero:
            return
        if better:
            save_model(self._folder.best, module.judged_network, self._described(record))
            self._cancelled.note = self.farewell()
        self._write_history()
        self._reporter.log(
            f"Epoch {record['epoch']} of {trainer.max_epochs}: loss {record['loss']:.4f}, validation loss "
            f"{record['val_loss']:.4f}, mIoU {record['miou']:.4f}" + (", the best so far." if better else ".")
        )

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Write the checkpoint from which a broken training goes on."""
        del module
        trainer.save_checkpoint(self._folder.checkpoint)

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training has to know, as plain values."""
        return {"history": self.history, "best": self.best, "best_confusion": self.best_confusion}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what an interrupted training knew."""
        self.history = list(state_dict["history"])
        self.best = state_dict["best"]
        self.best_confusion = state_dict["best_confusion"]
        self._cancelled.note = self.farewell()

    def _mean_loss(self) -> float:
        # Each process's loss is already scaled so that their mean is the loss of all patches.
        if self._sum is None:
            return float("nan")
        return float(sum_over_processes(self._sum)) / (self._count * world_size())

    def _better(self, record: dict[str, float]) -> bool:
        key, sign = ("val_loss", -1) if self._monitor == "loss" else ("miou", 1)
        if math.isnan(record[key]):
            return False
        return self.best is None or sign * record[key] > sign * self.best[key]

    def _described(self, record: dict[str, float]) -> Manifest:
        figures = {"miou": round(record["miou"], 5), "val_loss": round(record["val_loss"], 5)}
        provenance = {**self._manifest.provenance, "epoch": int(record["epoch"]), "validation": figures}
        return replace(self._manifest, provenance=provenance)

    def _write_history(self) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({**item, "epoch": int(item["epoch"])} for item in self.history)
        try:
            write_whole(self._folder.logs / HISTORY, text.getvalue())
        except OutputError as error:
            # A log is not worth a training; the checkpoint that follows says when the disk is full.
            self._reporter.warning(error.message)

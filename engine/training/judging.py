"""What a trained model does on whole patches: figures over a split, and some of them to look at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from engine.cancellation import Cancellation
from engine.errors import Cancelled
from engine.evaluation.torch_confusion import confusion_counts
from engine.models.checkpoint import load_network
from engine.models.manifest import Manifest
from engine.models.season_answer import SeasonAnswer
from engine.nomenclature import IGNORE_INDEX
from engine.training.loaders import JUDGED_AT_ONCE, judged_batch, judged_patches, judging_loader, patch_reader
from engine.training.preparation import TrainingJob
from engine.training.work_folder import WorkFolder


@dataclass(frozen=True)
class ShownPatch:
    """A patch, what it is and what the model takes it for.

    Args:
        name: File name of the image.
        pixels: Raw values, shape (bands, height, width).
        truth: Class codes, 0 where ignored, shape (height, width).
        predicted: Class codes, shape (height, width).
        right: Share of the labelled pixels whose class is right, 0 to 1.
    """

    name: str
    pixels: npt.NDArray[Any]
    truth: npt.NDArray[np.uint8]
    predicted: npt.NDArray[np.uint8]
    right: float


class Judge:
    """The best model of a work folder, ready to predict.

    Args:
        job: Data and classes.
        folder: Where the best model lies.
        device: `cpu`, `mps`, `cuda` or `cuda:N`.
        half: Whether to compute in 16 bits, as the training did.
    """

    def __init__(self, job: TrainingJob, folder: WorkFolder, device: str, half: bool) -> None:
        self._job, self._device, self._half = job, torch.device(device), half
        manifest = job.manifest
        self._network = load_network(folder.best, manifest).to(self._device)
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._mean, self._std = (self._by_band(manifest, name) for name in ("mean", "std"))
        mask = torch.full((len(manifest.nomenclature.classes),), float("-inf"))
        mask[list(manifest.nomenclature.enabled_channels)] = 0.0
        self._disabled = mask.view(1, -1, 1, 1).to(self._device)
        self._answer = SeasonAnswer(manifest.season, self._device) if manifest.season is not None else None

    @torch.inference_mode()
    def channels(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the winning channel, shape (N, H, W), for a batch of raw patches."""
        values = (batch["image"].to(self._device).float() - self._mean) / self._std
        values = values.contiguous(memory_format=torch.channels_last)
        with self._arithmetic():
            logits = (
                self._network(values) if self._answer is None else self._answer(self._network, values, batch).logits
            )
        winners: torch.Tensor = (logits.float() + self._disabled).argmax(1)
        return winners

    def confusion(self, split: str, cancelled: Cancellation) -> npt.NDArray[np.int64]:
        """Return the confusion matrix over a split, shape (classes + 1, classes + 1).

        Raises:
            Cancelled: `cancelled` was set.
        """
        classes = len(self._job.manifest.nomenclature.classes)
        counts = torch.zeros((classes + 1, classes + 1), dtype=torch.int64, device=self._device)
        for batch in judging_loader(self._job, split, 0, 1, JUDGED_AT_ONCE, 0, self._device.type):
            if cancelled.is_set():
                raise Cancelled
            counts += confusion_counts(batch["target"].to(self._device), self.channels(batch), classes)
        return np.asarray(counts.cpu().numpy())

    def show(self, count: int) -> Iterator[ShownPatch]:
        """Yield validation patches, those of many classes first, no two of which look at the same classes only."""
        reader = patch_reader(self._job, "val")
        patches = judged_patches(self._job, "val")
        nomenclature = self._job.manifest.nomenclature
        codes = np.zeros(256, dtype=np.uint8)
        codes[: len(nomenclature.codes)] = nomenclature.codes
        for number in telling_patches(self._job.class_counts("val"), count):
            image, target = reader.read(number)
            rows, columns = target.shape
            batch = judged_batch(self._job, patches, number)
            found = self.channels(batch)[0, :rows, :columns].cpu().numpy().astype(np.uint8)
            labelled = target != IGNORE_INDEX
            yield ShownPatch(
                name=reader.pairs[number].image.name,
                pixels=image,
                truth=np.where(labelled, codes[target], 0).astype(np.uint8),
                predicted=codes[found],
                right=float((found == target)[labelled].mean()) if labelled.any() else float("nan"),
            )

    def _by_band(self, manifest: Manifest, name: str) -> torch.Tensor:
        values = torch.tensor([float(getattr(band, name)) for band in manifest.bands])
        return values.view(1, -1, 1, 1).to(self._device)

    def _arithmetic(self) -> AbstractContextManager[Any]:
        return torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._half)


def telling_patches(counts: npt.NDArray[np.int64], wanted: int) -> list[int]:
    """Return patches that together show as many classes as possible, each class by a patch that holds much of it.

    Args:
        counts: Pixels by patch and class, shape (patches, classes).
        wanted: Patches at the most.
    """
    share = np.sqrt(counts / np.maximum(1, counts.sum(axis=1, keepdims=True)))
    chosen: list[int] = []
    shown = np.zeros(counts.shape[1])
    left = set(np.flatnonzero(counts.sum(axis=1)).tolist())
    while left and len(chosen) < wanted:
        best = max(sorted(left), key=lambda patch: float((share[patch] / (1 + 4 * shown)).sum()))
        left.remove(best)
        chosen.append(best)
        shown += share[best]
    return chosen

"""What a person sees of a training, and what stops it."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

import pytorch_lightning as pl
import torch

from engine.errors import Cancelled
from engine.events import Reporter
from engine.training.distributed import sum_over_processes, world_size
from engine.training.keeper import Keeper

# A batch without gradients takes about so much of one with.
_JUDGING = 0.35
# On a GPU, asking for the loss makes the CPU wait; so often a second does not matter.
_ASKED_EVERY = 0.25
# So many batches, where several processes ask each other.
_ASKED_TOGETHER = 16


# Words of CUDA and Metal, of torch on Linux, on Windows, and of CUDA's libraries.
_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "status_alloc_failed")


class Diverged(Exception):  # noqa: N818 - a state that is caught, not an error that is shown
    """The loss is no number any more.

    Args:
        epoch: Epoch, from 1.
        batch: Batch of the epoch, from 1.
    """

    def __init__(self, epoch: int, batch: int) -> None:
        super().__init__(f"epoch {epoch}, batch {batch}")
        self.epoch, self.batch = epoch, batch


class Watcher(pl.Callback):
    """Reports progress by batch and epoch, and ends a training that was cancelled or lost its way.

    Args:
        reporter: Receives progress.
        cancelled: Set to stop.
        keeper: Knows the best so far.
        start: Where the progress bar stands at the first batch, 0 to 1.
        end: Where it stands after the last.
    """

    def __init__(
        self, reporter: Reporter, cancelled: threading.Event, keeper: Keeper, start: float, end: float
    ) -> None:
        self._reporter, self._cancelled, self._keeper = reporter, cancelled, keeper
        self._start, self._end = start, end
        self._began = 0.0
        self._done_before = 0.0
        self._asked = 0.0
        self._loss = float("nan")

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Begin to count time."""
        del module
        self._began = time.monotonic()
        self._done_before = self._done(trainer, 0, 0)

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, number: int) -> None:
        """Stop when asked to."""
        del trainer, module, batch, number
        self._stop_when_asked()

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, number: int
    ) -> None:
        """Report the batch."""
        del batch
        loss = outputs["loss"].detach()
        self._keeper.add_loss(loss)
        if self._asks(module, number, number + 1 == self._batches(trainer)):
            self._asked = time.monotonic()
            self._loss = float(sum_over_processes(loss)) / world_size()
            if not math.isfinite(self._loss):
                raise Diverged(trainer.current_epoch + 1, number + 1)
        text = f"batch {number + 1} of {self._batches(trainer)}, loss {self._loss:.3f}"
        self._report(trainer, self._done(trainer, number + 1, 0), text)

    def on_validation_batch_start(
        self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, number: int, loader: int = 0
    ) -> None:
        """Report the validation, and stop when asked to."""
        del module, batch, loader
        self._stop_when_asked()
        text = f"validation, batch {number + 1} of {self._judged(trainer)}"
        self._report(trainer, self._done(trainer, self._batches(trainer), number), text)

    def _asks(self, module: pl.LightningModule, number: int, last: bool) -> bool:
        if last or module.device.type == "cpu":
            return True
        if world_size() > 1:
            # All have to ask at once: where one lost its way, the others would wait for it.
            return number % _ASKED_TOGETHER == 0
        return time.monotonic() - self._asked > _ASKED_EVERY

    def _stop_when_asked(self) -> None:
        if self._cancelled.is_set():
            raise Cancelled(self._keeper.farewell())

    def _report(self, trainer: pl.Trainer, done: float, text: str) -> None:
        elapsed = time.monotonic() - self._began
        fresh = done - self._done_before
        left = elapsed / fresh * (1 - done) if fresh > 0 else None
        best = self._keeper.last_miou
        score = "" if math.isnan(best) else f", mIoU {best:.3f}"
        epoch = f"Epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"
        self._reporter.progress(self._start + (self._end - self._start) * done, f"{epoch}, {text}{score}", left)

    def _done(self, trainer: pl.Trainer, batches: int, judged: int) -> float:
        """Return the share of the whole training that is done after so many batches of the epoch."""
        whole = self._batches(trainer) + _JUDGING * self._judged(trainer)
        now = (trainer.current_epoch + (batches + _JUDGING * judged) / max(1.0, whole)) / max(
            1, trainer.max_epochs or 1
        )
        return min(1.0, now)

    @staticmethod
    def _batches(trainer: pl.Trainer) -> int:
        return int(trainer.num_training_batches)

    @staticmethod
    def _judged(trainer: pl.Trainer) -> int:
        return int(sum(trainer.num_val_batches)) if trainer.num_val_batches else 0


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that the memory of a device ran out."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(part in text for part in _NO_MEMORY)

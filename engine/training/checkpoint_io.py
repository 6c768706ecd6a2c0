"""Checkpoints that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import CheckpointIO

from engine.errors import InputError
from engine.rasters.disk import output_error


class WholeCheckpoints(CheckpointIO):
    """Writes beside the old checkpoint and renames: a full disk or a kill leaves the old one as it was.

    Lightning's own writes over another file system's temporary folder, whose rename is a copy.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint.

        Raises:
            OutputError: It could not be written; an earlier one is still there.
        """
        del storage_options
        target = Path(path)
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        try:
            with partial.open("wb") as stream:
                torch.save(checkpoint, stream)
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(target)
        except (OSError, RuntimeError) as error:
            raise output_error(target, error) from error
        finally:
            with contextlib.suppress(OSError):
                partial.unlink()

    def load_checkpoint(
        self,
        path: str | os.PathLike[str],
        map_location: Callable[..., Any] | None = None,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Read a checkpoint; no code in it is ever run.

        Raises:
            InputError: It is damaged.
        """
        del weights_only
        try:
            return dict(torch.load(path, map_location=map_location or "cpu", weights_only=True))
        except Exception as error:
            raise InputError(
                f"The checkpoint '{path}' cannot be read ({type(error).__name__}).",
                "Start the training anew with --no-resume.",
            ) from error

    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Remove a checkpoint."""
        Path(path).unlink(missing_ok=True)

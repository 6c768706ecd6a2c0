"""From a published checkpoint to a model file of this project, tested before it appears."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import ModelError, OutputError
from engine.events import Reporter
from engine.models.checkpoint import load_strictly, read_tensors
from engine.models.manifest import Manifest
from engine.models.model_file import save_model
from engine.models.recognise import check_content, fitting_models

if TYPE_CHECKING:
    import torch
    from torch import nn

TESTED_SIDE = 256
# A model file holds float32; a checkpoint may hold less.
GROWTH = 2
SPARE_BYTES = 64 * 1024 * 1024


def convert(source: Path, manifest: Manifest, target: Path, reporter: Reporter) -> None:
    """Write a model file from a checkpoint, whole or not at all.

    The network has to take every tensor, to answer a fixed input with finite logits, one map for each class, and to
    answer it alike when it is read back from the new file.

    Args:
        source: Checkpoint; its kind is seen from its content.
        manifest: Description of the model.
        target: Model file; replaced when it exists.
        reporter: Told what was matched.

    Raises:
        ModelError: The file is no checkpoint, or does not fit the model.
        OutputError: The model file cannot be written.
    """
    from engine.models.architecture import network_of

    check_content(source)
    _check_space(target, source.stat().st_size * GROWTH)
    tensors = read_tensors(source)
    network = network_of(manifest)
    try:
        load_strictly(network, tensors, source.name)
    except ModelError as error:
        fitting = [name for name in fitting_models(tensors) if name != manifest.name]
        if fitting:
            error.hint = f"These weights fit {' or '.join(fitting[:3])}: download that model, or choose other weights."
        raise
    reporter.log(f"All {len(tensors)} tensors of '{source.name}' were matched.")
    del tensors
    expected = answer(network.eval(), manifest)
    staged = target.with_name(f".{target.name}.converted")
    try:
        save_model(staged, network, manifest)
        del network
        again = network_of(manifest)
        load_strictly(again, read_tensors(staged), staged.name)
        if not answer(again.eval(), manifest).equal(expected):
            raise ModelError(f"The model file made of '{source.name}' does not answer as its source.", "Try again.")
        staged.replace(target)
    except OSError as error:
        raise OutputError(f"The model file '{target}' cannot be written: {error.strerror}.") from error
    finally:
        staged.unlink(missing_ok=True)


def answer(network: nn.Module, manifest: Manifest) -> torch.Tensor:
    """Return the logits (1, K, 256, 256) of a fixed input.

    Raises:
        ModelError: They are not finite, or not one for each class.
    """
    import torch

    noise = torch.randn(1, len(manifest.bands), TESTED_SIDE, TESTED_SIDE, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        logits: torch.Tensor = network(noise)
    wanted = (1, len(manifest.nomenclature.classes), TESTED_SIDE, TESTED_SIDE)
    if tuple(logits.shape) != wanted:
        raise ModelError(f"The model '{manifest.name}' answers in shape {tuple(logits.shape)}, not {wanted}.")
    if not logits.isfinite().all():
        raise ModelError(f"The model '{manifest.name}' answers with values that are not finite.", "Get the file again.")
    return logits


def with_source(manifest: Manifest, **source: str) -> Manifest:
    """Return a manifest whose provenance says more; empty values are left out."""
    return replace(manifest, provenance={**manifest.provenance, **{k: v for k, v in source.items() if v}})


def _check_space(target: Path, wanted: int) -> None:
    try:
        free = shutil.disk_usage(target.parent).free
    except OSError:
        return
    if free < wanted + SPARE_BYTES:
        raise OutputError(
            f"The disk of '{target.parent}' has {free / 1e6:.0f} MB free; "
            f"{(wanted + SPARE_BYTES) / 1e6:.0f} MB are needed.",
            "Free some space, or name a folder on another disk with the environment variable FLAIR_CACHE_DIR.",
        )

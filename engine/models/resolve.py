"""From what a person names to a model that can be opened; no torch needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.errors import ModelError
from engine.models.catalogue import find_entry, load_catalogue
from engine.models.manifest import Manifest
from engine.models.model_file import file_sha256, read_header, read_manifest
from engine.models.pickle_scan import check_checkpoint

CHECKPOINT_SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt")


@dataclass(frozen=True)
class ResolvedModel:
    """A model whose description and weights are at hand.

    Args:
        manifest: Its description.
        path: Model file, or checkpoint in a foreign layout.
        sha256: SHA-256 of the file's content.
    """

    manifest: Manifest
    path: Path
    sha256: str


def resolve_model(model: str, weights: str | None = None) -> ResolvedModel:
    """Find a model by file, or by catalogue name with its weights on disk.

    Args:
        model: Model file, or catalogue name.
        weights: Checkpoint for a catalogue name.

    Raises:
        ModelError: Nothing of that name, weights missing, or a file that is not safe to open.
    """
    path = Path(model).expanduser()
    if model in load_catalogue():
        entry = find_entry(model)
        if weights is None:
            raise ModelError(
                f"The weights of '{model}' are not on this computer.",
                f"Give them with --weights FILE; IGN publishes them as {model}_weights.pth.",
            )
        return _with_weights(entry.manifest, Path(weights).expanduser())
    if not path.is_file():
        if path.suffix in CHECKPOINT_SUFFIXES or len(path.parts) > 1:
            raise ModelError(f"The model file '{model}' does not exist.", "Check the path.")
        find_entry(model)
    if path.suffix == ".safetensors":
        manifest = read_manifest(path)
        if manifest is not None:
            if weights is not None:
                return _with_weights(manifest, Path(weights).expanduser())
            return ResolvedModel(manifest, path, file_sha256(path))
    elif path.suffix in CHECKPOINT_SUFFIXES:
        check_checkpoint(path)
    else:
        raise ModelError(f"'{path.name}' is not a model file.", f"Model files end in {', '.join(CHECKPOINT_SUFFIXES)}.")
    raise ModelError(
        f"'{path.name}' does not say which bands and classes it has.",
        f"Name the model it belongs to: --model NAME --weights {path.name}; `python -m engine models` lists the names.",
    )


def _with_weights(manifest: Manifest, path: Path) -> ResolvedModel:
    if not path.is_file():
        raise ModelError(f"The weights file '{path}' does not exist.", "Check the path.")
    if path.suffix == ".safetensors":
        read_header(path)
    else:
        check_checkpoint(path)
    return ResolvedModel(manifest, path, file_sha256(path))

"""From what a person names to a model that can be opened; no torch needed."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from engine.errors import ModelError
from engine.events import Reporter, SilentReporter
from engine.models.cached import model_folder
from engine.models.catalogue import find_entry, load_catalogue
from engine.models.manifest import Manifest
from engine.models.model_file import file_sha256, read_manifest
from engine.models.pickle_scan import check_checkpoint
from engine.models.published import obtain
from engine.models.recognise import CHECKPOINT_SUFFIXES, check_content


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


def resolve_model(
    model: str,
    weights: str | None = None,
    *,
    season: bool = False,
    reporter: Reporter | None = None,
    cancelled: threading.Event | None = None,
) -> ResolvedModel:
    """Find a model by file, or by catalogue name: with weights on disk, from the cache, or from the hub.

    Args:
        model: Model file, or catalogue name.
        weights: Checkpoint for a catalogue name.
        season: Whether the model may also need satellite images of a season.
        reporter: Told of a download; without one, nothing is downloaded.
        cancelled: Set to stop a download.

    Raises:
        ModelError: Nothing of that name, weights missing, or a file that is not safe to open.
        OutputError: The cache cannot be written.
        Cancelled: It was asked to stop.
    """
    path = Path(model).expanduser()
    if model in load_catalogue():
        entry = find_entry(model)
        if weights is None:
            return _from_cache_or_hub(model, reporter, cancelled or threading.Event())
        return _with_weights(entry.manifest, Path(weights).expanduser())
    if not path.is_file():
        if path.suffix in CHECKPOINT_SUFFIXES or len(path.parts) > 1:
            raise ModelError(f"The model file '{model}' does not exist.", "Check the path.")
        find_entry(model)
    if path.suffix == ".safetensors":
        manifest = read_manifest(path)
        if manifest is not None:
            if manifest.season is not None and not season:
                raise ModelError(
                    f"'{path.name}' also needs satellite images of a season, which this command cannot read.",
                    "Take a model of aerial images alone.",
                )
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
    check_content(path)
    return ResolvedModel(manifest, path, file_sha256(path))


def _from_cache_or_hub(name: str, reporter: Reporter | None, cancelled: threading.Event) -> ResolvedModel:
    told = reporter or SilentReporter()
    try:
        found = obtain(
            name,
            # The command's own work has not begun.
            lambda _, text, left: told.progress(0.0, text, left),
            told,
            cancelled,
            fetch_missing=reporter is not None,
        )
    except ModelError as error:
        if reporter is not None:
            error.hint += (
                f" '{name}' was looked for in '{model_folder(name)}'; "
                f"`python -m engine models download {name}` fetches it at another time."
            )
        raise
    manifest = read_manifest(found.path)
    if manifest is None:
        raise ModelError(f"'{found.path}' in the cache does not describe itself.", "Delete it and try again.")
    return ResolvedModel(manifest, found.path, found.sha256)

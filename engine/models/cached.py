"""Models of the catalogue that lie ready in the user's cache, as model files of this project.

models/NAME/NAME-<start of the source's SHA-256>.safetensors   model files
models/NAME/current.json                                       which of them the name stands for
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.cache import VARIABLE, cache_folder
from engine.errors import OutputError

CURRENT = "current.json"


@dataclass(frozen=True)
class CachedModel:
    """A model file in the cache, and where its weights come from.

    Args:
        file: Name of the model file in the model's folder.
        sha256: SHA-256 of the model file.
        bytes: Its size.
        source_sha256: SHA-256 of the checkpoint that it was made of.
        source: Name of that checkpoint.
        commit: Commit of the repository; empty for a checkpoint that was given by hand.
        asked: Revision that was asked for when the commit was found; empty for the latest.
        licence: Licence that the repository stated.
    """

    file: str
    sha256: str
    bytes: int
    source_sha256: str
    source: str
    commit: str = ""
    asked: str = ""
    licence: str = ""


def model_folder(name: str) -> Path:
    """Return the folder of a catalogue model in the cache; it may not exist."""
    return cache_folder() / "models" / name


def cached_model(name: str) -> CachedModel | None:
    """Return what the cache knows of a catalogue model, or None. Its model file may be gone."""
    try:
        values: dict[str, Any] = json.loads((model_folder(name) / CURRENT).read_text(encoding="utf-8"))
        found = CachedModel(**values)
    except (OSError, ValueError, TypeError):
        return None
    # What stands there names a file in this folder, and no other.
    return found if found.file and Path(found.file).name == found.file else None


def cached_path(name: str) -> Path | None:
    """Return the model file of a catalogue model in the cache, or None; its size is checked, its content is not."""
    found = cached_model(name)
    if found is None:
        return None
    path = model_folder(name) / found.file
    try:
        return path if path.stat().st_size == found.bytes else None
    except OSError:
        return None


def keep(name: str, model: CachedModel) -> None:
    """Let a name stand for a model file that lies in its folder.

    Raises:
        OutputError: The cache cannot be written.
    """
    path = model_folder(name) / CURRENT
    temporary = path.with_name(f".{CURRENT}.{os.getpid()}")
    try:
        temporary.write_text(json.dumps(asdict(model), indent=1), encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise OutputError(
            f"The cache folder '{path.parent}' cannot be written: {error.strerror}.",
            f"Set the environment variable {VARIABLE} to a folder that can.",
        ) from error

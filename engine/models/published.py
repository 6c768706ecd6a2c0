"""A model of the catalogue as a model file in the cache: fetched, checked and converted once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import filelock

from engine.cache import VARIABLE
from engine.errors import Cancelled, ModelError, OutputError
from engine.events import Reporter
from engine.models.cached import CachedModel, cached_model, keep, model_folder
from engine.models.catalogue import CatalogueEntry, find_entry
from engine.models.model_file import file_sha256, read_manifest
from engine.models.recognise import CHECKPOINT_SUFFIXES

Progress = Callable[[float, str, float | None], None]

# Share of the work; the rest is conversion and test.
FETCHED = 0.9


@dataclass(frozen=True)
class PublishedModel:
    """A model file of the catalogue on this computer.

    Args:
        path: Model file.
        sha256: Its SHA-256.
        source_sha256: SHA-256 of the checkpoint that it was made of.
        commit: Commit of the repository that it comes from; empty for a checkpoint given by hand.
        cached: Whether it lay ready.
    """

    path: Path
    sha256: str
    source_sha256: str
    commit: str
    cached: bool


def obtain(
    name: str,
    progress: Progress,
    reporter: Reporter,
    cancelled: threading.Event,
    *,
    revision: str | None = None,
    weights: Path | None = None,
    fetch_missing: bool = True,
) -> PublishedModel:
    """Return the model file of a catalogue model, made first where it is not in the cache.

    Args:
        name: Name in the catalogue.
        progress: Told the share that is done, a line, and the seconds left.
        reporter: Told what is done, and the licence.
        cancelled: Set to stop.
        revision: Commit, branch or tag; None for the catalogue's, or the one that was taken the last time.
        weights: Checkpoint to take instead of a download.
        fetch_missing: Whether what is missing is fetched; without, that is an error.

    Raises:
        ModelError: There is no such model, or it cannot be had, or is not what it should be.
        OutputError: The disk is full, or the cache cannot be written.
        Cancelled: It was asked to stop.
    """
    entry = find_entry(name)
    ready = _ready(entry, revision, weights, reporter)
    if ready is not None:
        return ready
    if weights is None and not fetch_missing:
        raise missing(name)
    folder = model_folder(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / "lock")
        while True:
            try:
                lock.acquire(timeout=0.2)
                break
            except filelock.Timeout:
                progress(0.0, f"Another process prepares {name}", None)
                if cancelled.is_set():
                    raise Cancelled() from None
    except OSError as error:
        raise OutputError(
            f"The cache folder '{folder}' cannot be written: {error.strerror}.",
            f"Set the environment variable {VARIABLE} to a folder that can.",
        ) from error
    try:
        return _ready(entry, revision, weights, reporter) or _make(
            entry, revision, weights, progress, reporter, cancelled
        )
    finally:
        lock.release()


def missing(name: str) -> ModelError:
    """Return the error for a model that is not on this computer and is not to be fetched."""
    return ModelError(
        f"The weights of '{name}' are not on this computer (looked for in '{model_folder(name)}').",
        f"Fetch them with `python -m engine models download {name}`, or name their file with --weights.",
    )


def _ready(
    entry: CatalogueEntry, revision: str | None, weights: Path | None, reporter: Reporter
) -> PublishedModel | None:
    """Return the model file of the cache when it is the one that is wanted, and whole."""
    name = entry.manifest.name
    found = cached_model(name)
    if found is None:
        return None
    if weights is not None:
        if not weights.is_file() or file_sha256(weights) != found.source_sha256:
            return None
    elif revision is not None:
        if revision not in (found.commit, found.asked):
            return None
    elif entry.revision and found.commit and found.commit != entry.revision:
        return None
    path = model_folder(name) / found.file
    if not path.is_file():
        return None
    if path.stat().st_size != found.bytes or file_sha256(path) != found.sha256:
        reporter.warning(f"'{found.file}' in the cache is damaged; it is made anew.")
        return None
    described = read_manifest(path)
    if described is None or replace(described, provenance=entry.manifest.provenance) != entry.manifest:
        reporter.log(f"The catalogue describes {name} otherwise than before; its file is made anew.")
        return None
    return PublishedModel(path, found.sha256, found.source_sha256, found.commit, True)


def _make(
    entry: CatalogueEntry,
    revision: str | None,
    weights: Path | None,
    progress: Progress,
    reporter: Reporter,
    cancelled: threading.Event,
) -> PublishedModel:
    from engine.models.conversion import convert, with_source

    manifest, name = entry.manifest, entry.manifest.name
    if weights is not None:
        if not weights.is_file():
            raise ModelError(f"The weights file '{weights}' does not exist.", "Check the path.")
        source, commit, licence = weights, "", ""
        source_sha256, source_name = file_sha256(weights), weights.name
    else:
        source, source_sha256, source_name, commit, licence = _fetched(entry, revision, progress, reporter, cancelled)
    if entry.sha256 and source_sha256 != entry.sha256 and weights is None and not revision:
        raise ModelError(
            f"'{source_name}' is not the file that the catalogue means: its SHA-256 differs.",
            "Update the plugin, or name the revision that you want with --revision.",
        )
    if cancelled.is_set():
        raise Cancelled()
    progress(FETCHED, f"Converting and testing {name}", None)
    if licence and licence != manifest.licence:
        reporter.warning(f"The repository states the licence '{licence}', the catalogue '{manifest.licence}'.")
    described = with_source(
        manifest, revision=commit, file=source_name, source_sha256=source_sha256, licence_stated=licence
    )
    file = f"{name}-{source_sha256[:12]}.safetensors"
    path = model_folder(name) / file
    convert(source, described, path, reporter)
    made = CachedModel(
        file,
        file_sha256(path),
        path.stat().st_size,
        source_sha256,
        source_name,
        commit,
        revision or "" if commit else "",
        licence,
    )
    keep(name, made)
    reporter.log(f"{name} is ready. Licence of the weights: {manifest.licence}.")
    return PublishedModel(path, made.sha256, source_sha256, commit, False)


def _fetched(
    entry: CatalogueEntry,
    revision: str | None,
    progress: Progress,
    reporter: Reporter,
    cancelled: threading.Event,
) -> tuple[Path, str, str, str, str]:
    from engine.hub.client import offline
    from engine.hub.download import fetch, find_local
    from engine.hub.repository import find_file

    name = entry.manifest.name
    remembered = cached_model(name)
    wanted = revision or entry.revision or (remembered.commit if remembered is not None else "") or None
    if remembered is not None and remembered.commit == wanted:
        # Only the model file is gone or outdated: what it was made of may still be here.
        local = find_local(entry.repository, remembered.source, remembered.commit)
        if local is not None and file_sha256(local) == remembered.source_sha256:
            return local, remembered.source_sha256, remembered.source, remembered.commit, remembered.licence
    if offline():
        # Fetched by another program, or copied here: the folder of a snapshot bears its commit.
        local = find_local(entry.repository, entry.file, wanted or "main")
        if local is not None:
            reporter.log(f"Taking {entry.file} from the hub's cache, since HF_HUB_OFFLINE is set.")
            return local, file_sha256(local), entry.file, local.parent.name, ""
    progress(0.0, f"Looking for {name}", None)
    remote = find_file(entry.repository, wanted, entry.file, CHECKPOINT_SUFFIXES, reporter, cancelled)
    reporter.log(
        f"Downloading {remote.name} ({remote.size / 1e6:.1f} MB) of {remote.repository}, revision {remote.commit[:12]}."
    )
    path = fetch(remote, lambda done, text, left: progress(FETCHED * done, text, left), reporter, cancelled)
    return path, remote.sha256 or file_sha256(path), remote.name, remote.commit, remote.licence

"""List the models of the catalogue, or describe a model file."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from engine.errors import ModelError
from engine.events import Reporter
from engine.models.cached import cached_path
from engine.models.catalogue import find_entry, load_catalogue
from engine.models.manifest import Manifest
from engine.models.model_file import file_sha256, read_manifest
from engine.requests import ModelsRequest


def run(request: ModelsRequest, reporter: Reporter, cancelled: threading.Event) -> dict[str, Any]:
    """Return `models`, a list of descriptions, or `model`, one of them; `cached` is the model file in the cache.

    Raises:
        ModelError: There is no such model, or its file does not describe itself.
    """
    del cancelled
    if request.model is None:
        models = [
            {
                **_describe(entry.manifest),
                "title": entry.title,
                "size_mb": entry.size_mb,
                "figures": entry.figures,
                "cached": _cached(name),
            }
            for name, entry in load_catalogue().items()
        ]
        for item in models:
            place = "on this computer" if item["cached"] else f"{item['size_mb']:.0f} MB to download"
            reporter.log(f"{item['name']:42} {item['title']} ({place})")
        return {"models": models}
    path = Path(request.model).expanduser()
    if not path.is_file():
        entry = find_entry(request.model)
        return {"model": _told({**_describe(entry.manifest), "cached": _cached(request.model)}, reporter)}
    manifest = read_manifest(path) if path.suffix == ".safetensors" else None
    if manifest is None:
        raise ModelError(f"'{path.name}' does not describe itself.", "Only .safetensors files made by this project do.")
    return {"model": _told({**_describe(manifest), "sha256": file_sha256(path)}, reporter)}


def _cached(name: str) -> str | None:
    path = cached_path(name)
    return None if path is None else str(path)


def _describe(manifest: Manifest) -> dict[str, Any]:
    return {
        "name": manifest.name,
        "architecture": manifest.architecture,
        "encoder": manifest.encoder,
        "bands": list(manifest.band_names),
        "ground_sampling_distance": manifest.ground_sampling_distance,
        "elevation": manifest.elevation,
        "licence": manifest.licence,
        "classes": manifest.nomenclature.to_dict()["classes"],
        "provenance": manifest.provenance,
    }


def _told(description: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    for key, value in description.items():
        if key == "classes":
            value = ", ".join(f"{item['code']} {item['name']}" for item in value if not item["disabled"])
        reporter.log(f"{key}: {', '.join(value) if isinstance(value, list) else value}")
    return description

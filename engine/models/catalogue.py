"""The published models that the project knows by name."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml

from engine.band import Band
from engine.errors import ModelError
from engine.models.manifest import Manifest
from engine.nomenclature import load_nomenclature
from engine.resources import RESOURCES

CATALOGUE = RESOURCES / "models.yaml"


@dataclass(frozen=True)
class CatalogueEntry:
    """A published model.

    Args:
        title: One line for people.
        manifest: What its model file will say.
        size_mb: Size of the published weights in megabytes.
        figures: Published figures in per cent, by name.
        source: Where the figures stand.
        repository: Repository of the hub that holds the weights.
        file: Their file in it.
        revision: Commit to take; empty where none is known, then the latest is taken and remembered.
        sha256: SHA-256 of the file; empty where it is not known, then the one that the hub states is checked.
    """

    title: str
    manifest: Manifest
    size_mb: float
    figures: dict[str, float]
    source: str
    repository: str
    file: str
    revision: str = ""
    sha256: str = ""


@lru_cache
def load_catalogue() -> dict[str, CatalogueEntry]:
    """Return all entries by name, in the order of the file."""
    values = yaml.safe_load(CATALOGUE.read_text(encoding="utf-8"))
    defaults, families = values["defaults"], values.get("families", {})
    return {
        name: _entry(name, {**defaults, **families.get(entry.get("family"), {}), **entry})
        for name, entry in values["models"].items()
    }


def find_entry(name: str) -> CatalogueEntry:
    """Return the entry of a name.

    Raises:
        ModelError: There is none; the hint names the nearest.
    """
    catalogue = load_catalogue()
    if name in catalogue:
        return catalogue[name]
    close = difflib.get_close_matches(name, catalogue, n=2, cutoff=0.4)
    raise ModelError(
        f"There is no model file and no catalogue model '{name}'.",
        f"Did you mean {' or '.join(close)}?" if close else "`python -m engine models` lists the catalogue.",
    )


def _entry(name: str, values: dict[str, Any]) -> CatalogueEntry:
    repository = values.get("repository", f"IGNF/{name}")
    statistics = values["statistics"]
    bands = tuple(Band(band, statistics[band]["mean"], statistics[band]["std"]) for band in values["bands"])
    nomenclature = load_nomenclature(values["nomenclature"]).with_disabled(values["disabled"])
    manifest = Manifest(
        name=name,
        architecture=values["architecture"],
        encoder=values["encoder"],
        bands=bands,
        nomenclature=nomenclature.ordered(values["outputs"]) if "outputs" in values else nomenclature,
        ground_sampling_distance=values["ground_sampling_distance"],
        elevation=values["elevation"] if "elevation" in values["bands"] else None,
        licence=values["licence"],
        provenance={"publisher": "IGN", "repository": repository},
    )
    return CatalogueEntry(
        values["title"],
        manifest,
        values["size_mb"],
        values["figures"],
        values["source"],
        repository,
        values["file"].format(name=name),
        values.get("revision", ""),
        values.get("sha256", ""),
    )

"""The studies that come with the plugin: which models are held against each other, and on what."""

from __future__ import annotations

from pathlib import Path
from typing import List

from .paths import resources


def study_names() -> List[str]:
    """Return their names."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def study_file(name: str) -> Path:
    """Return the file of one of them."""
    return _folder() / f"{name}.yaml"


def _folder() -> Path:
    return resources() / "studies"

"""Size and time of files, with what lies beside them under their names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

Stamp = tuple[tuple[str, int, int], ...]
"""Name, size in bytes and modification time in ns of a file and its companions, by name; empty: it is not on disk."""


def stamps_of(paths: Sequence[str]) -> dict[str, Stamp]:
    """Return the stamps of files, with one listing a folder.

    Companions are all files whose name begins with that of the file without its ending and a dot, such as world files,
    masks and .aux.xml: one that appears changes what GDAL says of the file.

    Args:
        paths: Paths; those that are not on disk have an empty stamp.
    """
    folders: dict[Path, list[tuple[str, Path]]] = {}
    for text in dict.fromkeys(paths):
        path = Path(text)
        folders.setdefault(path.parent, []).append((text, path))
    stamps: dict[str, Stamp] = {}
    for folder, files in folders.items():
        beside = _companions(folder, {path.stem for _, path in files})
        for text, path in files:
            found = sorted(beside.get(path.stem, ()))
            stamps[text] = tuple(found) if any(item[0] == path.name for item in found) else ()
    return stamps


def _companions(folder: Path, stems: set[str]) -> dict[str, list[tuple[str, int, int]]]:
    found: dict[str, list[tuple[str, int, int]]] = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                owners = [stem for stem in _stems(entry.name) if stem in stems]
                if owners and entry.is_file():
                    status = entry.stat()
                    for stem in owners:
                        found.setdefault(stem, []).append((entry.name, status.st_size, status.st_mtime_ns))
    except OSError:
        return {}
    return found


def _stems(name: str) -> list[str]:
    """Return what comes before each dot."""
    return [name[:place] for place, letter in enumerate(name) if letter == "." and place]

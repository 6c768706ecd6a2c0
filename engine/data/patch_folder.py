"""Images and masks that belong together, found in a folder by how FLAIR's data sets name them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from engine.data.official_split import domain_of
from engine.data.pairs import RASTER_SUFFIXES, Pair
from engine.errors import InputError

# IMG_000826.tif and MSK_000826.tif, in folders img and msk of a zone in a domain.
_FLAIR_1 = re.compile(r"(IMG|MSK)_(.+)", re.IGNORECASE)
# D012-2019_AERIAL_RGBI_AF-S1-27_5-10.tif and D012-2019_AERIAL_LABEL-COSIA_AF-S1-27_5-10.tif.
_FLAIR_HUB = re.compile(r"(D\w+-\d{4})_(AERIAL_RGBI|AERIAL_LABEL-COSIA)_(.+)")
_IMAGES = {"IMG", "AERIAL_RGBI"}

Key = tuple[str, ...]


@dataclass(frozen=True)
class PatchFolder:
    """What was found.

    Args:
        layout: `flair-1` or `flair-hub`.
        pairs: Images with their masks, in the order of the images' paths.
        images_alone: Images without a mask.
        masks_alone: Masks without an image.
        twice: Files that stand for the same patch as an earlier one: (earlier, other).
    """

    layout: str
    pairs: tuple[Pair, ...]
    images_alone: tuple[Path, ...]
    masks_alone: tuple[Path, ...]
    twice: tuple[tuple[Path, Path], ...]


def find_patches(folder: Path, layout: str = "auto") -> PatchFolder:
    """Look through a folder and all folders in it; those whose name begins with a dot are left out.

    Args:
        folder: The folder.
        layout: `flair-1`, `flair-hub`, or `auto` for the one of which there are more files.

    Raises:
        InputError: The folder is missing or cannot be read.
    """
    if not folder.is_dir():
        raise InputError(f"There is no folder '{folder}'.", "Check the path.")
    found: dict[str, list[tuple[str, Key, Path]]] = {"flair-1": [], "flair-hub": []}

    def refuse(error: OSError) -> None:
        raise InputError(f"The folder '{error.filename}' cannot be read: {error.strerror}.") from error

    for path, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = Path(path).relative_to(folder).parts
        for name in sorted(names):
            stem, suffix = os.path.splitext(name)  # noqa: PTH122
            if suffix.lower() not in RASTER_SUFFIXES or name.startswith("."):
                continue
            if hub := _FLAIR_HUB.fullmatch(stem):
                found["flair-hub"].append((hub[2], (hub[1], hub[3]), Path(path, name)))
            elif flair := _FLAIR_1.fullmatch(stem):
                found["flair-1"].append((flair[1].upper(), (*_place(inside), flair[2]), Path(path, name)))
    if layout == "auto":
        layout = "flair-hub" if len(found["flair-hub"]) > len(found["flair-1"]) else "flair-1"
    return _paired(layout, found[layout])


def _place(folders: tuple[str, ...]) -> Key:
    """Return what image and mask have in common: from the domain on, without img and msk."""
    domains = [number for number, name in enumerate(folders) if domain_of(name)]
    return tuple(name for name in folders[domains[-1] if domains else 0 :] if name.lower() not in ("img", "msk"))


def _paired(layout: str, found: list[tuple[str, Key, Path]]) -> PatchFolder:
    images: dict[Key, Path] = {}
    masks: dict[Key, Path] = {}
    twice: list[tuple[Path, Path]] = []
    for kind, key, path in found:
        kept = images if kind in _IMAGES else masks
        if key in kept:
            twice.append((kept[key], path))
        else:
            kept[key] = path
    return PatchFolder(
        layout=layout,
        pairs=tuple(Pair(image, masks[key]) for key, image in images.items() if key in masks),
        images_alone=tuple(path for key, path in images.items() if key not in masks),
        masks_alone=tuple(path for key, path in masks.items() if key not in images),
        twice=tuple(twice),
    )

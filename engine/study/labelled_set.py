"""The patches that models are judged by: one split of a data set, every file of it looked at."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from engine.data.dataset import UNDESCRIBED_IGNORED, Dataset, open_dataset
from engine.data.pairs import Pair, read_pairs
from engine.data.patch_index import PatchIndex, index_patches
from engine.errors import InputError
from engine.events import Reporter
from engine.nomenclature import load_nomenclature


@dataclass(frozen=True)
class LabelledSet:
    """Patches whose classes are known.

    Args:
        dataset: What is known of them, with the one split alone.
        split: Its name.
        index: What the files hold.
    """

    dataset: Dataset
    split: str
    index: PatchIndex

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The patches, in their order."""
        return self.index.pairs[self.split]

    @cached_property
    def state(self) -> str:
        """SHA-256 over what the list names: classes, sizes and times of the files; a data set may be moved."""
        digest = hashlib.sha256(self.index.fingerprint.encode())
        for pair in self.pairs:
            for path in (pair.image, pair.mask):
                found = path.stat()
                digest.update(repr((path.name, found.st_size, found.st_mtime_ns)).encode())
        return digest.hexdigest()


def open_labelled_set(
    data: str, split: str, root: str | None, reporter: Reporter, cancelled: threading.Event, share: float = 1.0
) -> LabelledSet:
    """Find the patches and look at all of them.

    Args:
        data: Folder of a data set, its `dataset.yaml`, or a CSV of image,mask lines, which is its only split.
        split: `train`, `val` or `test`.
        root: Folder that relative paths in the lists start from; default: that of each list.
        reporter: Receives progress.
        cancelled: Set to stop.
        share: What part of the progress bar this takes, 0 to 1.

    Raises:
        InputError: There are no such patches, or files of them cannot be used; all are listed.
        Cancelled: `cancelled` was set.
    """
    dataset = _only(data, split, root)
    # Codes that are mapped or ignored need not be in the data set's nomenclature: all are let in, and judged later.
    index = index_patches(replace(dataset, ignored=tuple(range(256))), reporter, cancelled, share)
    return LabelledSet(dataset, split, index)


def _only(data: str, split: str, root: str | None) -> Dataset:
    """Return the data set with the split alone that is judged on."""
    if data.lower().endswith(".csv"):
        base = Path(root).expanduser() if root else None
        pairs = read_pairs(Path(data).expanduser(), base)
        return Dataset(Path(data).stem, {split: pairs}, load_nomenclature("flair"), UNDESCRIBED_IGNORED)
    dataset = open_dataset(data, root)
    if split not in dataset.splits:
        raise InputError(
            f"The data set '{dataset.name}' has no {split} patches.",
            f"It has: {', '.join(dataset.splits)}; choose one with --split.",
        )
    return replace(dataset, splits={split: dataset.splits[split]})

"""A look at every file of a data set before anything is learnt: what is wrong, and how much there is of each class."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from engine.data.dataset import Dataset
from engine.data.folder_check import in_parallel
from engine.data.pairs import Pair
from engine.data.patch_file import PatchHeader, default_names, read_header, read_image, read_mask
from engine.errors import InputError
from engine.events import Reporter
from engine.nomenclature import NODATA

# As many problems as a person reads; the rest is counted.
SHOWN = 20

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PatchIndex:
    """What the files of a data set hold.

    Args:
        pairs: Pairs by split.
        header: Header of the first image; all have its number of bands and its type.
        bands: Names of the images' bands, in order.
        counts: By split, pixels of each mask by code, shape (patches, 256).
        smallest: Least height and width of all patches, in pixels.
        largest: Greatest height and width of all patches, in pixels.
        fingerprint: SHA-256 over folder, name and classes of all patches; a data set may be moved.
    """

    pairs: dict[str, tuple[Pair, ...]]
    header: PatchHeader
    bands: tuple[str, ...]
    counts: dict[str, Counts]
    smallest: tuple[int, int]
    largest: tuple[int, int]
    fingerprint: str

    def pixels(self, split: str) -> Counts:
        """Return the pixels of a split by code, shape (256,)."""
        return np.asarray(self.counts[split].sum(axis=0))


@dataclass(frozen=True)
class _Found:
    header: PatchHeader | None
    counts: Counts | None
    problem: str = ""


def index_patches(dataset: Dataset, reporter: Reporter, cancelled: threading.Event, share: float = 1.0) -> PatchIndex:
    """Open every image and read every mask.

    Args:
        dataset: The data set.
        reporter: Receives progress.
        cancelled: Set to stop.
        share: What part of the progress bar this takes, 0 to 1.

    Raises:
        InputError: Files are missing or unreadable, sizes or numbers of bands differ, or masks hold values outside the
            nomenclature; the message lists them all.
        Cancelled: `cancelled` was set.
    """
    every = [pair for pairs in dataset.splits.values() for pair in pairs]
    allowed = np.zeros(256, dtype=np.bool_)
    allowed[[NODATA, *dataset.ignored, *dataset.nomenclature.codes]] = True

    def tell(done: int, left: float | None) -> None:
        reporter.progress(share * done / len(every), f"Looking at the data, {done} of {len(every)} patches", left)

    found = in_parallel(lambda pair: _look(pair, allowed), every, tell, cancelled)
    header = next((item.header for item in found if item.header is not None), None)
    problems = [item.problem for item in found if item.problem]
    if header is not None:
        problems += _differences(every, found, header)
    problems += _twice(dataset)
    if problems or header is None:
        raise _listed(problems, dataset)
    return _index(dataset, every, found, header)


def _look(pair: Pair, allowed: npt.NDArray[np.bool_]) -> _Found:
    for what, path in (("image", pair.image), ("mask", pair.mask)):
        if not path.is_file():
            return _Found(None, None, f"missing {what}: {path}")
    try:
        header = read_header(pair.image)
        # A file that was cut off lacks its end first; its header may be whole.
        read_image(pair.image, window=Window(0, header.height - 1, header.width, 1))
        mask = read_mask(pair.mask)
    except InputError as error:
        return _Found(None, None, error.message.rstrip("."))
    if mask.shape != (header.height, header.width):
        return _Found(
            header,
            None,
            f"sizes differ: {pair.image.name} {header.width} x {header.height}, "
            f"{pair.mask.name} {mask.shape[1]} x {mask.shape[0]}",
        )
    if mask.dtype.kind not in "iu":
        return _Found(header, None, f"{pair.mask} holds {mask.dtype} values, not class codes")
    if mask.dtype == np.uint8:
        counts = np.bincount(mask.ravel(), minlength=256)
    else:
        values = np.unique(mask)
        if values[0] < 0 or values[-1] > 255:
            return _Found(header, None, f"{pair.mask} holds values outside 0 to 255: {_some(values)}")
        counts = np.bincount(mask.ravel().astype(np.uint8), minlength=256)
    strange = np.flatnonzero((counts > 0) & ~allowed)
    if strange.size:
        return _Found(header, None, f"{pair.mask} holds values outside the nomenclature: {_some(strange)}")
    return _Found(header, counts.astype(np.int64))


def _some(values: npt.NDArray[np.generic]) -> str:
    return ", ".join(str(value) for value in values[:6].tolist()) + (", ..." if values.size > 6 else "")


def _differences(pairs: Sequence[Pair], found: Sequence[_Found], header: PatchHeader) -> list[str]:
    problems = []
    for pair, item in zip(pairs, found, strict=True):
        if item.header is None:
            continue
        if item.header.bands != header.bands:
            problems.append(f"{pair.image} has {item.header.bands} bands, the first image {header.bands}")
        elif item.header.names and header.names and item.header.names != header.names:
            problems.append(f"{pair.image} has the bands {item.header.names}, the first image {header.names}")
        elif item.header.dtype != header.dtype:
            problems.append(f"{pair.image} is of type {item.header.dtype}, the first image of type {header.dtype}")
    return problems


def _twice(dataset: Dataset) -> list[str]:
    """Return patches that are learnt from and also judged by: figures on them would mean nothing."""
    learnt = {pair.image.resolve() for pair in dataset.splits.get("train", ())}
    return [
        f"{pair.image} stands both in train and in {split}"
        for split in ("val", "test")
        for pair in dataset.splits.get(split, ())
        if pair.image.resolve() in learnt
    ]


def _listed(problems: Sequence[str], dataset: Dataset) -> InputError:
    lines = [f"  - {problem}" for problem in problems[:SHOWN]]
    if len(problems) > SHOWN:
        lines.append(f"  - and {len(problems) - SHOWN} more")
    hints = []
    if any(problem.startswith("missing") for problem in problems):
        hints.append("If the paths are right but start elsewhere, give that folder with --root.")
    if any("nomenclature" in problem for problem in problems):
        known = ", ".join(str(code) for code in dataset.nomenclature.codes)
        hints.append(f"'{dataset.nomenclature.name}' has the codes {known}; leave others out with --ignore.")
    text = "1 problem was" if len(problems) == 1 else f"{len(problems)} problems were"
    return InputError(f"{text} found in the data set '{dataset.name}':\n" + "\n".join(lines) + "\n", " ".join(hints))


def _index(dataset: Dataset, every: Sequence[Pair], found: Sequence[_Found], header: PatchHeader) -> PatchIndex:
    names = dataset.bands or header.names or default_names(header.bands)
    if len(names) != header.bands:
        raise InputError(
            f"The data set '{dataset.name}' names {len(names)} bands, but its images have {header.bands}.",
            "Correct the names of the bands, or extract the patches again.",
        )
    counts = {}
    digest = hashlib.sha256()
    at = 0
    for split, pairs in dataset.splits.items():
        part = found[at : at + len(pairs)]
        at += len(pairs)
        counts[split] = np.stack([item.counts for item in part if item.counts is not None])
        digest.update(split.encode())
        for pair, item in zip(pairs, part, strict=True):
            digest.update(repr((_tail(pair.image), np.asarray(item.counts).tolist())).encode())
    heights = [item.header.height for item in found if item.header is not None]
    widths = [item.header.width for item in found if item.header is not None]
    return PatchIndex(
        pairs=dataset.splits,
        header=header,
        bands=tuple(names),
        counts=counts,
        smallest=(min(heights), min(widths)),
        largest=(max(heights), max(widths)),
        fingerprint=digest.hexdigest(),
    )


def _tail(path: Path) -> str:
    return "/".join(path.parts[-2:])

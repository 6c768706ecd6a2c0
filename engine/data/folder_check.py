"""A look at every image and mask of a data set on disk: what is wrong, and where."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from rasterio.crs import CRS
from rasterio.windows import Window

from engine.data.pairs import Pair
from engine.data.patch_file import PatchHeader, read_header, read_image, read_mask
from engine.data.patch_folder import PatchFolder
from engine.errors import Cancelled, InputError

_BATCH = 64
# Pixels by which image and mask may lie apart: less than rounding of coordinates in files does.
_APART = 0.01

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Problem:
    """Something about a file.

    Args:
        kind: Short name, such as `image without mask`.
        file: The file.
        detail: What there is to know.
        note: Whether it is only worth knowing: nothing has to be done.
    """

    kind: str
    file: Path
    detail: str = ""
    note: bool = False


@dataclass(frozen=True)
class FolderCheck:
    """What a look at all files gave.

    Args:
        problems: What is wrong, in the order of the files.
        sound: Pairs of which nothing is wrong.
        pixels: Pixels by class code in the masks of all pairs that could be read, shape (256,).
    """

    problems: tuple[Problem, ...]
    sound: tuple[Pair, ...]
    pixels: npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Look:
    pair: Pair
    problems: tuple[Problem, ...]
    header: PatchHeader | None = None
    counts: npt.NDArray[np.int64] | None = None
    signature: bytes = b""
    plain_mask: bool = False


def in_parallel(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    tell: Callable[[int, float | None], None],
    cancelled: threading.Event,
) -> list[Result]:
    """Do the same for many files, in their order.

    Args:
        work: Is called in several threads.
        items: The files.
        tell: Is told how many are done, and how many seconds are left.
        cancelled: Set to stop.

    Raises:
        Cancelled: `cancelled` was set.
    """
    found: list[Result] = []
    began = time.monotonic()
    with ThreadPoolExecutor(min(8, (os.cpu_count() or 1) + 1)) as pool:
        for start in range(0, len(items), _BATCH):
            if cancelled.is_set():
                raise Cancelled
            found.extend(pool.map(work, items[start : start + _BATCH]))
            spent = time.monotonic() - began
            tell(len(found), spent / len(found) * (len(items) - len(found)) if spent > 1 else None)
    return found


def check_folder(
    found: PatchFolder, allowed: Iterable[int], tell: Callable[[int, float | None], None], cancelled: threading.Event
) -> FolderCheck:
    """Open every image, read its last row and all of its mask, and compare.

    A file that was cut off lacks its end first, which is why the last row tells. The size, the number of bands and
    the type that most images have are taken for the right ones.

    Args:
        found: The files.
        allowed: Class codes that a mask may hold.
        tell: See `in_parallel`.
        cancelled: Set to stop.

    Raises:
        Cancelled: `cancelled` was set.
    """
    table = np.zeros(256, dtype=np.bool_)
    table[list(allowed)] = True
    looks = in_parallel(lambda pair: _look(pair, table), found.pairs, tell, cancelled)
    problems = [Problem("image without mask", path) for path in found.images_alone]
    problems += [Problem("mask without image", path) for path in found.masks_alone]
    problems += [Problem("twice", other, f"stands for the same patch as {one}") for one, other in found.twice]
    usual = _usual(looks)
    wrong: set[Path] = set()
    for look in looks:
        mine = [*look.problems, *_unlike(look, usual)]
        problems += mine
        if any(not problem.note for problem in mine):
            wrong.add(look.pair.image)
    problems += _same_content(looks)
    bare = [look.pair.mask for look in looks if look.plain_mask]
    if bare:
        detail = f"{len(bare)} masks carry no CRS, or one without numbers, as FLAIR's do; it is taken from their images"
        problems.append(Problem("mask without CRS", bare[0], detail, note=True))
    return FolderCheck(
        problems=tuple(sorted(problems, key=lambda problem: (problem.note, str(problem.file)))),
        sound=tuple(look.pair for look in looks if look.pair.image not in wrong),
        pixels=np.sum([look.counts for look in looks if look.counts is not None], axis=0, dtype=np.int64)
        + np.zeros(256, dtype=np.int64),
    )


def _look(pair: Pair, allowed: npt.NDArray[np.bool_]) -> _Look:
    problems: list[Problem] = []
    try:
        path = pair.image
        header = read_header(path)
        last = read_image(path, window=Window(0, header.height - 1, header.width, 1))
        path = pair.mask
        mask_header = read_header(path)
        mask = read_mask(path)
    except InputError as error:
        return _Look(pair, (Problem("unreadable", path, error.message.rstrip(".")),))
    if mask.shape != (header.height, header.width):
        detail = f"{mask.shape[1]} x {mask.shape[0]} pixels, its image {header.width} x {header.height}"
        problems.append(Problem("other size than its image", pair.mask, detail))
    if mask_header.bands != 1:
        problems.append(Problem("mask with several bands", pair.mask, f"{mask_header.bands} bands"))
    counts = None
    if mask.dtype.kind not in "iu":
        problems.append(Problem("no class codes", pair.mask, f"holds {mask.dtype} values"))
    else:
        values, numbers = np.unique(mask, return_counts=True)
        strange = [int(value) for value in values if not (0 <= value <= 255 and allowed[int(value)])]
        if strange:
            shown = ", ".join(map(str, strange[:8])) + (", ..." if len(strange) > 8 else "")
            problems.append(Problem("codes outside the nomenclature", pair.mask, shown))
        inside = (values >= 0) & (values <= 255)
        counts = np.zeros(256, dtype=np.int64)
        counts[values[inside].astype(int)] = numbers[inside]
    problems += _place(pair, header, mask_header)
    signature = hashlib.sha256(last.tobytes() + mask.tobytes()).digest()
    return _Look(
        pair, tuple(problems), header, counts, signature, plain_mask=bool(header.crs and not _usable(mask_header.crs))
    )


def _usable(crs: CRS | None) -> bool:
    # FLAIR's masks have none, or a local one that has the name of the images' and none of its numbers.
    return crs is not None and bool(crs.is_projected or crs.is_geographic)


def _place(pair: Pair, image: PatchHeader, mask: PatchHeader) -> list[Problem]:
    found: list[Problem] = []
    if image.crs and mask.crs and _usable(mask.crs) and image.crs != mask.crs:
        found.append(
            Problem("other CRS than its image", pair.mask, f"{mask.crs.to_string()}, its image {image.crs.to_string()}")
        )
    if image.transform.is_identity:
        found.append(Problem("without georeferencing", pair.image, "", note=True))
    elif mask.transform.is_identity:
        found.append(Problem("without georeferencing", pair.mask, "its image has one", note=True))
    else:
        corners = ((0, 0), (image.width, image.height))
        apart = max(
            max(abs(one - other) for one, other in zip(~image.transform * (mask.transform * xy), xy, strict=True))
            for xy in corners
        )
        if apart > _APART:
            found.append(Problem("elsewhere than its image", pair.mask, f"up to {apart:.4g} pixels away"))
    return found


def _usual(looks: Iterable[_Look]) -> dict[str, object]:
    kinds = ("height", "width", "bands", "dtype")
    headers = [look.header for look in looks if look.header is not None]
    return {
        kind: Counter(getattr(header, kind) for header in headers).most_common(1)[0][0] for kind in kinds if headers
    }


def _unlike(look: _Look, usual: dict[str, object]) -> list[Problem]:
    if look.header is None:
        return []
    header, found = look.header, []
    if (header.height, header.width) != (usual["height"], usual["width"]):
        detail = f"{header.width} x {header.height} pixels, most have {usual['width']} x {usual['height']}"
        found.append(Problem("unusual size", look.pair.image, detail, note=True))
    if header.bands != usual["bands"]:
        found.append(
            Problem("other number of bands", look.pair.image, f"{header.bands} bands, most have {usual['bands']}")
        )
    if header.dtype != usual["dtype"]:
        found.append(Problem("other type", look.pair.image, f"{header.dtype}, most are {usual['dtype']}"))
    return found


def _same_content(looks: Iterable[_Look]) -> list[Problem]:
    """Return images that are the same as another one, pixel for pixel."""
    first: dict[bytes, Path] = {}
    found = []
    for look in looks:
        if not look.signature:
            continue
        other = first.setdefault(look.signature, look.pair.image)
        # The signature is of one row and the mask: water under water may share it.
        if other != look.pair.image and _equal(other, look.pair.image):
            found.append(Problem("same content as another", look.pair.image, f"the same as {other}"))
    return found


def _equal(one: Path, other: Path) -> bool:
    try:
        return np.array_equal(read_image(one), read_image(other))
    except InputError:
        return False

"""A model meets labelled patches: what it has to be given, and what it says of each."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.comparison.patch_classes import PatchClasses, match_classes
from engine.comparison.tally import Compared, Comparer
from engine.data.pairs import Pair
from engine.errors import Cancelled, InputError
from engine.events import Reporter
from engine.inference.memory import cpu_budget, cuda_budget
from engine.inference.predictor import Predictor
from engine.inference.window_classifier import WindowClassifier
from engine.models.manifest import Manifest
from engine.study.labelled_set import LabelledSet

# Network's stride: sides are padded to its multiples.
STRIDE = 32
# Patches that a GPU gets at once at the most: more are hardly faster, and each waits in main memory until then.
MOST_AT_ONCE = 32
_READERS = 4

Codes = npt.NDArray[np.uint8]
Pixels = npt.NDArray[Any]


@dataclass(frozen=True)
class JudgedPatch:
    """A patch with its truth and what was predicted.

    Args:
        number: Its place in the list, from 0.
        pair: Its files.
        pixels: Raw values, shape (bands, height, width).
        truth: Codes of the model, 0 where ignored, shape (height, width).
        predicted: Codes of the model, shape (height, width).
    """

    number: int
    pair: Pair
    pixels: Pixels
    truth: Codes
    predicted: Codes


@dataclass(frozen=True)
class Judge:
    """A model and the patches it is judged by.

    Args:
        manifest: The model's description.
        test: The patches.
        classes: How their masks are read.
        comparer: Compares codes under a definition.
    """

    manifest: Manifest
    test: LabelledSet
    classes: PatchClasses
    comparer: Comparer

    @property
    def channels(self) -> tuple[int, ...]:
        """Band numbers in the files, in the network's order."""
        return tuple(self.test.index.bands.index(name) + 1 for name in self.manifest.band_names)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width that all patches are padded to, multiples of 32."""
        height, width = (-(-side // STRIDE) * STRIDE for side in self.test.index.largest)
        return height, width

    @property
    def pixels(self) -> int:
        """Pixels that the network gets in all, at the most."""
        height, width = self.test.index.largest
        return height * width * len(self.test.pairs)

    def compare(self, patch: JudgedPatch) -> Compared:
        """Count a patch."""
        verdicts = self.comparer.verdicts(patch.truth, patch.predicted)
        return self.comparer.compare(patch.truth, patch.predicted, verdicts)


def appoint(
    manifest: Manifest,
    test: LabelledSet,
    comparer: Comparer,
    *,
    classes: str | None,
    ignore: AbstractSet[int] | None,
    reporter: Reporter,
) -> Judge:
    """Check that a model can be judged by some patches, and how.

    Args:
        manifest: The model's description.
        test: The patches.
        comparer: Made for the model's classes.
        classes: Classes of the masks with a code or name of the model each, see `match_classes`.
        ignore: Codes of the masks that are not counted; None lets the data set tell.
        reporter: Is told of codes that differ.

    Raises:
        InputError: Bands or classes do not fit.
        RequestError: `classes` cannot be read.
    """
    missing = [name for name in manifest.band_names if name not in test.index.bands]
    if missing:
        raise InputError(
            f"The model wants the bands {', '.join(manifest.band_names)}, but the data set lacks "
            f"{', '.join(missing)}; it holds {', '.join(test.index.bands)}.",
            "Choose a data set with these bands, or another model.",
        )
    ignored = set(test.dataset.ignored if ignore is None else ignore)
    pixels = test.index.pixels(test.split)
    matched = match_classes(test.dataset.nomenclature, manifest.nomenclature, classes, ignored, pixels, reporter)
    return Judge(manifest, test, matched, comparer)


def patches_at_once(predictor: Predictor, shape: tuple[int, int]) -> int:
    """Return how many patches a device gets in one step: as many as fit into a GPU's memory, on the CPU one.

    Args:
        predictor: The network on its device.
        shape: Height and width of a patch as the network gets it.
    """
    if predictor.device == "cpu":
        return 1
    budget = cuda_budget(predictor.device, None) if predictor.device.startswith("cuda") else cpu_budget(None)
    return int(np.clip(budget // max(1.0, predictor.bytes_per_pixel * shape[0] * shape[1]), 1, MOST_AT_ONCE))


def judged_patches(
    judge: Judge,
    predictor: Predictor,
    cancelled: threading.Event,
    report: Callable[[str], None],
    *,
    at_once: int = 1,
    start: int = 0,
) -> Iterator[JudgedPatch]:
    """Yield all patches in their order; what a patch lacks to the largest is mirrored, as in training.

    Args:
        judge: The model and the patches.
        predictor: The model's network; its head gives codes.
        cancelled: Set to stop.
        report: Told once when memory ran out and patches are predicted one by one, or in parts.
        at_once: Patches that are predicted in one step.
        start: Number of the patch to begin with.

    Raises:
        Cancelled: `cancelled` was set.
        InputError: A file cannot be read.
        OutOfMemoryError: Not even a part of a patch fits into memory.
    """
    # It knows torch, which takes seconds to load.
    from engine.data.pieces import PatchReader

    nomenclature = judge.manifest.nomenclature
    codes = np.zeros(256, dtype=np.uint8)
    codes[: len(nomenclature.codes)] = nomenclature.codes
    reader = PatchReader(
        pairs=judge.test.pairs,
        bands=judge.channels,
        table=judge.classes.table,
        means=tuple(band.mean for band in judge.manifest.bands),
        nodata=judge.test.index.header.nodata,
    )
    steps = [at_once]

    def ran_out(text: str) -> None:
        if steps[0]:
            report(text)
        steps[0] = 0

    classifier = WindowClassifier(predictor, nomenclature, blend=False, augment=False, report=ran_out)
    with ThreadPoolExecutor(min(_READERS, at_once)) as pool:
        waiting: deque[Future[tuple[Pixels, Pixels]]] = deque()
        ahead, number = start, start
        try:
            while number < len(reader.pairs):
                if cancelled.is_set():
                    raise Cancelled
                size = min(max(1, steps[0]), len(reader.pairs) - number)
                # The next step is read while the device computes this one.
                while ahead < min(len(reader.pairs), number + 2 * size):
                    waiting.append(pool.submit(reader.read, ahead))
                    ahead += 1
                read = [waiting.popleft().result() for _ in range(size)]
                found = classifier.classify(np.stack([_padded(image, judge.shape) for image, _ in read])).codes
                if found is None:
                    raise RuntimeError("The network gave no codes")
                for (image, target), predicted in zip(read, found, strict=True):
                    rows, columns = target.shape
                    shown = np.ascontiguousarray(predicted[:rows, :columns])
                    yield JudgedPatch(number, reader.pairs[number], image, codes[target], shown)
                    number += 1
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _padded(image: Pixels, shape: tuple[int, int]) -> Pixels:
    down, right = shape[0] - image.shape[1], shape[1] - image.shape[2]
    return np.pad(image, ((0, 0), (0, down), (0, right)), mode="symmetric")

"""A model meets labelled patches: what it has to be given, and what it says of each."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Union

import numpy as np
import numpy.typing as npt

from engine.comparison.patch_classes import PatchClasses, match_classes
from engine.comparison.tally import Compared, Comparer
from engine.data.pairs import Pair
from engine.errors import Cancelled, InputError, OutOfMemoryError
from engine.events import Reporter
from engine.inference.load import load_predictor
from engine.inference.memory import prediction_budget
from engine.inference.predictor import Predictor
from engine.inference.window_classifier import WindowClassifier
from engine.models.manifest import Manifest
from engine.models.resolve import ResolvedModel
from engine.study.labelled_set import LabelledSet
from engine.study.patch_season import NamedSeason, PatchSeason, season_of

if TYPE_CHECKING:
    from engine.data.pieces import PatchReader
    from engine.inference.season_patches import SeasonPatches

# Network's stride: sides are padded to its multiples.
STRIDE = 32
# Patches that a GPU gets at once at the most: more are hardly faster, and each waits in main memory until then.
MOST_AT_ONCE = 32
_READERS = 4

Codes = npt.NDArray[np.uint8]
Pixels = npt.NDArray[Any]
JudgedNetwork = Union[Predictor, "SeasonPatches"]
"""A network that says codes of patches: of images alone, or of those with their season."""
# Image and target, and what a model may look at beside them.
_Read = Any


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
        season: The patches' seasons, for a model that looks at them.
    """

    manifest: Manifest
    test: LabelledSet
    classes: PatchClasses
    comparer: Comparer
    season: PatchSeason | None = None

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
    season: NamedSeason | None = None,
) -> Judge:
    """Check that a model can be judged by some patches, and how.

    Args:
        manifest: The model's description.
        test: The patches.
        comparer: Made for the model's classes.
        classes: Classes of the masks with a code or name of the model each, see `match_classes`.
        ignore: Codes of the masks that are not counted; None lets the data set tell.
        reporter: Is told of codes that differ.
        season: Satellite images that are named for the patches.

    Raises:
        InputError: Bands or classes do not fit, or the model needs a season and none is named.
        RequestError: `classes` cannot be read.
    """
    missing = [name for name in manifest.band_names if name not in test.index.bands]
    if missing:
        raise InputError(
            f"The model wants the bands {', '.join(manifest.band_names)}, but the data set lacks "
            f"{', '.join(missing)}; it holds {', '.join(test.index.bands)}.",
            "Choose a data set with these bands, or another model.",
        )
    seasons = season_of(manifest, test, season or NamedSeason())
    ignored = set(test.dataset.ignored if ignore is None else ignore)
    pixels = test.index.pixels(test.split)
    matched = match_classes(test.dataset.nomenclature, manifest.nomenclature, classes, ignored, pixels, reporter)
    return Judge(manifest, test, matched, comparer, seasons)


def load_judged(
    model: ResolvedModel, device: str, *, pixels: int, threads: int | None, reporter: Reporter
) -> JudgedNetwork:
    """Load a model onto a device, to say codes of whole patches in exact arithmetic.

    Args:
        model: The model.
        device: `cpu`, `cuda`, `cuda:N` or `mps`.
        pixels: Pixels to classify in all.
        threads: CPU threads, None for all.
        reporter: Told what is prepared.

    Raises:
        DeviceError: The device is absent.
        ModelError: The model cannot be used.
    """
    if model.manifest.season is None:
        loaded = load_predictor(model, device, "exact", "codes", (), pixels=pixels, threads=threads, reporter=reporter)
        return loaded.predictor
    from engine.inference.season_patches import SeasonPatches

    return SeasonPatches(model, device, threads)


def patches_at_once(predictor: JudgedNetwork, shape: tuple[int, int]) -> int:
    """Return how many patches a device gets in one step: as many as fit into a GPU's memory, on the CPU one.

    Args:
        predictor: The network on its device.
        shape: Height and width of a patch as the network gets it.
    """
    if predictor.device == "cpu":
        return 1
    budget = prediction_budget(predictor.device, None)
    return int(np.clip(budget // max(1.0, predictor.bytes_per_pixel * shape[0] * shape[1]), 1, MOST_AT_ONCE))


def judged_patches(
    judge: Judge,
    predictor: JudgedNetwork,
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
        report: Told once when memory ran out and patches are predicted one by one, or in parts; and at the end how many
            had no date of their season.
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
    steps, without = [at_once], 0

    def ran_out(text: str) -> None:
        if steps[0]:
            report(text)
        steps[0] = 0

    read, said = _ways(judge, predictor, reader, ran_out)
    with ThreadPoolExecutor(min(_READERS, at_once)) as pool:
        waiting: deque[Future[_Read]] = deque()
        ahead, number = start, start
        try:
            while number < len(reader.pairs):
                if cancelled.is_set():
                    raise Cancelled
                size = min(max(1, steps[0]), len(reader.pairs) - number)
                # The next step is read while the device computes this one.
                while ahead < min(len(reader.pairs), number + 2 * size):
                    waiting.append(pool.submit(read, ahead))
                    ahead += 1
                pieces = [waiting.popleft().result() for _ in range(size)]
                for piece, predicted in zip(pieces, said(pieces), strict=True):
                    image, target = piece[:2]
                    without += judge.season is not None and not piece.series.dates
                    rows, columns = target.shape
                    shown = np.ascontiguousarray(predicted[:rows, :columns])
                    yield JudgedPatch(number, reader.pairs[number], image, codes[target], shown)
                    number += 1
            if without:
                report(
                    f"{without} of {len(reader.pairs)} patches have no satellite image that shows all their ground; "
                    "the aerial image alone answered for them."
                )
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _ways(
    judge: Judge, predictor: JudgedNetwork, reader: PatchReader, ran_out: Callable[[str], None]
) -> tuple[Callable[[int], _Read], Callable[[list[_Read]], Codes]]:
    """Return how a patch is read, image and target first, and how codes (N, height, width) are said of some."""
    if judge.season is not None:
        from engine.data.time_series.season_pieces import WholeSeasonPatches

        patches = WholeSeasonPatches(reader, judge.season.source, judge.season.metadata)
        return patches.__getitem__, lambda pieces: _seasonal_codes(predictor, pieces, ran_out)
    if not hasattr(predictor, "predict"):
        raise TypeError("the network wants a season")
    classifier = WindowClassifier(predictor, judge.manifest.nomenclature, blend=False, augment=False, report=ran_out)

    def codes(pieces: list[_Read]) -> Codes:
        found = classifier.classify(np.stack([_padded(piece[0], judge.shape) for piece in pieces])).codes
        if found is None:
            raise RuntimeError("The network gave no codes")
        return found

    return reader.read, codes


def _seasonal_codes(predictor: Any, pieces: list[_Read], ran_out: Callable[[str], None]) -> Codes:
    from engine.data.time_series.season_pieces import batch_pieces

    try:
        found: Codes = predictor.codes(batch_pieces(pieces))
    except MemoryError as error:
        ran_out("Memory ran out; going on in smaller steps.")
        if len(pieces) == 1:
            raise OutOfMemoryError(
                f"A patch with its season does not fit into the memory of '{predictor.device}'.",
                "Close other programs, or use --device cpu.",
            ) from error
        found = np.concatenate([_seasonal_codes(predictor, [piece], ran_out) for piece in pieces])
    return found


def _padded(image: Pixels, shape: tuple[int, int]) -> Pixels:
    down, right = shape[0] - image.shape[1], shape[1] - image.shape[2]
    return np.pad(image, ((0, 0), (0, down), (0, right)), mode="symmetric")

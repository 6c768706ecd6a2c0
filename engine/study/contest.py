"""All models of a study meet all of its tests; one that fails does not stop the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from engine.comparison.tally import Comparer, Tally
from engine.errors import Cancelled, EngineError, OutputError
from engine.events import Reporter
from engine.inference.device_name import device_name
from engine.models.checkpoint import read_tensors
from engine.models.resolve import ResolvedModel, resolve_model
from engine.part_reporter import PartReporter
from engine.rasters.disk import output_error
from engine.study.judge import Judge, JudgedNetwork, appoint, load_judged
from engine.study.labelled_set import LabelledSet, open_labelled_set
from engine.study.pace import Pace
from engine.study.pair import judge_pair, tally_of
from engine.study.patch_rasters import STYLE, PatchRasters
from engine.study.patch_season import NamedSeason
from engine.study.samples import chosen_patches
from engine.study.standing import Standing, pair_key
from engine.study.study_file import MOST_SAMPLES, Study, StudyModel, StudyTest, folder_name

PAIRS, PREDICTIONS, STANDING = "pairs", "predictions", "tally.npz"
# Shares of the progress bar when all patches are looked at, and when all are predicted.
_LOOKED, _PREDICTED = 0.1, 0.98
_NOT_TRAINED = ("running_mean", "running_var", "num_batches_tracked")


@dataclass
class Pairing:
    """A model and a test, and what came of them.

    Args:
        model: The model, as the study names it.
        test: The test, likewise.
        folder: Where its files are.
        error: Why it failed; None where it did not.
        resolved: The model, when it could be opened.
        judge: The model and the patches, when both could be.
        standing: What was counted.
        tally: Its sum; None where it failed.
    """

    model: StudyModel
    test: StudyTest
    folder: Path
    error: EngineError | None = None
    resolved: ResolvedModel | None = None
    judge: Judge | None = None
    standing: Standing | None = None
    tally: Tally[None] | None = None


@dataclass
class Contest:
    """A study in the making.

    Args:
        study: What is asked for.
        definition: What the figures count.
        output: Folder of the study.
        device: `cpu`, `mps`, `cuda` or `cuda:N`.
        threads: CPU threads; None for all.
        predictions: Whether the class raster of every patch is kept.
        anew: Whether what an earlier run has counted is left aside.
        reporter: Receives progress, facts and warnings.
        cancelled: Set to stop; what is done stays for the next run.
    """

    study: Study
    definition: str
    output: Path
    device: str
    threads: int | None
    predictions: bool
    anew: bool
    reporter: Reporter
    cancelled: threading.Event
    tests: dict[str, LabelledSet] = field(default_factory=dict)
    seasons: dict[str, NamedSeason] = field(default_factory=dict)
    shown: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def run(self) -> list[Pairing]:
        """Judge every model by every test.

        Returns:
            All pairs, model by model.

        Raises:
            Cancelled: `cancelled` was set.
            OutputError: The output folder cannot be written.
        """
        pairings = [
            Pairing(model, test, self.output / PAIRS / folder_name(model.name) / folder_name(test.name))
            for model in self.study.models
            for test in self.study.tests
        ]
        self._look_at_tests(pairings)
        self._open_models(pairings)
        for pairing in pairings:
            self._attempt(pairing, partial(self._begin, pairing))
        self._predict(pairings)
        return pairings

    def _look_at_tests(self, pairings: list[Pairing]) -> None:
        for number, test in enumerate(self.study.tests):
            width = _LOOKED / len(self.study.tests)
            part = PartReporter(self.reporter, number * width, width)

            def look(test: StudyTest = test, part: PartReporter = part) -> None:
                found = open_labelled_set(test.data, test.split, test.root, part, self.cancelled)
                self.tests[test.name] = found
                self.seasons[test.name] = NamedSeason.open(test.season, test.centroids, test.metadata)
                self.shown[test.name] = chosen_patches(found.index.counts[found.split], MOST_SAMPLES)

            error = self._caught(look)
            if error:
                self._fail(error, [item for item in pairings if item.test is test])

    def _open_models(self, pairings: list[Pairing]) -> None:
        for model in self.study.models:
            if self.cancelled.is_set():
                raise Cancelled
            own = [item for item in pairings if item.model is model]
            # A download tells of itself at 0.
            part = PartReporter(self.reporter, _LOOKED, 0)

            def resolve(model: StudyModel = model, own: list[Pairing] = own, part: PartReporter = part) -> None:
                resolved = resolve_model(
                    model.model, model.weights, season=True, reporter=part, cancelled=self.cancelled
                )
                for item in own:
                    item.resolved = resolved

            error = self._caught(resolve)
            if error:
                self._fail(error, own)

    def _begin(self, pairing: Pairing) -> None:
        """Find out what is left to do for a pair."""
        resolved = pairing.resolved
        if resolved is None:
            return
        comparer = Comparer(resolved.manifest.nomenclature, self.definition)
        ignore = None if self.study.ignore is None else set(self.study.ignore)
        judge = appoint(
            resolved.manifest,
            self.tests[pairing.test.name],
            comparer,
            classes=pairing.test.classes,
            ignore=ignore,
            reporter=self.reporter,
            season=self.seasons.get(pairing.test.name),
        )
        pairing.judge = judge
        key = pair_key(resolved, judge, self.device)
        kept = None if self.anew else Standing.read(pairing.folder / STANDING)
        if kept is None or not self._usable(kept, key, pairing, judge):
            kept = Standing(key, predictions=self.predictions)
        elif kept.done:
            self.reporter.log(
                f"'{pairing.model.name}' on '{pairing.test.name}': {kept.done} of {len(judge.test.pairs)} patches are "
                "done already."
            )
        pairing.standing = kept

    def _usable(self, kept: Standing, key: str, pairing: Pairing, judge: Judge) -> bool:
        if kept.key != key or not 0 <= kept.done <= len(judge.test.pairs):
            return False
        try:
            tally_of(judge, kept)
        except ValueError:
            return False
        there = kept.predictions and (self._rasters_folder(pairing) / STYLE).is_file()
        return there or not self.predictions

    def _predict(self, pairings: list[Pairing]) -> None:
        running = [item for item in pairings if item.error is None]
        pace = Pace(
            PartReporter(self.reporter, _LOOKED, _PREDICTED - _LOOKED),
            patches=sum(_patches(item) for item in running),
            there=sum(item.standing.done for item in running if item.standing),
        )
        for model in self.study.models:
            own = [item for item in running if item.model is model]
            if any(item.standing and item.standing.done < _patches(item) for item in own):
                # One network at a time is in memory.
                self._judge_model(own, pace)
            for item in own:
                if item.error is None and item.judge and item.standing:
                    item.tally = tally_of(item.judge, item.standing)

    def _judge_model(self, pairings: list[Pairing], pace: Pace) -> None:
        resolved = pairings[0].resolved
        if resolved is None:
            return
        with pace.paused(f"Loading {pairings[0].model.name}"):
            pixels = sum(item.judge.pixels for item in pairings if item.judge)
            predictor, failure = self._load(resolved, pixels)
        for item in pairings:
            if predictor is None or failure is not None:
                self._fail(failure or EngineError("internal", "The network could not be loaded."), [item])
                pace.skip(_patches(item))
            else:
                work = partial(self._judge, item, predictor, pace)
                self._attempt(item, work)

    def _load(self, model: ResolvedModel, pixels: int) -> tuple[JudgedNetwork | None, EngineError | None]:
        found: list[JudgedNetwork] = []

        def load() -> None:
            found.append(load_judged(model, self.device, pixels=pixels, threads=self.threads, reporter=self.reporter))

        error = self._caught(load)
        return (found[0] if found else None), error

    def _judge(self, pairing: Pairing, predictor: JudgedNetwork, pace: Pace) -> None:
        judge, standing, resolved = pairing.judge, pairing.standing, pairing.resolved
        if judge is None or standing is None or resolved is None or standing.done == len(judge.test.pairs):
            return
        try:
            pairing.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise output_error(pairing.folder, error) from error
        # The folder is this run's alone: what a killed one was writing is no one's.
        for left_behind in pairing.folder.glob(f".{STANDING}.*.partial"):
            left_behind.unlink(missing_ok=True)
        standing.device, standing.device_name = predictor.device, device_name(predictor.device)
        if not standing.parameters:
            standing.parameters = parameters_of(resolved.path)
        rasters = None
        if self.predictions:
            nomenclature = judge.manifest.nomenclature
            rasters = PatchRasters(self._rasters_folder(pairing), judge.test.pairs, nomenclature)
        name, count, start = f"{pairing.model.name} on {pairing.test.name}", len(judge.test.pairs), [standing.done]

        def told(number: int) -> None:
            pace.tell(number - start[0], f"{name}, {number} of {count} patches")
            start[0] = number

        judge_pair(
            judge,
            predictor,
            standing,
            pairing.folder / STANDING,
            shown=self.shown[pairing.test.name],
            rasters=rasters,
            told=told,
            report=self.reporter.warning,
            cancelled=self.cancelled,
        )

    def _rasters_folder(self, pairing: Pairing) -> Path:
        return self.output / PREDICTIONS / pairing.folder.parent.name / pairing.folder.name

    def _attempt(self, pairing: Pairing, work: Callable[[], None]) -> None:
        if pairing.error is None:
            error = self._caught(work, writes=True)
            if error:
                self._fail(error, [pairing])

    def _fail(self, error: EngineError, pairings: list[Pairing]) -> None:
        failed = [item for item in pairings if item.error is None]
        for item in failed:
            item.error = error
        if failed:
            models, tests = ({item.model.name: 0 for item in failed}, {item.test.name: 0 for item in failed})
            are = "are" if len(failed) > 1 else "is"
            self.reporter.warning(f"{_quoted(models)} on {_quoted(tests)} {are} left out: {error}")

    def _caught(self, work: Callable[[], None], *, writes: bool = False) -> EngineError | None:
        """Do something, and return why it failed; what concerns the whole study is raised.

        Args:
            work: What to do.
            writes: Whether it writes into the study's folder: without that, nothing of the study can go on.
        """
        try:
            work()
        except Cancelled:
            raise
        except EngineError as error:
            if writes and isinstance(error, OutputError):
                raise
            # There are no options on a command line to be named here, but keys of a study.
            return EngineError(error.kind, error.message.replace("--", ""), error.hint.replace("--", ""))
        except MemoryError:
            return EngineError("memory", "There is not enough memory.", "Close other programs, or use another device.")
        except Exception as error:
            # Whatever a foreign file makes a library raise, the other models are to be judged.
            first = (str(error).strip().splitlines() or [""])[0][:200]
            return EngineError("internal", f"Unexpected: {type(error).__name__}: {first}")
        return None


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _patches(pairing: Pairing) -> int:
    return len(pairing.judge.test.pairs) if pairing.judge else 0


def parameters_of(path: Path) -> int:
    """Return how many numbers of a checkpoint were trained.

    Raises:
        ModelError: It cannot be read.
    """
    return sum(
        tensor.numel()
        for name, tensor in read_tensors(path).items()
        if tensor.is_floating_point() and not name.endswith(_NOT_TRAINED)
    )

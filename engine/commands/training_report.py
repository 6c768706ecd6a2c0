"""The report of a training: figures on validation and test patches, and pictures of some."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from engine import __version__
from engine.cancellation import Cancellation
from engine.evaluation.confusion import ConfusionMatrix
from engine.evaluation.definitions import definition_named
from engine.evaluation.scores import Scores, score
from engine.events import Reporter, format_duration
from engine.nomenclature import Nomenclature
from engine.reports.page import write_report
from engine.reports.pictures import class_picture, picture
from engine.reports.training_report import Sample, TrainingReport, render
from engine.training.preparation import TrainingJob
from engine.training.work_folder import WorkFolder

if TYPE_CHECKING:
    from engine.training.judging import Judge
    from engine.training.keeper import Keeper

DEFINITION = "strict"
SAMPLES = 6


def report_training(
    job: TrainingJob,
    keeper: Keeper,
    folder: WorkFolder,
    path: Path,
    device: str,
    half: bool,
    seconds: float,
    reporter: Reporter,
    cancelled: Cancellation,
) -> dict[str, float]:
    """Judge the best model and write the report.

    Args:
        job: What was learnt.
        keeper: History, and the confusion matrix of the best epoch.
        folder: Where the best model lies.
        path: Report to write.
        device: Device to predict on.
        half: Whether to compute in 16 bits.
        seconds: Duration of the training.
        reporter: Receives the figures.
        cancelled: Set to stop.

    Returns:
        Figures by name, 0 to 1: `overall_accuracy` of the validation, and `test_miou` and `test_overall_accuracy`
        where there are test patches.

    Raises:
        OutputError: The report cannot be written.
        Cancelled: `cancelled` was set.
    """
    from engine.training.judging import Judge

    nomenclature = job.manifest.nomenclature
    judge = Judge(job, folder, device, half)
    confusion = np.array(keeper.best_confusion, dtype=np.int64)
    scores = _scores(nomenclature, confusion)
    figures = {"overall_accuracy": scores.overall_accuracy}
    _tell("validation", scores, reporter)
    notes = [f"No validation patch holds: {', '.join(scores.absent)}."] if scores.absent else []
    summary = _summary(job, keeper, device, seconds)
    if "test" in job.index.pairs:
        tested = _scores(nomenclature, judge.confusion("test", cancelled))
        _tell("test", tested, reporter)
        figures |= {"test_miou": tested.miou, "test_overall_accuracy": tested.overall_accuracy}
        summary.append(
            ("Test patches", f"mean IoU {_percent(tested.miou)}, accuracy {_percent(tested.overall_accuracy)}")
        )
    report = TrainingReport(
        title=job.manifest.name,
        summary=summary,
        history=keeper.history,
        best_epoch=int(keeper.best["epoch"]) if keeper.best else None,
        scores=scores.to_dict(),
        definition=definition_named(DEFINITION).text,
        scored_on="validation patches",
        confusion=_shown(nomenclature, confusion, scores),
        samples=_samples(judge, job),
        notes=notes,
        options={**job.recipe.model_dump(mode="json"), "seed": job.request.seed},
    )
    write_report(path, render(report))
    return figures


def _matrix(nomenclature: Nomenclature, counts: npt.NDArray[np.int64]) -> ConfusionMatrix:
    matrix = ConfusionMatrix(nomenclature)
    matrix.add_matrix(counts)
    return matrix


def _scores(nomenclature: Nomenclature, counts: npt.NDArray[np.int64]) -> Scores:
    return score(_matrix(nomenclature, counts), DEFINITION)


def _shown(nomenclature: Nomenclature, counts: npt.NDArray[np.int64], scores: Scores) -> list[list[int]]:
    reduced = definition_named(DEFINITION).reduce(_matrix(nomenclature, counts))
    rows: list[list[int]] = reduced.counts[: len(scores.classes)].tolist()
    return rows


def _tell(what: str, scores: Scores, reporter: Reporter) -> None:
    reporter.log(
        f"On the {what} patches: mean IoU {_percent(scores.miou)}, overall accuracy "
        f"{_percent(scores.overall_accuracy)}."
    )
    if what == "validation":
        for item in scores.classes:
            iou = f"IoU {100 * item.iou:5.1f} %" if item.present else "absent"
            reporter.log(f"  {item.name:<24}{iou}")


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f} %"


def _summary(job: TrainingJob, keeper: Keeper, device: str, seconds: float) -> list[tuple[str, str]]:
    manifest, recipe = job.manifest, job.recipe
    versions = manifest.provenance["versions"].items()
    start = job.origin.manifest.name if job.origin else recipe.encoder_weights
    patches = ", ".join(f"{len(pairs)} {split}" for split, pairs in job.index.pairs.items())
    best = "" if keeper.best is None else f", the best {keeper.best['epoch']:.0f}"
    return [
        ("Data set", f"{job.dataset.name}: {patches} patches"),
        ("Bands", ", ".join(manifest.band_names)),
        *_season(job),
        ("Ground sampling distance", f"{manifest.ground_sampling_distance:.3g} m"),
        ("Network", f"{manifest.architecture} with {manifest.encoder}"),
        ("Start", {"none": "random weights", "imagenet": "ImageNet"}.get(start, Path(start).name)),
        ("Recipe", Path(job.request.preset).name),
        ("Epochs", f"{len(keeper.history)}{best}"),
        ("Device", device),
        ("Duration", format_duration(seconds)),
        ("Finished", datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")),
        ("Versions", ", ".join([f"FLAIR land cover {__version__}", *(f"{key} {value}" for key, value in versions)])),
    ]


def _season(job: TrainingJob) -> list[tuple[str, str]]:
    if job.season is None:
        return []
    season = job.season.input
    text = (
        f"{', '.join(band.name for band in season.bands)}; {season.side} x {season.side} pixels of "
        f"{season.ground_sampling_distance:.4g} m; {job.season.amount}"
    )
    return [("Season", text + ("; with the aerial metadata" if season.metadata else ""))]


def _samples(judge: Judge, job: TrainingJob) -> list[Sample]:
    nomenclature, names = job.manifest.nomenclature, job.manifest.band_names
    return [
        Sample(
            image=picture(shown.pixels, names),
            truth=class_picture(shown.truth, nomenclature),
            prediction=class_picture(shown.predicted, nomenclature),
            caption=f"{shown.name}, {_percent(shown.right)} of the labelled pixels right",
        )
        for shown in judge.show(SAMPLES)
    ]

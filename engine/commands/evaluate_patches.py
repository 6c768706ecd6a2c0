"""Judges a model on the patches of a data set, predicting as it goes."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import __version__
from engine.commands.evaluation_output import Findings, few_units, percent, tell, write_findings
from engine.comparison.error_map import VERDICTS
from engine.comparison.result_folder import EVALUATION
from engine.comparison.tally import Comparer, Tally, most_units
from engine.errors import InputError, OutputError
from engine.evaluation.scores import score
from engine.events import Reporter, format_duration
from engine.inference.device import choose_device
from engine.models.resolve import ResolvedModel, resolve_model
from engine.nomenclature import NODATA
from engine.reports.evaluation_report import WorstPlace
from engine.reports.pictures import class_picture, picture
from engine.requests import EvaluateRequest
from engine.study.judge import Judge, JudgedNetwork, JudgedPatch, appoint, judged_patches, load_judged, patches_at_once
from engine.study.labelled_set import open_labelled_set
from engine.study.patch_rasters import PatchRasters, check_rasters_folder, staged_rasters
from engine.study.patch_season import NamedSeason, needs_season

WORST = 6
# Shares of the progress bar when all files are looked at, and when all patches are predicted.
INDEXED, PREDICTED = 0.05, 0.97


@dataclass(frozen=True)
class _Job:
    request: EvaluateRequest
    output: Path
    predictions: Path | None
    model: ResolvedModel
    device: str
    judge: Judge


def evaluate_patches(request: EvaluateRequest, reporter: Reporter, cancelled: threading.Event) -> dict[str, Any]:
    """Judge a model; see `engine.commands.evaluate.run`."""
    began = time.monotonic()
    job = _prepare(request, reporter, cancelled)
    reporter.progress(INDEXED, "Loading the model")
    predictor = load_judged(job.model, job.device, pixels=job.judge.pixels, threads=request.threads, reporter=reporter)
    with ExitStack() as stack:
        folder = stack.enter_context(EVALUATION.staged(job.output, overwrite=request.overwrite))
        rasters = None
        if job.predictions is not None:
            pairs, nomenclature = job.judge.test.pairs, job.model.manifest.nomenclature
            rasters = stack.enter_context(staged_rasters(job.predictions, pairs, nomenclature))
        tally = _judge(job, predictor, rasters, reporter, cancelled)
        found = _findings(job, tally, predictor.device, reporter)
        result = write_findings(request, found, folder, time.monotonic() - began)
    reporter.progress(1.0, f"Done in {format_duration(time.monotonic() - began)}", 0.0)
    return {**result, "predictions": str(job.predictions) if job.predictions else None}


def _prepare(request: EvaluateRequest, reporter: Reporter, cancelled: threading.Event) -> _Job:
    output = Path(request.output).expanduser().resolve()
    predictions = Path(request.predictions).expanduser().resolve() if request.predictions else None
    data, named = request.data or "", request.model or ""
    EVALUATION.check(output, [data], overwrite=request.overwrite)
    if predictions is not None:
        if predictions == output or output in predictions.parents or predictions in output.parents:
            raise OutputError(
                "The folders of the evaluation and of the predictions lie in each other.", "Give two that do not."
            )
        check_rasters_folder(predictions, overwrite=request.overwrite)
    device = choose_device(request.device, reporter)
    model = resolve_model(named, request.weights, season=True, reporter=reporter, cancelled=cancelled)
    if request.season and model.manifest.season is None:
        raise InputError(
            f"The model '{model.manifest.name}' looks at aerial images alone: it has no use for the satellite images "
            f"of '{request.season}'.",
            "Leave --season out, or take a model that was trained with a season.",
        )
    # Before thousands of files are looked at.
    comparer = Comparer(model.manifest.nomenclature, request.definition)
    season = NamedSeason.open(request.season, request.centroids, request.metadata)
    if model.manifest.season is not None and not request.season:
        # What is wrong is said before thousands of files are looked at.
        raise needs_season(model.manifest)
    test = open_labelled_set(data, request.split, request.root, reporter, cancelled, INDEXED)
    ignore = None if request.ignore is None else set(request.ignore)
    judge = appoint(
        model.manifest, test, comparer, classes=request.classes, ignore=ignore, reporter=reporter, season=season
    )
    return _Job(request, output, predictions, model, device, judge)


def _judge(
    job: _Job, predictor: JudgedNetwork, rasters: PatchRasters | None, reporter: Reporter, cancelled: threading.Event
) -> Tally[JudgedPatch]:
    nomenclature = job.model.manifest.nomenclature
    number = len(job.judge.test.pairs)
    merged = -(-number // most_units(len(nomenclature.classes)))
    tally: Tally[JudgedPatch] = Tally(nomenclature, -(-number // merged), WORST)
    began = time.monotonic()
    at_once = patches_at_once(predictor, job.judge.shape)
    for patch in judged_patches(job.judge, predictor, cancelled, reporter.warning, at_once=at_once):
        tally.add(patch.number // merged, job.judge.compare(patch), lambda patch=patch: patch)  # type: ignore[misc]
        if rasters is not None:
            rasters.write(patch.pair, patch.predicted)
        done = (patch.number + 1) / number
        left = (time.monotonic() - began) / done * (1 - done)
        share = INDEXED + (PREDICTED - INDEXED) * done
        reporter.progress(share, f"Predicting, {patch.number + 1} of {number} patches", left)
    return tally


def _findings(job: _Job, tally: Tally[JudgedPatch], device: str, reporter: Reporter) -> Findings:
    request, nomenclature = job.request, job.model.manifest.nomenclature
    matrix = tally.matrix
    scores = score(matrix, request.definition)
    if not scores.pixels:
        raise InputError(
            f"No pixel of the {request.split} patches is of a class that the model can predict.",
            f"It predicts {', '.join(item.name for item in nomenclature.enabled)}; map the truth's with --classes.",
        )
    intervals = tally.intervals(request.definition, request.seed)
    notes = [*job.judge.classes.notes, *few_units(intervals, "patches")]
    for note in notes:
        reporter.warning(note)
    tell(scores, intervals, reporter)
    pairs = job.judge.test.pairs
    names = job.model.manifest.band_names
    return Findings(
        title=f"{job.model.manifest.name} on {job.judge.test.dataset.name}",
        matrix=matrix,
        scores=scores,
        intervals=intervals,
        drawn_from=f"{intervals.units} patches" if intervals else "",
        summary=[
            ("Model", job.model.manifest.name),
            ("Data set", f"{job.judge.test.dataset.name}: {len(pairs)} {request.split} patches"),
            ("Bands", ", ".join(names)),
            *([("Season", Path(request.season).name)] if request.season else []),
            ("Definition", request.definition),
            ("Ignored codes", ", ".join(map(str, sorted(job.judge.classes.ignored - {NODATA}))) or "none"),
            ("Device", f"{device}, exact"),
            ("Version", f"FLAIR land cover {__version__}"),
        ],
        worst=[
            WorstPlace(
                image=picture(item.place.pixels, names),
                truth=class_picture(item.place.truth, nomenclature),
                prediction=class_picture(item.place.predicted, nomenclature),
                errors=class_picture(job.judge.comparer.verdicts(item.place.truth, item.place.predicted), VERDICTS),
                caption=f"{item.place.pair.image.name}: {item.wrong} of {item.judged} pixels wrong, "
                f"{percent(item.wrong / item.judged)}",
            )
            for item in tally.worst
        ],
        notes=notes,
    )

"""Judges one model by one set of patches, and goes on where an earlier run was stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.comparison.tally import Tally, most_units
from engine.study.judge import Judge, JudgedNetwork, JudgedPatch, judged_patches, patches_at_once
from engine.study.patch_rasters import PatchRasters
from engine.study.peak_memory import PeakMemory
from engine.study.standing import Standing

SAVE_SECONDS = 30.0
"""Time that a run which is killed loses at the most."""


def empty_tally(judge: Judge) -> tuple[Tally[None], int]:
    """Return a tally for all patches, and how many patches go into one of its matrices."""
    nomenclature = judge.manifest.nomenclature
    number = len(judge.test.pairs)
    merged = -(-number // most_units(len(nomenclature.classes)))
    return Tally(nomenclature, -(-number // merged), 0), merged


def tally_of(judge: Judge, standing: Standing) -> Tally[None]:
    """Return the tally of a standing.

    Raises:
        ValueError: It does not belong to these patches.
    """
    tally, _ = empty_tally(judge)
    if standing.done:
        tally.add_units(standing.units)
    return tally


def judge_pair(
    judge: Judge,
    predictor: JudgedNetwork,
    standing: Standing,
    file: Path,
    *,
    shown: Sequence[int],
    rasters: PatchRasters | None,
    told: Callable[[int], None],
    report: Callable[[str], None],
    cancelled: threading.Event,
) -> None:
    """Judge the patches that are left; the standing grows, and is written every half minute and at the end.

    Args:
        judge: The model and the patches.
        predictor: The model's network.
        standing: What is known already.
        file: Where it is kept.
        shown: Numbers of the patches whose prediction is kept for a report.
        rasters: Where class rasters go; None keeps none.
        told: Called with the number of patches done.
        report: Told when memory ran out.
        cancelled: Set to stop; what is done stays.

    Raises:
        Cancelled: `cancelled` was set.
        InputError: A file cannot be read.
        OutputError: Something cannot be written.
    """
    tally = tally_of(judge, standing)
    _, merged = empty_tally(judge)
    at_once = patches_at_once(predictor, judge.shape)
    # Of a step that was begun nothing counts, so that a run that goes on takes the same patches together.
    step: list[JudgedPatch] = []
    peak_before, saved = standing.peak_memory, time.monotonic()

    def count(patches: Sequence[JudgedPatch]) -> None:
        # What can fail comes first: a step is counted whole or not at all.
        for patch in patches:
            if rasters is not None:
                rasters.write(patch.pair, patch.predicted)
        for patch in patches:
            tally.add(patch.number // merged, judge.compare(patch), _nowhere)
            standing.pixels += patch.truth.size
            if patch.number in shown:
                standing.samples[patch.number] = patch.predicted
        standing.done += len(patches)

    def save() -> None:
        standing.units = tally.units
        standing.peak_memory = max(peak_before, peak.bytes)
        standing.save(file)

    with PeakMemory(predictor.device) as peak:
        began = time.monotonic()
        try:
            for patch in judged_patches(judge, predictor, cancelled, report, at_once=at_once, start=standing.done):
                step.append(patch)
                if len(step) < at_once and patch.number + 1 < len(judge.test.pairs):
                    continue
                count(step)
                step.clear()
                now = time.monotonic()
                standing.seconds += now - began
                told(standing.done)
                if now - saved >= SAVE_SECONDS:
                    save()
                    saved = time.monotonic()
                began = time.monotonic()
        finally:
            save()


def _nowhere() -> None:
    """Stand for the place of a patch, which no one asks for."""

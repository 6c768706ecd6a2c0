"""What a study found, as plain values: they go into benchmark.json, and every table and report is made of them."""

from __future__ import annotations

from typing import Any

from engine.evaluation.definitions import definition_named
from engine.evaluation.scores import score
from engine.study.against_published import (
    CLASS_FIGURES,
    FIGURES,
    Against,
    against_published,
    classes_against,
    main_result,
    none_for_nan,
    reproduced_result,
)
from engine.study.checks import Check, data_checks, model_checks, result_checks
from engine.study.contest import Pairing
from engine.study.standing import Standing

AVERAGES = (*FIGURES, "overall_accuracy", "kappa")
_MOST_CLASSES = 3
SEED = 0


def pairing_values(pairing: Pairing, definition: str) -> dict[str, Any]:
    """Return all that is known of a model on a test.

    Figures of one's own are shares of 1 under `scores` and `intervals`; all that stands beside published figures is in
    per cent, and differences are in points.

    Args:
        pairing: The model, the test, and what came of them.
        definition: What the figures count.
    """
    model, test = pairing.model, pairing.test
    values: dict[str, Any] = {
        "model": model.name,
        "test": test.name,
        "published_as": model.published_as,
        "error": str(pairing.error) if pairing.error else None,
    }
    if pairing.error or not (pairing.resolved and pairing.judge and pairing.standing and pairing.tally):
        return values
    matrix, labelled = pairing.tally.matrix, pairing.judge.test
    scores = score(matrix, definition)
    intervals = pairing.tally.intervals(definition, SEED)
    published = against_published(model.published_as, matrix, definition)
    main, reproduced = main_result(published, definition), reproduced_result(published)
    compared = [item for item in (main, reproduced) if item is not None]
    checks = [
        *(_row(item, "model") for item in model_checks(pairing.resolved, model.published_as)),
        *(_row(item, "patches") for item in data_checks(pairing.resolved, labelled, matrix, definition)),
        *(_row(check, _title(item)) for item in compared for check in result_checks(item, labelled)),
    ]
    classes = [item.to_dict() for item in classes_against(model.published_as, scores)]
    return {
        **values,
        "title": pairing.resolved.manifest.name,
        "file": pairing.resolved.path.name,
        "sha256": pairing.resolved.sha256,
        "bands": list(pairing.resolved.manifest.band_names),
        "patches": len(labelled.pairs),
        "ignored": sorted(pairing.judge.classes.ignored),
        "scores": scores.to_dict(),
        "intervals": {**intervals.to_dict(), "seed": SEED} if intervals else None,
        "speed": _speed(pairing.standing),
        "published": [item.to_dict() for item in published],
        "compared_with": [_title(item) for item in compared],
        "worth_a_word": any(item.worth_a_word for item in compared),
        "differences": [_sentence(item) for item in compared],
        "largest": _largest(classes),
        "classes": classes,
        "checks": checks,
        "notes": list(pairing.judge.classes.notes),
    }


def definition_values(definition: str) -> dict[str, str]:
    """Return name, text and source of a definition."""
    rule = definition_named(definition)
    return {"name": rule.name, "text": rule.text, "source": rule.source}


def model_row(values: dict[str, Any]) -> dict[str, Any]:
    """Return the short row of a pair that the command gives back; figures are shares of 1, None without a value."""
    scores = values.get("scores") or {}
    names = (*FIGURES, "overall_accuracy")
    return {
        "name": values["model"],
        "test": values["test"],
        **{name: scores.get(name) for name in names},
        "error": values["error"],
    }


def _row(check: Check, about: str) -> dict[str, Any]:
    return {"about": about, **check.to_dict()}


def _title(item: Against) -> str:
    return f"{item.result.source}, {item.result.rule}"


def _sentence(item: Against) -> str:
    """Say how one's own mean IoU, or the first figure that there is, lies to a published one."""
    for name, title in zip(FIGURES, ("mean IoU", "F-score", "precision", "recall"), strict=True):
        theirs, gap = getattr(item.result.averages, name), item.difference(name)
        if theirs is not None and gap is not None:
            ours = 100 * getattr(item.ours, name)
            return (
                f"{title[:1].upper()}{title[1:]} {ours:.2f} % here, {theirs:.2f} % by {_source(item)} on "
                f"{_data(item)}: {gap:+.2f} points."
            )
    return f"No averages to compare with are given by {_source(item)}."


def _source(item: Against) -> str:
    return "the model's card" if item.result.source == "card" else f"'{item.result.source}'"


def _data(item: Against) -> str:
    return "data that are not named" if item.result.data == "not said" else item.result.data


def _largest(classes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the classes whose IoU differs most from the published one, by name and points."""
    known = [item for item in classes if item["difference"]["iou"] is not None]
    known.sort(key=lambda item: -abs(item["difference"]["iou"]))
    return [{"name": item["name"], "points": item["difference"]["iou"]} for item in known[:_MOST_CLASSES]]


def _speed(standing: Standing) -> dict[str, Any]:
    seconds = standing.seconds
    return {
        "device": standing.device,
        "device_name": standing.device_name,
        "patches": standing.done,
        "pixels": standing.pixels,
        "seconds": seconds,
        "patches_per_second": standing.done / seconds if seconds else None,
        "megapixels_per_second": standing.pixels / seconds / 1e6 if seconds else None,
        "peak_memory_bytes": standing.peak_memory,
        "parameters": standing.parameters,
    }


def table2_rows(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the averages of all models, published ones first: figures in per cent, differences (ours - theirs)."""
    rows = []
    for item in results:
        if item["error"]:
            continue
        head = {"model": item["model"], "test": item["test"]}
        for result in item["published"]:
            rows.append(
                {
                    **head,
                    "source": result["source"],
                    "rule": result["rule"],
                    "data": result["data"],
                    **result["figures"],
                    **{f"difference_{name}": result["difference"][name] for name in FIGURES},
                }
            )
        scores = item["scores"]
        rows.append(
            {
                **head,
                "source": "this run",
                "rule": scores["definition"],
                "data": item["test"],
                **{name: per_cent(scores[name]) for name in FIGURES},
                **{f"difference_{name}": None for name in FIGURES},
            }
        )
    return rows


def table3_rows(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the figures of all classes of all models in per cent: published, reproduced, ours, and the difference."""
    rows = []
    for item in results:
        for row in item.get("classes", ()):
            rows.append(
                {
                    "model": item["model"],
                    "test": item["test"],
                    "code": row["code"],
                    "class": row["name"],
                    **{
                        f"{name}_{side}": row[side][name]
                        for name in CLASS_FIGURES
                        for side in ("published", "reproduced", "ours", "difference")
                    },
                }
            )
    return rows


def per_cent(share: float | None) -> float | None:
    """Return a share as a percentage."""
    return None if share is None else none_for_nan(100 * share)

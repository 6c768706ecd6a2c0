"""Figures that others published, to hold one's own against: `resources/published.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from engine.resources import RESOURCES

PUBLISHED = RESOURCES / "published.yaml"
Rule = Literal["ign", "ign-present", "challenge12", "printed"]


class Figures(BaseModel):
    """Figures of a class, or their averages, in per cent; None where the source gives none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fscore: float | None = Field(None, ge=0, le=100)
    precision: float | None = Field(None, ge=0, le=100)
    recall: float | None = Field(None, ge=0, le=100)


class ClassFigures(Figures):
    """Figures of a class."""

    iou: float | None = Field(None, ge=0, le=100)


class Averages(Figures):
    """Averages over the classes, and the share of right pixels."""

    miou: float | None = Field(None, ge=0, le=100)
    overall_accuracy: float | None = Field(None, ge=0, le=100)


class PublishedResult(BaseModel):
    """What one source says of one model under one rule.

    Args:
        model: Name of the model.
        source: `card`, `baseline`, `leaderboard`, `field report`, or study or report with its table.
        revision: Revisions of the card, shortest form.
        data: What the figures were measured on.
        rule: Which classes the means are taken over; `printed` where the source does not say.
        averages: Means, in per cent.
        derived: Names of averages that were computed from printed figures.
        spread: Printed deviation of the mIoU over trainings, in per cent.
        parameters: Millions of parameters.
        note: What a reader of the figures has to know.
        classes: Figures by English class name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    model: str
    source: str
    revision: str | None = None
    data: str
    rule: Rule
    averages: Averages
    derived: tuple[str, ...] = ()
    spread: float | None = Field(None, gt=0)
    parameters: float | None = Field(None, gt=0)
    note: str | None = None
    classes: dict[str, ClassFigures] = Field(default_factory=dict)


class PublishedSet(BaseModel):
    """The size of a set of patches that figures were published on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    patches: int = Field(gt=0)
    domains: int = Field(gt=0)


@dataclass(frozen=True)
class PublishedResults:
    """All results, in the order of the file.

    Args:
        results: The results.
        sets: Sizes of what they were measured on, as far as they are known, by the name that `data` gives it.
    """

    results: tuple[PublishedResult, ...]
    sets: Mapping[str, PublishedSet] = field(default_factory=dict)

    def of(
        self, model: str, *, source: str | None = None, rule: str | None = None, data: str | None = None
    ) -> tuple[PublishedResult, ...]:
        """Return the results of a model, under those sources, rules and data only that are given."""
        return tuple(
            item
            for item in self.results
            if item.model == model
            and (source is None or item.source == source)
            and (rule is None or item.rule == rule)
            and (data is None or item.data == data)
        )


@lru_cache
def load_published() -> PublishedResults:
    """Return all published results that travel with the project."""
    values = yaml.safe_load(PUBLISHED.read_text(encoding="utf-8"))
    return PublishedResults(
        tuple(PublishedResult.model_validate(item) for item in values["results"]),
        {name: PublishedSet.model_validate(item) for name, item in values["sets"].items()},
    )

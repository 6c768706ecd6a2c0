"""One's own figures beside those that were published of the same model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import RequestError
from engine.evaluation.confusion import ConfusionMatrix
from engine.evaluation.published import PublishedResult, load_published
from engine.evaluation.scores import Scores, score

FIGURES = ("miou", "fscore", "precision", "recall")
CLASS_FIGURES = ("iou", "fscore", "precision", "recall")
WORTH_A_WORD = 1.0
"""A difference in points from which on it is looked into."""
_REPRODUCTION = "reproduction"
# They repeat what another table of the study says of the same run, class by class.
_BY_CLASS = "table 3"


@dataclass(frozen=True)
class Against:
    """One published result, and one's own.

    Args:
        result: What was published.
        ours: One's own figures, by the definition of the study.
        theirs_rule: One's own figures by the rule of the published ones; None where the source names none, or where
            it does not suit the classes.
    """

    result: PublishedResult
    ours: Scores
    theirs_rule: Scores | None

    @property
    def reproduction(self) -> bool:
        """Whether these are figures of others who tried the same."""
        return self.result.source.endswith(_REPRODUCTION)

    def difference(self, figure: str) -> float | None:
        """Return one's own figure less the published one, in points; None where one of them is missing."""
        return points(getattr(self.ours, figure), getattr(self.result.averages, figure))

    @property
    def worth_a_word(self) -> bool:
        """Whether a figure differs by more than a point."""
        found = [self.difference(name) for name in FIGURES]
        return any(item is not None and abs(item) > WORTH_A_WORD for item in found)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold; published figures in per cent, differences in points."""
        return {
            "model": self.result.model,
            "source": self.result.source,
            "revision": self.result.revision,
            "data": self.result.data,
            "rule": self.result.rule,
            "note": self.result.note,
            "reproduction": self.reproduction,
            "figures": {name: getattr(self.result.averages, name) for name in FIGURES},
            "difference": {name: self.difference(name) for name in FIGURES},
            "ours_by_their_rule": None
            if self.theirs_rule is None
            else {name: none_for_nan(getattr(self.theirs_rule, name)) for name in FIGURES},
        }


def points(ours: float, published: float | None) -> float | None:
    """Return the difference in points of a share from 0 to 1 and a percentage; None where one has no value."""
    return None if published is None or math.isnan(ours) else 100 * ours - published


def none_for_nan(value: float) -> float | None:
    """Return a figure as JSON can hold it."""
    return None if math.isnan(value) else value


def against_published(name: str | None, matrix: ConfusionMatrix, definition: str) -> list[Against]:
    """Return all averages that were published of a model, each beside one's own; in the order of their file.

    Args:
        name: Name in the published figures; None for a model that has none.
        matrix: One's own counts.
        definition: Rule of the study.
    """
    if name is None:
        return []
    ours = score(matrix, definition)
    found = []
    for result in load_published().of(name):
        if _BY_CLASS in result.source:
            continue
        try:
            by_rule = None if result.rule == "printed" else score(matrix, result.rule)
        except RequestError:
            by_rule = None  # the rule needs more classes
        found.append(Against(result, ours, by_rule))
    return found


def main_result(found: list[Against], definition: str) -> Against | None:
    """Return the published result to compare with first: by the same rule, by the publisher, as complete as can be."""

    def rank(item: Against) -> tuple[bool, bool, int]:
        complete = sum(getattr(item.result.averages, name) is not None for name in FIGURES)
        return item.result.rule == definition, item.result.source == "card", complete

    return max((item for item in found if not item.reproduction), key=rank, default=None)


def reproduced_result(found: list[Against]) -> Against | None:
    """Return the figures of those who tried to reproduce the published ones."""
    return next((item for item in found if item.reproduction), None)


@dataclass(frozen=True)
class ClassAgainst:
    """One class: figures in per cent by their names in `CLASS_FIGURES`, None where there is none.

    Args:
        code: Code of the class.
        name: Its name.
        color: `#rrggbb`.
        present: Whether it is in the truth.
        ours: One's own.
        published: From the cards of the publisher.
        reproduced: By the reproducibility study.
    """

    code: int
    name: str
    color: str
    present: bool
    ours: Mapping[str, float | None]
    published: Mapping[str, float | None]
    reproduced: Mapping[str, float | None]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold, with the difference to the published figures in points."""
        return {
            **{name: getattr(self, name) for name in ("code", "name", "color", "present")},
            "ours": dict(self.ours),
            "published": dict(self.published),
            "reproduced": dict(self.reproduced),
            "difference": {
                name: None
                if (ours := self.ours[name]) is None or (theirs := self.published[name]) is None
                else ours - theirs
                for name in CLASS_FIGURES
            },
        }


def classes_against(name: str | None, ours: Scores) -> list[ClassAgainst]:
    """Return all classes of one's own figures, each beside what was published of it."""
    published: dict[str, dict[str, float | None]] = {}
    reproduced: dict[str, dict[str, float | None]] = {}
    for result in load_published().of(name) if name else ():
        table = reproduced if result.source.endswith(_REPRODUCTION) else published
        for title, figures in result.classes.items():
            kept = table.setdefault(title.casefold(), dict.fromkeys(CLASS_FIGURES))
            for figure in CLASS_FIGURES:
                if kept[figure] is None:
                    kept[figure] = getattr(figures, figure)
    nothing = dict.fromkeys(CLASS_FIGURES)
    return [
        ClassAgainst(
            code=item.code,
            name=item.name,
            color=item.color,
            present=item.present,
            ours={key: _per_cent(getattr(item, key)) for key in CLASS_FIGURES},
            published=published.get(item.name.casefold(), nothing),
            reproduced=reproduced.get(item.name.casefold(), nothing),
        )
        for item in ours.classes
    ]


def _per_cent(value: float) -> float | None:
    return None if math.isnan(value) else 100 * value

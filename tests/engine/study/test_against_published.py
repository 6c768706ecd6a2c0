"""Differences to published figures, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from engine.evaluation.confusion import ConfusionMatrix
from engine.evaluation.scores import score
from engine.nomenclature import load_nomenclature
from engine.study.against_published import against_published, classes_against, main_result, reproduced_result

NAME = "FLAIR-INC_rgbie_15cl_resnet34-unet"
FLAIR = load_nomenclature("flair").with_disabled([15, 16, 17, 19])


@pytest.fixture
def matrix():
    """All classes but snow and greenhouse are there, four fifths of each right."""
    made = ConfusionMatrix(FLAIR)
    counts = np.zeros((20, 20), dtype=np.int64)
    for index in range(13):
        counts[index, index] = 80
        counts[index, (index + 1) % 13] = 20
    made.add_matrix(counts)
    return made


def test_each_published_result_and_its_own_rule(matrix):
    found = against_published(NAME, matrix, "ign")
    assert [item.result.source for item in found] == [
        "card", "card", "field report", "study, table 2, IGN", "study, table 2, reproduction",
    ]  # fmt: skip
    iou = 80 / 120
    assert found[0].ours.miou == pytest.approx(13 * iou / 15)
    assert found[0].theirs_rule.miou == pytest.approx(iou)
    assert found[0].difference("miou") == pytest.approx(100 * 13 * iou / 15 - 58.625)
    assert found[1].difference("fscore") is None
    assert found[2].theirs_rule is None
    assert found[4].reproduction
    assert all(item.worth_a_word for item in found[:2])


def test_the_result_to_compare_with(matrix):
    found = against_published(NAME, matrix, "ign")
    assert main_result(found, "ign").result.averages.miou == 54.717
    assert main_result(found[2:], "ign").result.source == "study, table 2, IGN"
    assert main_result(found, "ign-present").result.averages.miou == 58.625
    assert reproduced_result(found).result.averages.miou == 44.30
    assert main_result([], "ign") is None
    assert against_published(None, matrix, "ign") == []


def test_classes_beside_both_sources(matrix):
    rows = {item.name: item for item in classes_against(NAME, score(matrix, "ign"))}
    assert rows["vineyard"].published["iou"] == 82.925
    assert rows["vineyard"].reproduced["iou"] == 43.9455
    assert rows["vineyard"].to_dict()["difference"]["iou"] == pytest.approx(100 * 80 / 120 - 82.925)
    assert rows["snow"].published["iou"] is None
    assert rows["snow"].to_dict()["difference"]["iou"] is None
    assert not rows["snow"].present
    assert len(rows) == 15

"""What is said of classes and splits."""

from __future__ import annotations

from engine.extraction.patch_choice import Choice, Patch
from engine.extraction.table import class_table, say_table, warn_of_gaps
from engine.nomenclature import load_nomenclature

FLAIR = load_nomenclature("flair")


def choice(pixels, side=1):
    splits = ("train", "val", "test")
    return Choice(tuple(Patch(0, 0, "D/Z/1", split) for split in splits), side, pixels, dict.fromkeys(FLAIR.codes, 2))


def test_a_row_for_each_class_that_occurs():
    table = class_table({"train": {7: 5, 1: 3}, "val": {19: 2}, "test": {}}, FLAIR)
    assert table == [
        {"code": 1, "name": "building", "color": "#db0e9a", "train": 3, "val": 0, "test": 0},
        {"code": 7, "name": "deciduous", "color": "#46e483", "train": 5, "val": 0, "test": 0},
        {"code": 19, "name": "other", "color": "#000000", "train": 0, "val": 2, "test": 0},
    ]


def test_the_table_in_the_log(recorder):
    table = class_table({"train": {7: 3000, 1: 1000}, "val": {7: 10}, "test": {}}, FLAIR)
    say_table(table, {"train": 4, "val": 1, "test": 0}, recorder)
    assert "train (4 patches)" in recorder.logs[0]
    assert recorder.logs[1].split() == ["1", "building", "1,000", "25.0", "%", "0", "0.0", "%", "0", "0.0", "%"]
    assert len({len(line) for line in recorder.logs}) == 1


def test_gaps_are_warned_of(recorder):
    pixels = {"train": {7: 5, 1: 3, 19: 5}, "val": {7: 5}, "test": {1: 1, 7: 9}}
    warn_of_gaps(class_table(pixels, FLAIR), choice(pixels), FLAIR, recorder)
    assert recorder.warnings == [
        "No pixel of 1 building is in val: only 2 blocks hold that class. Label more of it elsewhere."
    ]
    assert "19 other" in recorder.logs[0]
    warn_of_gaps(class_table(pixels, FLAIR), choice(pixels, side=3), FLAIR, recorder)
    assert "--block" in recorder.warnings[-1]


def test_a_single_class_is_warned_of(recorder):
    pixels = {"train": {7: 5, 19: 5}, "val": {7: 5}, "test": {7: 1}}
    warn_of_gaps(class_table(pixels, FLAIR), choice(pixels), FLAIR, recorder)
    assert recorder.warnings == ["Only one class occurs, 7 deciduous: a model needs at least two to tell apart."]

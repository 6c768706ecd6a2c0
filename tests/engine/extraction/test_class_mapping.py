"""Which code a label becomes."""

from __future__ import annotations

import pytest

from engine.errors import InputError, RequestError
from engine.extraction.class_mapping import ClassMapping, label_value
from engine.nomenclature import LandCoverClass, Nomenclature, load_nomenclature

FLAIR = load_nomenclature("flair")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (7, 7), (7.0, 7), ("7", 7), (" 007 ", 7), ("-3", -3), (3.5, "3.5"), ("  Bare   Soil ", "bare soil"),
        (None, None), ("", None), ("  ", None), (float("nan"), None), ("Château", "château"),
    ],
)  # fmt: skip
def test_what_a_label_says(value, expected):
    assert label_value(value) == expected


def test_without_a_mapping_codes_and_names_of_the_nomenclature_count():
    mapping = ClassMapping.parse(None, FLAIR)
    assert mapping.code_of(7) == 7
    assert mapping.code_of(0) == 0
    assert mapping.code_of("building") == 1
    assert mapping.code_of("bâtiment") == 1
    assert mapping.code_of(42) is None
    assert mapping.code_of("wald") is None


def test_pairs():
    mapping = ClassMapping.parse("Wald=7, Haus = building ,a=b=5,21=bâtiment,unklar=0", FLAIR)
    assert [mapping.code_of(value) for value in ("wald", "haus", "a=b", 21, "unklar")] == [7, 1, 5, 1, 0]
    # What is not given keeps its meaning.
    assert mapping.code_of(3) == 3


def test_a_given_code_wins_over_the_nomenclature():
    assert ClassMapping.parse("1=5,building=7", FLAIR).code_of(1) == 5
    assert ClassMapping.parse("1=5,building=7", FLAIR).code_of("building") == 7
    assert ClassMapping.parse("0=2", FLAIR).code_of(0) == 2


def test_a_file_of_pairs(tmp_path):
    path = tmp_path / "mapping.yaml"
    path.write_text("Wald: 7\n112: building\nÖdland: 0\n", encoding="utf-8")
    mapping = ClassMapping.parse(str(path), FLAIR)
    assert [mapping.code_of(value) for value in ("wald", 112, "ödland")] == [7, 1, 0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Wald", ["Wald", "no pair", "Wald=7"]),
        ("Wald=forest", ["forest", "no class of 'flair'", "1 building"]),
        ("Wald=biulding", ["Did you mean 'building'"]),
        ("Wald=20", ["'20'"]),
        ("=7", ["without a class"]),
        ("Wald=7,wald=6", ["two codes"]),
        ("none.yaml", ["none.yaml", "cannot be read"]),
    ],
)
def test_what_is_no_mapping(text, told):
    with pytest.raises(RequestError) as caught:
        ClassMapping.parse(text, FLAIR)
    assert all(part in str(caught.value) for part in told), str(caught.value)


@pytest.mark.parametrize("content", ["", "- Wald\n", "Wald: [7]\n", "No: 7\n", "Wald:\n", "a: b: c\n"])
def test_what_is_no_file_of_pairs(tmp_path, content):
    path = tmp_path / "mapping.yml"
    path.write_text(content)
    with pytest.raises(RequestError) as caught:
        ClassMapping.parse(str(path), FLAIR)
    assert "mapping.yml" in str(caught.value)


def test_unknown_labels_are_listed_with_their_counts_and_the_way_out(recorder):
    mapping = ClassMapping.parse("Haus=1", FLAIR)
    with pytest.raises(InputError) as caught:
        mapping.check({"wald": 12, "haus": 3, 99: 40, "buildings": 1}, "polygons", recorder)
    message = str(caught.value)
    assert "99 (40 polygons), 'wald' (12 polygons), 'buildings' (1 polygons)" in message
    assert "haus" not in message.casefold()
    assert "--classes" in message
    assert "buildings=building" in message
    assert "0 leaves a class out" in message
    assert "18 greenhouse" in message


def test_what_becomes_of_labels_is_said(recorder):
    mapping = ClassMapping.parse("Wald=7,unklar=0,Wassser=5,5=1", FLAIR)
    mapping.check({"wald": 12, "unklar": 3, "water": 2, 5: 1, 6: 4}, "polygons", recorder)
    text = " ".join(recorder.logs)
    assert "'Wald' (12 polygons) as 7 deciduous" in text
    assert "'unklar' (3 polygons) as nothing" in text
    warned = " ".join(recorder.warnings)
    assert "No label is 'Wassser', which --classes maps; the nearest label is 'water'" in warned
    assert "does not map 6" in warned
    assert "6 coniferous" in warned


def test_a_nomenclature_of_ones_own():
    mine = Nomenclature("mine", (LandCoverClass(2, "Roof", "#ff0000"), LandCoverClass(9, "Garden", "#00ff00")))
    mapping = ClassMapping.parse("a=roof", mine)
    assert mapping.code_of("a") == 2
    assert mapping.code_of("garden") == 9
    assert mapping.code_of(1) is None

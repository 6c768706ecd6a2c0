import pytest

from engine.comparison.truth import TruthMapping
from engine.errors import InputError
from engine.extraction.class_mapping import ClassMapping
from engine.nomenclature import load_nomenclature

FLAIR = load_nomenclature("flair")


def mapping(classes=None, ignored=()):
    parsed = ClassMapping.parse(classes, FLAIR)
    return TruthMapping(parsed.nomenclature, parsed.given, parsed.titles, frozenset(ignored))


def test_codes():
    found = mapping("Wald=7,77=3", ignored=(19, 3, 99))
    assert [found.code_of(value) for value in (1, 19, 99, "wald", 0, 42)] == [1, 0, 0, 7, 0, None]
    # Ignored is also what becomes an ignored code.
    assert [found.code_of(value) for value in (3, 77, "impervious surface")] == [0, 0, 0]


def test_what_was_mapped_is_not_ignored_by_its_own_number():
    assert mapping("19=7", ignored=(19,)).code_of(19) == 7


def test_ignored_codes_need_not_be_known(recorder):
    mapping(ignored=(77,)).check({1: 5, 77: 9}, "pixels", recorder)
    assert recorder.logs[0] == "9 pixels of the truth are ignored, as asked."
    assert "1 (5 pixels) as 1 building" in recorder.logs[1]
    assert recorder.warnings == []


def test_unknown_codes(recorder):
    with pytest.raises(InputError, match=r"42 \(3 pixels\)") as caught:
        mapping().check({1: 5, 42: 3}, "pixels", recorder)
    assert "--ignore 42" in caught.value.hint
    with pytest.raises(InputError) as caught:
        mapping().check({"forest": 3}, "polygons", recorder)
    assert "--ignore" not in caught.value.hint

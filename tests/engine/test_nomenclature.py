from __future__ import annotations

import numpy as np
import pytest

from engine.errors import ModelError
from engine.nomenclature import IGNORE_INDEX, LandCoverClass, Nomenclature, load_nomenclature
from tests.engine.tiny import TINY_CLASSES


def test_the_shipped_classes_are_flairs():
    flair = load_nomenclature("flair")
    assert flair.codes == tuple(range(1, 20))
    assert flair.classes[0].name == "building"
    assert len({item.color for item in flair.classes}) == 19
    assert all(item.french for item in flair.classes)
    assert flair.classes[0].title == "Building"


def test_channels_codes_and_training_indices():
    assert TINY_CLASSES.enabled_channels == (0, 1, 3, 4)
    assert [item.code for item in TINY_CLASSES.enabled] == [7, 3, 5, 1]
    table = TINY_CLASSES.code_to_index
    assert table.shape == (256,)
    assert table[[7, 3, 5, 1]].tolist() == [0, 1, 3, 4]
    others = np.delete(table, [7, 3, 5, 1])
    assert (others == IGNORE_INDEX).all()


def test_plain_values_and_back():
    assert Nomenclature.from_dict(TINY_CLASSES.to_dict()) == TINY_CLASSES


def test_disabling_replaces_what_was_disabled():
    other = TINY_CLASSES.with_disabled([7])
    assert [item.code for item in other.enabled] == [3, 250, 5, 1]
    with pytest.raises(ModelError, match="every class is disabled"):
        TINY_CLASSES.with_disabled(TINY_CLASSES.codes)


@pytest.mark.parametrize("codes", [(1, 1), (0, 1), (255, 1), (-1, 1), (300, 1)])
def test_codes_are_unique_and_fit_a_byte_beside_nodata(codes):
    with pytest.raises(ModelError, match="unique"):
        Nomenclature("x", tuple(LandCoverClass(code, str(code), "#000000") for code in codes))


@pytest.mark.parametrize("color", ["red", "#12345", "#gggggg", "123456#", None, 5])
def test_colours_are_checked(color):
    values = {"name": "x", "classes": [{"code": 1, "name": "a", "color": color}]}
    with pytest.raises(ModelError, match="not readable"):
        Nomenclature.from_dict(values)


@pytest.mark.parametrize("code", ["a", None, float("inf")])
def test_codes_are_numbers(code):
    with pytest.raises(ModelError):
        Nomenclature.from_dict({"name": "x", "classes": [{"code": code, "name": "a", "color": "#000000"}]})


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ModelError) as caught:
        load_nomenclature("corine")
    assert "flair" in caught.value.hint


def test_rgb():
    assert LandCoverClass(1, "a", "#0a10ff").rgb == (10, 16, 255)

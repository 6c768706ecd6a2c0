import numpy as np
import pytest

from engine.comparison.patch_classes import match_classes
from engine.errors import InputError
from engine.nomenclature import LandCoverClass, Nomenclature
from tests.engine.tiny import TINY_CLASSES

DATA = Nomenclature(
    "data",
    (
        LandCoverClass(1, "roof", "#ff0000"),
        LandCoverClass(3, "Grass", "#00ff00"),
        LandCoverClass(9, "moor", "#0000ff"),
        LandCoverClass(12, "never", "#0000ff"),
    ),
)


def pixels(**counts):
    found = np.zeros(256, np.int64)
    for name, count in counts.items():
        found[int(name[1:])] = count
    return found


def test_names_win_over_codes(recorder):
    # Code 1 is a roof in the data and a road in the model.
    found = match_classes(DATA, TINY_CLASSES, None, {0}, pixels(c0=9, c1=5, c3=5), recorder)
    assert found.table[1] == 0
    assert found.table[3] == 1
    assert set(np.delete(found.table, [1, 3])) == {255}
    assert recorder.logs == ["Classes with other codes in the model: 1 roof as 7 roof."]
    assert found.notes == ()


def test_classes_that_the_model_lacks(recorder):
    with pytest.raises(InputError) as caught:
        match_classes(DATA, TINY_CLASSES, None, {0}, pixels(c1=5, c9=20, c77=3), recorder)
    assert "9 moor (20 pixels), 77 (3 pixels)" in caught.value.message
    assert "--classes" in caught.value.hint
    assert "--ignore" in caught.value.hint
    found = match_classes(DATA, TINY_CLASSES, "moor=water,77=0", {0}, pixels(c1=5, c9=20, c77=3), recorder)
    assert (found.table[9], found.table[77]) == (3, 255)
    assert match_classes(DATA, TINY_CLASSES, "9=3", {77}, pixels(c9=20, c77=3), recorder).table[9] == 1


def test_classes_that_the_model_never_predicts_are_named(recorder):
    found = match_classes(DATA, TINY_CLASSES, None, {0}, pixels(c12=4), recorder)
    assert found.table[12] == 2
    assert "12 never (4 pixels)" in found.notes[0]

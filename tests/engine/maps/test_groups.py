import numpy as np
import pytest

from engine.errors import RequestError
from engine.maps.groups import read_groups
from engine.nomenclature import LandCoverClass, load_nomenclature

FLAIR = load_nomenclature("flair").classes


def by_group(groups, classes=FLAIR):
    return {
        name: {item.name for item, member in zip(classes, groups.members, strict=True) if member == number}
        for number, name in enumerate(groups.names)
    }


@pytest.mark.parametrize("name", ["flair", "hub", "cosia"])
def test_sealed_ground_goes_by_name(name):
    classes = load_nomenclature(name).classes
    found = by_group(read_groups(None, classes), classes)
    assert found["sealed"] == {"building", "impervious surface", "swimming pool"}
    assert len(found["unsealed"]) == 16


def test_other_classes_have_no_sealed_ground():
    assert read_groups(None, [LandCoverClass(1, "roof", "#cc0000")]) is None


def test_groups_of_ones_own(tmp_path):
    (tmp_path / "g.yaml").write_text("green: [6, 7, herbaceous vegetation]\nblue: [eau]\n")
    found = by_group(read_groups(str(tmp_path / "g.yaml"), FLAIR))
    assert list(found) == ["green", "blue", "others"]
    assert found["green"] == {"coniferous", "deciduous", "herbaceous vegetation"}
    assert found["blue"] == {"water"}


def test_a_matrix_of_groups(tmp_path):
    (tmp_path / "g.yaml").write_text("built: [1]\nrest: rest\n")
    classes = [LandCoverClass(code, str(code), "#cc0000") for code in (1, 2, 3)]
    groups = read_groups(str(tmp_path / "g.yaml"), classes)
    assert groups.matrix(np.arange(9.0).reshape(3, 3)).tolist() == [[0, 3], [9, 24]]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: [roof]\n", "names 'roof', which is no class"),
        ("a: [1]\nb: [building]\n", "puts 'building' into two groups"),
        ("a: rest\nb: rest\n", "gives the rest to two groups"),
        ("a: []\n", "lists no classes"),
        ("- 1\n", "holds no groups"),
        ("a: [", "is not valid YAML"),
    ],
)
def test_what_is_no_file_of_groups(tmp_path, text, sentence):
    (tmp_path / "g.yaml").write_text(text)
    with pytest.raises(RequestError, match=sentence) as error:
        read_groups(str(tmp_path / "g.yaml"), FLAIR)
    assert error.value.hint

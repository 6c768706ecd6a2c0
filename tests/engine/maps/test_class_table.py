import numpy as np
import pytest

from engine.errors import EngineError
from engine.maps.class_table import read_class_table, table_names
from engine.nomenclature import load_nomenclature

FLAIR = load_nomenclature("flair")


def mapped(table):
    """New names by old ones; None for no data."""
    new = {item.code: item.name for item in table.target.classes}
    return {item.name: new.get(table.codes[item.code]) for item in FLAIR.classes}


def test_tables_that_ship():
    assert table_names() == ["cosia", "flair-12", "flair-15", "hub"]
    for name in table_names():
        table = read_class_table(name, FLAIR)
        assert (table.name, table.source, table.default) == (name, "flair", None)
        assert set(table.codes) == set(FLAIR.codes)


def test_the_order_of_flair_hub_keeps_every_class():
    table = read_class_table("hub", FLAIR)
    assert mapped(table) == {item.name: item.name for item in FLAIR.classes}
    assert [item.name for item in table.target.classes[:4]] == [
        "building", "greenhouse", "swimming pool", "impervious surface",
    ]  # fmt: skip
    assert table.target.codes == tuple(range(1, 20))
    colours = {item.name: item.color for item in FLAIR.classes}
    assert {item.name: item.color for item in table.target.classes} == colours


def test_cosia_has_other_colours_and_the_same_codes():
    table = read_class_table("cosia", FLAIR)
    assert all(old == new for old, new in table.codes.items())
    assert {item.code: item.color for item in table.target.classes}[1] == "#ce7079"
    assert {item.code: item.color for item in table.target.classes}[14] == "#e9effe"


def test_fifteen_and_twelve_classes():
    fifteen, twelve = mapped(read_class_table("flair-15", FLAIR)), mapped(read_class_table("flair-12", FLAIR))
    never = {"clear cut", "mixed", "ligneous", "other"}
    assert fifteen == {item.name: None if item.name in never else item.name for item in FLAIR.classes}
    assert twelve == {item.name: item.name if item.code <= 12 else "other" for item in FLAIR.classes}


def test_pairs_are_named_after_what_kept_its_code():
    table = read_class_table("3=1, 1=1, 10=7,6=6,default=20", FLAIR)
    assert table.codes == {3: 1, 1: 1, 10: 7, 6: 6}
    assert [(item.code, item.name, item.color) for item in table.target.classes] == [
        (1, "building", "#db0e9a"),
        (6, "coniferous", "#194a26"),
        # 7 is not what was deciduous
        (7, "herbaceous vegetation", "#55ff00"),
        (20, "other", "#000000"),
    ]


def test_a_file_with_its_classes(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "classes:\n  - {code: 1, name: built}\n  - {code: 2, name: green}\nmap: {1: 1, 3: 1, 10: 2}\ndefault: 0\n"
    )
    table = read_class_table(str(path), FLAIR)
    assert [(item.code, item.name) for item in table.target.classes] == [(1, "built"), (2, "green")]
    assert table.default == 0
    path.write_text("1: 2\n3: 2\n")
    assert read_class_table(str(path), FLAIR).codes == {1: 2, 3: 2}


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32])
def test_pixels(kind):
    values = np.array([[1, 3, 0], [10, 7, 1]], kind)
    valid = np.array([[True, True, True], [True, True, False]])
    table = read_class_table("1=2,3=2,10=9", FLAIR)
    codes, missing = table.recode(values, valid)
    assert codes.tolist() == [[2, 2, 0], [9, 0, 0]]
    assert missing == {7: 1}
    codes, missing = read_class_table("1=2,default=9", FLAIR).recode(values, valid)
    assert codes.tolist() == [[2, 9, 0], [9, 9, 0]]
    assert missing == {}


def test_zero_can_be_a_class():
    codes, missing = read_class_table("0=1,1=18", FLAIR).recode(np.array([[0, 1]]), np.ones((1, 2), bool))
    assert codes.tolist() == [[1, 18]]
    assert missing == {}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("flair-13", "There is no table of classes 'flair-13'"),
        ("1=2,3", "'3' in the table of classes is no pair"),
        ("1=2,1=3", "gives '1' two codes: 2 and 3"),
        ("1=300", "holds '300', which is no code from 0 to 254"),
        ("roof=1", "holds 'roof'"),
        ("1=0,2=0", "turns every code to no data"),
        ("none.yaml", "cannot be read"),
    ],
)
def test_what_is_no_table(text, sentence):
    with pytest.raises(EngineError, match=sentence) as error:
        read_class_table(text, FLAIR)
    assert error.value.hint


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("map: {1: 5}\nclasses:\n  - {code: 1, name: a}\n", "gives code 5, which is no class of 'mine'"),
        ("map: {1: 1}\nclases: []\n", "has an unknown key 'clases'"),
        ("map: []\n", "maps no codes"),
        ("- 1\n", "holds no table"),
        ("map: {1: true}\n", "holds 'True'"),
        ("a: [", "is not valid YAML"),
        ("map: {1: 1}\nnomenclature: mars\n", "There is no nomenclature 'mars'"),
    ],
)
def test_what_is_no_table_file(tmp_path, content, sentence):
    (tmp_path / "mine.yaml").write_text(content)
    with pytest.raises(EngineError, match=sentence):
        read_class_table(str(tmp_path / "mine.yaml"), FLAIR)

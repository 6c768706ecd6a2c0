import pytest
from helpers import ROOT
from qgis.core import QgsProcessingException

from flair_qgis.palettes import PALETTES, palette, read_palette

MINE = """# what grows here
name: mine
classes:
  - {code: 1, name: roof, color: "#CC0000"}
  - {code: 2, name: "lawn, mown"}   # green
  - code: 3
    name: pond # deep
    color: '#0000cc'
    disabled: true
other: {}
"""


@pytest.mark.parametrize("name", PALETTES)
def test_same_as_a_full_reader(name):
    yaml = pytest.importorskip("yaml")
    path = ROOT / "resources" / "nomenclatures" / f"{name}.yaml"
    expected = [
        (item["code"], item["name"], item["color"], item.get("disabled", False))
        for item in yaml.safe_load(path.read_text(encoding="utf-8"))["classes"]
    ]
    assert [(i["code"], i["name"], i["color"], i["disabled"]) for i in palette(name)] == expected


def test_all_nomenclatures_can_be_chosen():
    assert sorted(PALETTES) == sorted(path.stem for path in (ROOT / "resources" / "nomenclatures").glob("*.yaml"))


def test_a_file_in_both_ways_of_writing(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(MINE)
    assert read_palette(path) == [
        {"code": 1, "name": "roof", "color": "#cc0000", "disabled": False},
        {"code": 2, "name": "lawn, mown", "color": "#332288", "disabled": False},
        {"code": 3, "name": "pond", "color": "#0000cc", "disabled": True},
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name: x\n", "lists no classes"),
        ("classes:\n  - {code: 1, name: a}\n  - {code: 1, name: b}\n", "lists a code twice"),
        ("classes:\n  - {code: one, name: a}\n", "has no code, no name"),
        ("classes:\n  - {code: 1, name: a, color: red}\n", "a colour that is not like #cc0000"),
        ("classes:\n  - [1, a]\n", "Line 2 of"),
    ],
)
def test_what_is_no_list_of_classes(tmp_path, text, sentence):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(QgsProcessingException, match=sentence):
        read_palette(tmp_path / "x.yaml")
    with pytest.raises(QgsProcessingException, match="cannot be read"):
        read_palette(tmp_path / "none.yaml")

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from engine.nomenclature import LandCoverClass, Nomenclature, load_nomenclature
from engine.rasters.style import category_names, class_aux_xml, class_qml, color_table, percent_qml, xml_text

ODD = Nomenclature(
    "odd",
    (
        LandCoverClass(7, 'trees & "shrubs" <5 m', "#102030"),
        LandCoverClass(2, "zone perméable\x00", "#a0b0c0"),
        LandCoverClass(9, "never", "#ffffff", disabled=True),
    ),
)


def test_qml_holds_exactly_the_enabled_classes():
    root = ElementTree.fromstring(class_qml(load_nomenclature()))
    renderer = root.find("pipe/rasterrenderer")
    assert renderer is not None
    assert renderer.get("type") == "paletted"
    found = [(e.get("value"), e.get("label"), e.get("color")) for e in renderer.iter("paletteEntry")]
    assert found == [(str(c.code), c.title, c.color) for c in load_nomenclature().enabled]
    assert found[0] == ("1", "Building", "#db0e9a")
    assert len(found) == 15


def test_names_are_escaped_and_sorted_by_code():
    entries = ElementTree.fromstring(class_qml(ODD)).findall(".//paletteEntry")
    assert [(e.get("value"), e.get("label")) for e in entries] == [
        ("2", "Zone perméable"),
        ("7", 'Trees & "shrubs" <5 m'),
    ]


def test_aux_xml_holds_categories_and_table_but_no_statistics():
    text = class_aux_xml(ODD)
    band = ElementTree.fromstring(text).find("PAMRasterBand")
    assert band is not None
    categories = [item.text or "" for item in band.iter("Category")]
    assert categories == ["", "", "Zone perméable", "", "", "", "", 'Trees & "shrubs" <5 m']
    fields = [(f.findtext("Name"), f.findtext("Type"), f.findtext("Usage")) for f in band.iter("FieldDefn")]
    assert fields == [
        ("Value", "0", "5"), ("Class", "2", "2"), ("Red", "0", "6"), ("Green", "0", "7"), ("Blue", "0", "8"),
    ]  # fmt: skip
    rows = [[value.text for value in row] for row in band.iter("Row")]
    assert rows == [["2", "Zone perméable", "160", "176", "192"], ["7", 'Trees & "shrubs" <5 m', "16", "32", "48"]]
    assert "STATISTICS" not in text


def test_color_table_is_by_code_and_nodata_is_transparent():
    table = color_table(ODD)
    assert len(table) == 10
    assert table[0] == (0, 0, 0, 0)
    assert table[7] == (16, 32, 48, 255)
    assert table[3][3] == 0
    assert category_names(ODD)[7] == 'Trees & "shrubs" <5 m'


def test_percent_style_spans_0_to_100():
    root = ElementTree.fromstring(percent_qml(band=3))
    renderer = root.find("pipe/rasterrenderer")
    assert renderer is not None
    assert renderer.get("band") == "3"
    assert [item.get("value") for item in renderer.iter("item")] == ["0", "25", "50", "75", "100"]


@pytest.mark.parametrize(("text", "expected"), [("a\x08b", "ab"), ("<&'\">", "&lt;&amp;&#x27;&quot;&gt;"), ("é", "é")])
def test_xml_text(text, expected):
    assert xml_text(text) == expected

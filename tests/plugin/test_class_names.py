"""Names of classes in legends, in the language of QGIS."""

from pathlib import Path

import pytest
import yaml
from helpers import ROOT
from qgis.core import QgsCategorizedSymbolRenderer, QgsProject, QgsRasterLayer, QgsVectorLayer

from flair_qgis import class_names
from flair_qgis.area_styling import largest_class_renderer
from flair_qgis.class_names import french_names, shown_name
from flair_qgis.polygon_styling import PolygonStylePostProcessor, class_renderer
from flair_qgis.styling import apply_style, paletted_renderer

CLASSES = [
    {"code": 1, "name": "building", "color": "#db0e9a"},
    {"code": 5, "name": "water", "color": "#1553ae"},
    {"code": 8, "name": "my own class", "color": "#ffffff"},
]
FRENCH = ["Bâtiment", "Eau", "My own class"]


@pytest.fixture
def french(monkeypatch):
    monkeypatch.setattr(class_names, "language", lambda: "fr")


@pytest.fixture
def raster(image):
    layer = QgsRasterLayer(image, "map")
    QgsProject.instance().addMapLayer(layer)
    return layer


def labels(renderer):
    if isinstance(renderer, QgsCategorizedSymbolRenderer):
        return [item.label() for item in renderer.categories()]
    return [item.label for item in renderer.classes()]


def test_names_are_those_of_the_nomenclature(french):
    listed = yaml.safe_load((ROOT / "resources" / "nomenclatures" / "flair.yaml").read_text(encoding="utf-8"))
    for item in listed["classes"]:
        assert french_names()[item["name"]] == item["french"]
        assert shown_name(item["name"].capitalize()).casefold() == item["french"].casefold()
    assert shown_name("my own class") == "My own class"


def test_english_stays():
    assert shown_name("building") == "Building"
    assert shown_name("Building") == "Building"


def test_a_legend_of_classes(french, raster):
    assert labels(paletted_renderer(raster.dataProvider(), CLASSES)) == FRENCH
    assert labels(class_renderer(CLASSES)) == FRENCH
    assert labels(largest_class_renderer(CLASSES)) == FRENCH


def test_a_legend_from_a_style_file(raster, tmp_path, monkeypatch):
    raster.setRenderer(paletted_renderer(raster.dataProvider(), CLASSES))
    style = tmp_path / "map.qml"
    raster.saveNamedStyle(str(style))
    assert apply_style(raster, style)
    assert labels(raster.renderer()) == ["Building", "Water", "My own class"]
    monkeypatch.setattr(class_names, "language", lambda: "fr")
    assert apply_style(raster, style)
    assert labels(raster.renderer()) == FRENCH
    assert [(item.value, item.color.name()) for item in raster.renderer().classes()] == [
        (item["code"], item["color"]) for item in CLASSES
    ]


def test_polygons_with_a_style_file(tmp_path, monkeypatch, context, feedback):
    layer = QgsVectorLayer("Polygon?crs=EPSG:2154&field=code:int", "polygons", "memory")
    layer.setRenderer(class_renderer(CLASSES))
    style = tmp_path / "polygons.qml"
    layer.saveNamedStyle(str(style))
    processor = PolygonStylePostProcessor()
    processor.style = Path(style)
    monkeypatch.setattr(class_names, "language", lambda: "fr")
    processor.postProcessLayer(layer, context, feedback)
    assert labels(layer.renderer()) == FRENCH

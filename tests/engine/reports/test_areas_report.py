from engine.reports.areas_report import AreasReport, ClassArea, PolygonAreas, render
from engine.reports.charts import strip
from engine.reports.page import hectares

CLASSES = [ClassArea(1, "building", "#db0e9a", 30.0, 0.3), ClassArea(5, "water <b>", "#1553ae", 70.0, 0.7)]


def test_whole_and_polygons():
    polygons = [PolygonAreas("A & B", 12.0, 0.5, [0.25, 0.75]), PolygonAreas("empty", 0.0, 3.0, [0.0, 0.0])]
    html = render(AreasReport("map.tif", CLASSES, 100.0, 3.5, "polygons", polygons, notes=["careful"]))
    assert "A &amp; B" in html
    assert "Water &lt;b&gt;" in html
    assert "<b>70.00</b>" in html
    assert "careful" in html
    assert "3.50 ha have no class" in html
    assert "<script" not in html
    # the largest class comes first
    assert html.index("Water") < html.index("Building")


def test_no_more_polygons_than_one_reads():
    many = [PolygonAreas(f"p{number}", 1.0, 0.0, [1.0, 0.0]) for number in range(230)]
    html = render(AreasReport("m", CLASSES, 1.0, 0.0, "cells", many))
    assert "30 more cells are in areas.csv" in html
    assert "p199" in html
    assert "p200" not in html


def test_strip_fills_the_width():
    svg = str(strip([("a", "#ff0000", 0.25), ("b", "#00ff00", 0.75)], "words", 102, 14))
    assert 'x="1.0" y="1" width="25.0"' in svg
    assert 'x="26.0" y="1" width="75.0"' in svg
    assert 'aria-label="words"' in svg


def test_hectares_are_rounded_to_what_they_mean():
    assert [hectares(value) for value in (1234.567, 12.3, 0.0123, 0.0, None, float("nan"))] == [
        "1\N{NO-BREAK SPACE}234.57", "12.30", "0.0123", "0.00", "\u2013", "\u2013",
    ]  # fmt: skip

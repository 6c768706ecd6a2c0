from engine.reports.change_report import Balance, ChangeReport, PolygonChange, render
from engine.reports.page import short_hectares

CLASSES = [Balance(1, "building", "#db0e9a", 10.0, 2.0, 0.5), Balance(10, "grass <b>", "#55ff00", 30.0, 0.5, 2.0)]
MATRIX = [[9.5, 0.5], [2.0, 28.0]]
SEALED = Balance(None, "sealed", "#8c2d04", 10.0, 2.0, 0.5)


def test_figures():
    report = ChangeReport("a to b", CLASSES, MATRIX)
    assert (report.compared, report.changed) == (40.0, 2.5)
    assert (SEALED.after, SEALED.net) == (11.5, 1.5)


def test_page():
    polygons = [PolygonChange("A & B", 12.0, 3.0, 2.0, 0.5), PolygonChange("empty", 0.0, 0.0, 0.0, 0.0)]
    html = render(ChangeReport("a to b", CLASSES, MATRIX, groups=[SEALED], polygons=polygons, notes=["careful"]))
    assert "Sealed, gained" in html
    assert "+1.50" in html
    assert "A &amp; B" in html
    assert "Grass &lt;b&gt; to Building: 2.00 ha" in html
    assert "Building, unchanged: 9.50 ha" in html
    assert "careful" in html
    assert "<script" not in html


def test_cells_are_narrow():
    found = [short_hectares(value) for value in (0.0, 0.001, 0.005, 0.5, 99.99, 99.999, 1234.4)]
    assert found == ["", "<0.01", "0.01", "0.50", "99.99", "100", "1\N{NO-BREAK SPACE}234"]


def test_nothing_changed_and_no_groups():
    html = render(ChangeReport("a to b", CLASSES, [[10.0, 0.0], [0.0, 30.0]]))
    assert "Nothing changed." in html
    assert "Gains and losses of groups" not in html

import math
from xml.etree import ElementTree

import pytest

from engine.reports.charts import HEIGHT, WIDTH, Series, bar, line_chart

SVG = "{http://www.w3.org/2000/svg}"


def parsed(markup):
    return ElementTree.fromstring(str(markup))


def texts(root):
    return [item.text for item in root.iter(f"{SVG}text")]


def positions(root):
    return [
        [tuple(map(float, pair.split(","))) for pair in item.get("points").split()]
        for item in root.iter(f"{SVG}polyline")
    ]


def test_lines_lie_where_their_values_are():
    root = parsed(line_chart("Loss", [Series("training", "#111111", [(1, 0.0), (2, 50.0), (3, 100.0)])]))
    assert root.get("role") == "img"
    assert root.find(f"{SVG}title").text == "Loss"
    ((left, bottom), (middle, half), (right, top)) = positions(root)[0]
    assert left < middle < right <= WIDTH
    assert 0 <= top < half < bottom <= HEIGHT
    assert middle == pytest.approx((left + right) / 2, abs=0.1)
    assert half == pytest.approx((top + bottom) / 2, abs=0.1)
    assert {"Loss", "training", "Epoch", "0", "20", "100", "1", "2", "3"} <= set(texts(root))


@pytest.mark.parametrize("missing", [None, math.nan, math.inf])
def test_lines_break_where_values_are_missing(missing):
    points = [(1, 0.5), (2, 0.4), (3, missing), (4, 0.3), (5, missing), (6, 0.2), (7, 0.1)]
    root = parsed(line_chart("Loss", [Series("a", "#111111", points)]))
    assert [len(line) for line in positions(root)] == [2, 2]
    assert len(list(root.iter(f"{SVG}circle"))) == 1  # epoch 4 stands alone


def test_the_best_epoch_is_marked_on_each_line():
    series = [Series("a", "#111111", [(1, 1.0), (2, 0.5)]), Series("b", "#222222", [(1, 1.0), (2, None)], dashed=True)]
    root = parsed(line_chart("Loss", series, marked=2))
    assert "best: epoch 2" in texts(root)
    assert len(list(root.iter(f"{SVG}circle"))) == 3  # line a, the value of b that stands alone, the legend
    assert "best: epoch 9" in texts(parsed(line_chart("Loss", series, marked=9)))


def test_one_epoch_and_equal_values_are_drawn():
    root = parsed(line_chart("Mean IoU", [Series("a", "#111111", [(1, 0.5)])], unit="%", marked=1, low=0))
    assert "Mean IoU, %" in texts(root)
    assert {item.get("cx") for item in root.iter(f"{SVG}circle")} >= {"256.0"}
    assert positions(parsed(line_chart("L", [Series("a", "#111111", [(1, 2.0), (2, 2.0)])])))


@pytest.mark.parametrize("points", [[], [(1, None)], [(1, math.nan)]])
def test_nothing_is_drawn_without_values(points):
    assert line_chart("Loss", [Series("a", "#111111", points)]) == ""


def test_names_are_escaped():
    markup = line_chart("<script>1</script>", [Series("a & <b>", "#111111", [(1, 1.0)])])
    assert "<script" not in markup
    assert "a & <b>" in texts(parsed(markup))


@pytest.mark.parametrize(("value", "widths"), [(0.5, [118, 59]), (1.0, [118, 118]), (0, [118]), (None, [118])])
def test_bars_are_as_long_as_their_value(value, widths):
    root = parsed(bar(value, "#ff0000", "IoU of Water"))
    assert [float(item.get("width")) for item in root.iter(f"{SVG}rect")] == widths
    assert root.find(f"{SVG}title").text == "IoU of Water"

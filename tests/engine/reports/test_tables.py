import pytest

from engine.reports.page import brief, number, percent, safe_color, whole
from engine.reports.tables import class_rows, confusion_rows, flat_options

CLASSES = [
    {"code": 1, "name": "roof", "color": "#ff0000", "iou": 0.5, "truth_pixels": 30},
    {"code": 2, "name": "grass", "color": "#00ff00", "iou": None, "truth_pixels": 10},
]


def test_shares_of_the_truth():
    assert [row.share for row in class_rows(CLASSES)] == [0.75, 0.25]
    assert [row.share for row in class_rows([{**item, "truth_pixels": 0} for item in CLASSES])] == [None, None]
    assert "IoU of roof: 50.0 %" in class_rows(CLASSES)[0].bar


def test_rows_of_a_confusion_matrix_are_shares_of_themselves():
    rows, other = confusion_rows(CLASSES, [[997, 2, 1], [0, 0, 0]])
    assert other
    assert [cell.text for cell in rows[0].cells] == ["99", "<1", "<1"]  # 99.7 % is not all
    assert [cell.text for cell in rows[1].cells] == ["", "", ""]
    assert [cell.right for row in rows for cell in row.cells] == [True, False, False, False, False, False]
    assert rows[0].cells[0].dark
    assert rows[1].cells[0].background == "#ffffff"
    assert rows[0].cells[1].hint == "Roof predicted as Grass: 0.2 %"
    assert rows[0].cells[2].hint.startswith("Roof predicted as other or nothing")
    assert rows[0].total == 1000


def test_square_matrices_and_those_with_further_rows_are_shown():
    rows, other = confusion_rows(CLASSES, [[3, 1], [0, 4]])
    assert not other
    assert [cell.text for row in rows for cell in row.cells] == ["75", "25", "", "100"]
    assert len(confusion_rows(CLASSES, [[3, 1, 0], [0, 4, 0], [9, 9, 9]])[0]) == 2


@pytest.mark.parametrize("counts", [[], [[1, 2]], [[1, 2], [1, 2, 3]], [[1], [1]], [[1, 2, 3, 4]] * 2])
def test_matrices_of_other_classes_are_refused(counts):
    with pytest.raises(ValueError, match="2 classes"):
        confusion_rows(CLASSES, counts)


def test_options_are_unfolded():
    options = {"a": {"b": {"c": True}, "d": None}, "e": [1, "x"], "f": {}, "g": 0.5}
    assert dict(flat_options(options)) == {"a.b.c": "yes", "a.d": "", "e": "1, x", "f": "{}", "g": "0.5"}


def test_numbers_are_short_and_missing_ones_a_dash():
    assert [percent(value) for value in (0.58625, 1.0, 0, None, float("nan"))] == ["58.6", "100.0", "0.0", "–", "–"]  # noqa: RUF001
    assert [number(value) for value in (0.41234, None)] == ["0.412", "–"]  # noqa: RUF001
    assert [brief(value) for value in (2e-4, float("inf"))] == ["0.0002", "–"]  # noqa: RUF001
    assert [whole(value) for value in (1234567, None)] == ["1\N{NO-BREAK SPACE}234\N{NO-BREAK SPACE}567", "–"]  # noqa: RUF001


@pytest.mark.parametrize("color", ["red", "#fff", "#ffffff; background: url(x)", None])
def test_what_is_no_colour_is_grey(color):
    assert safe_color(color) == "#bbbbbb"
    assert safe_color("#12aBcd") == "#12aBcd"

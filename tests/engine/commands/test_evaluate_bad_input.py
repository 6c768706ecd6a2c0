"""What cannot be evaluated: one sentence with the cause, the way out, and nothing left behind."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine

from engine.errors import EngineError, InputError, OutputError, RequestError
from engine.requests import parse_request
from tests.engine import tiny
from tests.engine.interruptions import left_behind
from tests.engine.patch_sets import ORIGIN, squares
from tests.engine.vectors import box, write_features


@pytest.fixture
def pair(tmp_path):
    codes = squares(96, 96)[None]
    return {
        "prediction": tiny.write(tmp_path / "map.tif", codes, transform=ORIGIN, nodata=0),
        "truth": tiny.write(tmp_path / "truth.tif", codes, transform=ORIGIN, nodata=0),
    }


@pytest.fixture
def refused(evaluate, tmp_path):
    """Run, and return the error's message and hint; checks that nothing was written."""

    def start(kind=InputError, **options):
        before = {item.name for item in tmp_path.iterdir()}
        with pytest.raises(kind) as caught:
            evaluate(**options)
        assert {item.name for item in tmp_path.iterdir()} == before
        assert caught.value.message.endswith(".")
        assert caught.value.hint
        return caught.value.message, caught.value.hint

    return start


def test_truth_elsewhere(refused, pair, tmp_path):
    far = Affine(0.2, 0, 750000.0, 0, -0.2, 6760000.0)
    pair["truth"] = tiny.write(tmp_path / "far.tif", squares(96, 96)[None], transform=far)
    message, hint = refused(**pair)
    assert message == "The truth labels 'far.tif' lie outside the prediction."
    assert "CRS" in hint


def test_polygons_elsewhere(refused, pair, tmp_path):
    pair["truth"] = write_features(tmp_path / "far.gpkg", [box(ORIGIN, 9000, 0, 5, 5)], code=[1])
    message, _ = refused(**pair)
    assert "lies inside the prediction" in message


def test_truth_without_a_label(refused, pair, tmp_path):
    pair["truth"] = tiny.write(tmp_path / "t.tif", np.zeros((1, 96, 96), np.uint8), transform=ORIGIN)
    assert refused(**pair)[0] == "The truth has no labelled pixel on the prediction."
    area = write_features(tmp_path / "a.gpkg", [box(ORIGIN, 0, 0, 9, 9)])
    assert refused(**pair, area=area)[0] == "The truth has no labelled pixel inside the area."


def test_a_prediction_without_a_class(refused, pair, tmp_path):
    pair["prediction"] = tiny.write(tmp_path / "p.tif", np.zeros((1, 96, 96), np.uint8), transform=ORIGIN, nodata=0)
    assert refused(**pair)[0] == "The prediction holds no class where the truth has one."


def test_classes_that_the_nomenclature_lacks(refused, pair, tmp_path):
    codes = squares(96, 96)
    codes[:2], codes[2:3] = 77, 42
    pair["truth"] = tiny.write(tmp_path / "t.tif", codes[None], transform=ORIGIN)
    message, hint = refused(**pair)
    assert "77 (192 pixels), 42 (96 pixels)" in message
    assert "--classes" in hint
    assert "--ignore 42,77" in hint
    assert "42 (96 pixels)" in refused(**pair, ignore="77")[0]


def test_only_disabled_classes(refused, pair, tmp_path):
    pair["truth"] = tiny.write(tmp_path / "t.tif", np.full((1, 96, 96), 19, np.uint8), transform=ORIGIN)
    message, hint = refused(**pair)
    assert "of a class that the prediction can hold" in message
    assert "building" in hint


@pytest.mark.parametrize("swapped", ["prediction", "truth"])
def test_fractions_are_no_classes(refused, pair, tmp_path, swapped):
    pair[swapped] = tiny.write(tmp_path / "dsm.tif", np.full((1, 96, 96), 12.25, np.float32), transform=ORIGIN)
    message, _ = refused(**pair)
    assert "fractions such as 12.25, which are no class codes" in message
    assert swapped in message


def test_an_image_is_no_truth(refused, pair, tmp_path):
    pair["truth"] = tiny.write(tmp_path / "i.tif", tiny.smooth(3, 96, 96), transform=ORIGIN)
    assert "hold colours, not class codes" in refused(**pair)[0]


def test_missing_files(refused, pair, tmp_path):
    assert "There is no file" in refused(**{**pair, "prediction": str(tmp_path / "none.tif")})[0]
    assert "There is no file" in refused(**{**pair, "truth": str(tmp_path / "none.tif")})[0]
    assert "There is no file" in refused(**pair, area=str(tmp_path / "none.gpkg"))[0]


def test_an_area_elsewhere_or_without_the_field(refused, pair, tmp_path):
    far = write_features(tmp_path / "far.gpkg", [box(ORIGIN, 9000, 0, 5, 5)])
    assert "lies outside the prediction" in refused(**pair, area=far)[0]
    area = write_features(tmp_path / "a.gpkg", [box(ORIGIN, 0, 0, 9, 9)], quarter=["x"])
    message, hint = refused(**pair, area=area, area_field="town")
    assert "has no field 'town'" in message
    assert "quarter" in hint


def test_an_output_that_exists(evaluate, refused, pair, tmp_path):
    evaluate(**pair)
    assert "exists already" in refused(OutputError, **pair)[0]
    evaluate(**pair, overwrite=True)
    note = tmp_path / "ev" / "notes.txt"
    note.write_text("mine")
    assert "holds 'notes.txt'" in refused(OutputError, **pair, overwrite=True)[0]
    assert note.read_text() == "mine"
    assert "is a file" in refused(OutputError, **{**pair, "output": pair["truth"]})[0]
    assert "does not exist" in refused(OutputError, **{**pair, "output": str(tmp_path / "a" / "b")})[0]
    assert "lies in the output folder" in refused(**{**pair, "output": str(tmp_path)}, overwrite=True)[0]


def test_an_empty_folder_is_filled(evaluate, pair, tmp_path):
    (tmp_path / "ev").mkdir()
    evaluate(**pair)
    assert (tmp_path / "ev" / "report.html").is_file()


def test_an_earlier_evaluation_survives_a_failure(evaluate, pair, tmp_path, monkeypatch):
    evaluate(**pair)
    before = (tmp_path / "ev" / "metrics.json").read_text()
    monkeypatch.setattr("engine.commands.evaluation_output.render", lambda report: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        evaluate(**pair, overwrite=True)
    assert (tmp_path / "ev" / "metrics.json").read_text() == before
    assert left_behind(tmp_path) == []


def test_a_definition_that_does_not_suit(refused, pair, tmp_path):
    (tmp_path / "n.yaml").write_text(
        "classes: [{code: 1, name: a}, {code: 3, name: b}, {code: 7, name: c}, {code: 10, name: d}]"
    )
    message, _ = refused(RequestError, **pair, nomenclature=str(tmp_path / "n.yaml"), definition="challenge12")
    assert "needs more than 12 classes" in message


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"prediction": "p.tif"}, "both prediction and truth"),
        ({}, "both prediction and truth"),
        ({"model": "m"}, "both model and data"),
        ({"prediction": "p", "truth": "t", "data": "d"}, "not both"),
        ({"model": "m", "data": "d", "area": "a"}, "Area has no effect"),
        ({"prediction": "p", "truth": "t", "area_field": "n"}, "need an area"),
        ({"prediction": "p", "truth": "t", "definition": "best"}, "definition"),
        ({"prediction": "p", "truth": "t", "block": 3}, "block"),
    ],
)  # fmt: skip
def test_requests(options, said):
    with pytest.raises(EngineError, match=said):
        parse_request("evaluate", {"output": "o", **options})


def test_all_definitions_can_be_asked_for():
    from engine.evaluation.definitions import DEFINITIONS

    for name in DEFINITIONS:
        request = {"prediction": "p", "truth": "t", "output": "o", "definition": name}
        assert parse_request("evaluate", request).definition == name

"""A calibration is carried from one machine to another as a file, which may be anything."""

import json
from dataclasses import asdict

import pytest

from engine.errors import InputError
from engine.planning.calibration import read_calibration
from tests.engine.planning.test_estimate import SPEED


def test_what_was_written_is_read(tmp_path):
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"calibration": SPEED.to_json(), "plan": {}}))
    assert read_calibration(path) == SPEED


def without(key):
    return {name: value for name, value in SPEED.to_json().items() if name != key}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{}",
        json.dumps({"calibration": 3}),
        json.dumps({"calibration": without("budget")}),
        json.dumps({"calibration": without("format")}),
        json.dumps({"calibration": {**SPEED.to_json(), "computed_pixels_per_second": 0}}),
        json.dumps({"calibration": {**SPEED.to_json(), "finished_pixels_per_second": "fast"}}),
        json.dumps(asdict(SPEED)),
    ],
)
def test_something_else_is_refused(tmp_path, text):
    path = tmp_path / "c.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"c\.json' holds no calibration"):
        read_calibration(path)


def test_another_version_says_so(tmp_path):
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"calibration": {**SPEED.to_json(), "format": 99}}))
    with pytest.raises(InputError, match="another version"):
        read_calibration(path)


def test_no_file(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_calibration(tmp_path / "none.json")

from __future__ import annotations

import pytest

from engine.errors import RequestError
from engine.requests import COMMANDS, parse_request

BASE = {"model": "m.safetensors", "input": ["i.tif"], "output": "o.tif"}


def parse(**options):
    return parse_request("classify", {**BASE, **options})


def refused(**options):
    with pytest.raises(RequestError) as caught:
        parse(**options)
    assert caught.value.exit_code == 2
    return caught.value


def test_every_option_explains_itself():
    for request in COMMANDS.values():
        for name, field in request.model_fields.items():
            assert field.description, name


def test_one_image_or_many():
    assert parse(input="i.tif").input == ["i.tif"]
    assert parse(input=["a.tif", "b.tif"]).input == ["a.tif", "b.tif"]
    assert "input" in refused(input=[]).message


def test_bands_by_text_or_by_table():
    assert parse(bands="red=1, green=2,blue = 3").bands == {"red": 1, "green": 2, "blue": 3}
    assert parse(bands={"red": 4}).bands == {"red": 4}
    for wrong in ("red", "red=", "red=x", "red=-1", "1,2,3", ""):
        assert "red=1,green=2" in refused(bands=wrong).message
    assert "bands" in refused(bands={"red": 0}).message


def test_values_as_text_from_the_command_line_become_what_they_are():
    request = parse(window="512", memory="1.5", nodata="-9999", overwrite="true")
    assert (request.window, request.memory, request.nodata, request.overwrite) == (512, 1.5, -9999.0, True)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"windw": 512}, "Did you mean 'window'?"),
        ({"confidance": "c.tif"}, "Did you mean 'confidence'?"),
        ({"zzz": 1}, "Valid ones:"),
    ],
)
def test_unknown_options_name_the_nearest(options, text):
    error = refused(**options)
    assert f"Unknown option '{next(iter(options))}'" in error.message
    assert text in error.hint


@pytest.mark.parametrize(
    "options",
    [
        {"window": 63},
        {"window": 8193},
        {"window": "big"},
        {"margin": -1},
        {"memory": 0},
        {"memory": float("inf")},
        {"ground_sampling_distance": 0},
        {"ground_sampling_distance": float("inf")},
        {"ground_sampling_distance": float("nan")},
        {"sheet_size": float("inf")},
        {"threads": 0},
        {"batch_size": 0},
        {"device": "gpu"},
        {"device": "cuda:x"},
        {"precision": "float64"},
        {"layout": "tiles"},
        {"overwrite": "perhaps"},
    ],
)
def test_wrong_values_name_their_option(options):
    assert f"Option '{next(iter(options))}'" in refused(**options).message


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"extent": "0,1,0,1", "area": "a.gpkg"}, "exclude each other"),
        ({"output": "o.png"}, ".tif"),
        ({"layout": "sheets"}, ".vrt"),
        ({"confidence": "c.png"}, "onfidence must end in .tif"),
        ({"probabilities": "c"}, "robabilities must end in .tif"),
    ],
)
def test_options_that_do_not_go_together(options, text):
    assert text in refused(**options).message


def test_a_missing_option_is_named():
    with pytest.raises(RequestError) as caught:
        parse_request("classify", {"model": "m"})
    assert "'input' is missing" in caught.value.message
    assert "'output' is missing" in caught.value.message


def test_an_unknown_command_names_the_nearest():
    with pytest.raises(RequestError) as caught:
        parse_request("clasify", {})
    assert "'clasify'" in caught.value.message
    assert "classify" in caught.value.hint


@pytest.mark.parametrize("values", [[], "text", 5, None])
def test_options_that_are_no_table_are_refused(values):
    with pytest.raises(RequestError):
        parse_request("classify", values)


@pytest.mark.parametrize(
    ("given", "codes"),
    [([10], [10]), (["10"], [10]), ("0,19", [0, 19]), (["0 19"], [0, 19]), ([0, 19], [0, 19]), ([], [])],
)
def test_codes_come_as_a_list_or_as_a_text(given, codes):
    values = {"prediction": "p.tif", "truth": "t.tif", "output": "o", "ignore": given}
    assert parse_request("evaluate", values).ignore == codes

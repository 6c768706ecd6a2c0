from __future__ import annotations

import numpy as np
import pytest

from engine.errors import InputError
from engine.rasters.bands import band_name, resolve_bands
from engine.rasters.raster_file import describe

RGB = ("red", "green", "blue")
RGBI = (*RGB, "infrared")
FLAIR = (*RGBI, "elevation")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Red", "red"),
        ("ROUGE", "red"),
        ("r", "red"),
        ("Band 2: Green", "green"),
        ("vert", "green"),
        ("bleu", "blue"),
        ("NIR", "infrared"),
        ("PIR", "infrared"),
        ("Near-Infrared", "infrared"),
        ("proche infrarouge", "infrared"),
        ("B04 (nir)", "infrared"),
        ("Élévation", "elevation"),
        ("hauteur (MNH)", "elevation"),
        ("DSM - DTM", "elevation"),
        ("nDSM", "elevation"),
        ("red edge", None),
        ("short wave infrared", None),
        ("Band 1", None),
        ("", None),
        ("altitude", None),
    ],
)
def test_band_name(text, name):
    assert band_name(text) == name


@pytest.fixture
def file(write_raster):
    def make(count, **options):
        name = options.pop("name", "image.tif")
        return describe(write_raster(name, np.zeros((count, 4, 4), "uint8"), **options))

    return make


def test_descriptions_win_over_position(file, reporter):
    image = file(4, descriptions=["Infrarouge", "Rouge", "Vert", "Bleu"])
    assert resolve_bands(RGBI, image, None, reporter) == (2, 3, 4, 1)
    assert "descriptions" in reporter.logs[0]
    assert reporter.warnings == []


def test_descriptions_win_over_colour_interpretation(file, reporter):
    image = file(3, descriptions=["nir", "red", "green"], interpretation=["red", "green", "blue"])
    assert resolve_bands(("infrared", "red", "green"), image, None, reporter) == (1, 2, 3)


def test_colour_interpretation(file, reporter):
    image = file(3, interpretation=["blue", "green", "red"])
    assert resolve_bands(RGB, image, None, reporter) == (3, 2, 1)
    assert "colour interpretation" in reporter.logs[0]
    assert reporter.warnings == []


def test_colour_infrared_by_name_of_file_is_suspicious(file, reporter):
    resolve_bands(RGB, file(3, interpretation=RGB, name="town_irc_0m20.tif"), None, reporter)
    assert "colour-infrared" in reporter.warnings[0]


def test_fourth_band_by_position_beside_colours(file, reporter):
    image = file(4, interpretation=["red", "green", "blue", "undefined"])
    assert resolve_bands(RGBI, image, None, reporter) == (1, 2, 3, 4)
    assert "position" in reporter.warnings[0]


def test_flair_layout_is_no_guess(file, reporter):
    assert resolve_bands(FLAIR, file(5), None, reporter) == (1, 2, 3, 4, 5)
    assert reporter.warnings == []
    assert "position" in reporter.logs[0]


def test_more_bands_than_wanted_are_in_flair_order(file, reporter):
    assert resolve_bands(("infrared", "red"), file(5), None, reporter) == (4, 1)
    assert reporter.warnings


def test_as_many_bands_as_wanted_are_in_the_models_order(file, reporter):
    assert resolve_bands(("infrared", "red", "green"), file(3), None, reporter) == (1, 2, 3)
    assert "infrared=1" in reporter.warnings[0]


def test_alpha_is_no_data_band(file, reporter):
    image = file(4, interpretation=["red", "green", "blue", "alpha"])
    assert resolve_bands(RGB, image, None, reporter) == (1, 2, 3)
    with pytest.raises(InputError) as caught:
        resolve_bands(RGBI, image, None, reporter)
    assert "infrared=4" in caught.value.hint
    assert resolve_bands(RGBI, image, {"red": 1, "green": 2, "blue": 3, "infrared": 4}, reporter) == (1, 2, 3, 4)


def test_too_few_bands_names_both_sides_and_the_way_out(file, reporter):
    with pytest.raises(InputError) as caught:
        resolve_bands(RGBI, file(2), None, reporter)
    assert "red, green, blue, infrared" in caught.value.message
    assert "only 2 bands" in caught.value.message
    assert "--bands red=1,green=2,blue=3,infrared=4" in caught.value.hint


def test_a_coloured_band_is_never_taken_for_another(file, reporter):
    image = file(3, interpretation=["red", "green", "blue"])
    with pytest.raises(InputError, match="infrared"):
        resolve_bands(("infrared", "red", "green"), image, None, reporter)


def test_given_numbers(file, reporter):
    image = file(3)
    assert resolve_bands(RGB, image, {"red": 3, "green": 2, "blue": 1}, reporter) == (3, 2, 1)
    with pytest.raises(InputError, match="lack 'blue'"):
        resolve_bands(RGB, image, {"red": 3, "green": 2}, reporter)
    with pytest.raises(InputError, match="has 3 bands"):
        resolve_bands(RGB, image, {"red": 3, "green": 2, "blue": 4}, reporter)
    resolve_bands(RGB, image, {"red": 1, "green": 1, "blue": 1}, reporter)
    assert "several names" in reporter.warnings[-1]

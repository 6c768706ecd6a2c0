from __future__ import annotations

import numpy as np
import pytest

from engine.preparation.checks import check_heights, check_infrared_alone, check_order, correlation

PIXELS = 20_000


@pytest.fixture
def scene():
    """Colours that go closely together, and infrared that does so less."""
    generator = np.random.default_rng(0)
    light, leaves = generator.normal(0, 40, PIXELS), generator.normal(0, 30, PIXELS)
    red = 120 + light - 0.4 * leaves
    green = 120 + light + generator.normal(0, 5, PIXELS)
    blue = 110 + light + generator.normal(0, 9, PIXELS)
    infrared = 110 + 0.7 * light + leaves
    return np.stack([red, green, blue]), infrared


def test_the_expected_order_is_said_to_be_right(scene):
    colours, infrared = scene
    order = check_order(colours, np.stack([infrared, colours[0], colours[1]]), (1, 2, 3))
    assert order.findings == ()
    assert order.red == pytest.approx(1)
    assert order.green == pytest.approx(1)


def test_red_and_green_in_turn_do_no_harm(scene):
    colours, infrared = scene
    assert check_order(colours, np.stack([infrared, colours[1], colours[0]]), (1, 2, 3)).findings == ()


@pytest.mark.parametrize("noise", [0, 12])
@pytest.mark.parametrize("place", [1, 2])
def test_another_infrared_band_is_named_even_on_noisy_images(scene, noise, place):
    colours, infrared = scene
    bands = [colours[0], colours[1]]
    bands.insert(place, infrared)
    irc = np.stack(bands) + np.random.default_rng(1).normal(0, noise, (3, PIXELS))
    numbers = (4, 5, 6)
    finding = check_order(colours, irc, numbers).findings[0]
    assert finding.severe
    assert f"near infrared is band {numbers[place]}" in finding.text
    assert finding.hint == f"Give --infrared-band {numbers[place]}."


def test_both_images_swapped(scene):
    colours, infrared = scene
    irc = np.stack([infrared, colours[0], colours[1]])
    (finding,) = check_order(irc, colours, (1, 2, 3)).findings
    assert finding.severe
    assert "swapped" in finding.text


def test_images_that_share_nothing_tell_no_order(scene):
    colours, _ = scene
    noise = np.random.default_rng(2).normal(0, 40, (3, PIXELS))
    (finding,) = check_order(colours, noise, (1, 2, 3)).findings
    assert not finding.severe
    assert "could not be checked" in finding.text


def test_few_or_constant_pixels_tell_no_order(scene):
    colours, infrared = scene
    irc = np.stack([infrared, colours[0], colours[1]])
    assert not check_order(colours[:, :50], irc[:, :50], (1, 2, 3)).findings[0].severe
    flat = np.full((3, PIXELS), 7.0)
    assert not check_order(flat, flat, (1, 2, 3)).findings[0].severe


def test_infrared_that_is_a_colour(scene):
    colours, infrared = scene
    assert check_infrared_alone(colours, infrared) == []
    assert "the orthophoto's green" in check_infrared_alone(colours, colours[1])[0].text


def heights(share, metres, noise=0.2, ground=0.0):
    generator = np.random.default_rng(3)
    values = generator.normal(ground, noise, PIXELS)
    values[: int(share * PIXELS)] += metres
    return values


def texts(values, difference=True, unit_told=False):
    return [(item.text, item.severe) for item in check_heights(values, difference=difference, unit_told=unit_told)]


def test_ordinary_heights_are_not_remarked_upon():
    assert texts(heights(0.3, 8)) == []
    # forest everywhere still has ground between
    assert texts(heights(0.95, 25)) == []


def test_swapped_models_are_told_from_noise():
    ((text, severe),) = texts(heights(0.3, -8))
    assert severe
    assert "swapped" in text
    assert not any(severe for _, severe in texts(heights(0.01, -8)))
    ((text, severe),) = texts(np.concatenate([heights(0.2, -4), heights(0.2, 4)]))
    assert not severe
    assert "below the terrain" in text


def test_heights_without_ground():
    assert "height of the terrain" in texts(heights(0.3, 8, ground=240), difference=False)[0][0]
    assert "offset or in another unit" in texts(heights(0.3, 8, ground=40))[0][0]


def test_a_forest_without_a_gap_is_only_remarked_upon():
    canopy = np.random.default_rng(5).uniform(11, 28, PIXELS)
    ((text, severe),) = texts(canopy, difference=False)
    assert not severe
    assert "over 11 m" in text
    # a plain at the same height is even
    assert texts(np.random.default_rng(5).uniform(20, 22, PIXELS), difference=False)[0][1]


def test_heights_three_times_too_large_are_a_guess():
    ((text, severe),) = texts(heights(0.2, 25 / 0.3048))
    assert not severe
    assert "guess" in text
    assert texts(heights(0.2, 25 / 0.3048), unit_told=True) == []


def test_a_flat_place_is_remarked_upon():
    assert "elevation says little" in texts(heights(0, 0, 0.05))[0][0]


def test_correlation_is_pearsons():
    generator = np.random.default_rng(4)
    first, second = generator.normal(size=(2, 500))
    second += first
    assert correlation(first, second) == pytest.approx(np.corrcoef(first, second)[0, 1])

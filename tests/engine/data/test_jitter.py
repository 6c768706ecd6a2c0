from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.data.jitter import Jitter
from engine.training.presets import load_recipe

STRENGTHS = ("brightness", "contrast", "band_shift", "band_gain", "saturation", "gamma", "blur", "noise")
NAMES = ("red", "infrared", "elevation", "green")
MEAN = torch.tensor([100.0, 90.0, 50.0, 110.0]).view(1, 4, 1, 1)
STD = torch.tensor([50.0, 40.0, 80.0, 45.0]).view(1, 4, 1, 1)
LOW, HIGH = torch.zeros(1, 4, 1, 1), torch.full((1, 4, 1, 1), 255.0)


def jitter(names=NAMES, **strengths):
    return Jitter(load_recipe("quick", {**dict.fromkeys(STRENGTHS, 0.0), **strengths}), names)


def images(count=3, side=12, seed=0, bands=4):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (count, bands, side, side)).astype(np.float32))


def drawn(made, count=3, seed=0):
    return torch.from_numpy(np.stack([made.draw(np.random.default_rng((seed, item))) for item in range(count)]))


def applied(made, values, numbers):
    return made.apply(values, numbers, MEAN, STD, LOW, HIGH)


PLAIN = (images() - MEAN) / STD


def test_without_strength_nothing_is_active_and_nothing_is_drawn():
    made = jitter()
    assert not made.active
    numbers = made.draw(np.random.default_rng(0))
    assert numbers.shape == (made.width,) == (14,)
    assert numbers.tolist() == [0.0, 1.0, 1.0, 1.0, 0.0, 0.0] + [0.0] * 4 + [1.0] * 4
    assert torch.allclose(applied(made, images(), drawn(made)), PLAIN, atol=1e-5)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_each_strength_is_active_by_itself_and_changes_something(strength):
    made = jitter(**{strength: 0.5})
    assert made.active
    # With a share of 0.5 some of eight patches are blurred.
    values = images(8)
    changed = applied(made, values, drawn(made, 8))
    difference = (changed - (values - MEAN) / STD).abs().amax((2, 3))
    assert changed.shape == values.shape
    assert changed.isfinite().all()
    assert (difference[:, [0, 1, 3]] > 1e-3).any()


def test_the_elevation_does_not_change_with_the_light():
    made = jitter(brightness=1.0, contrast=0.5, band_shift=1.0, band_gain=0.5, saturation=0.5, gamma=0.5)
    values = images(5)
    for layout in (torch.contiguous_format, torch.channels_last):
        given = values.to(memory_format=layout)
        changed = applied(made, given, drawn(made, 5))
        plain = (values - MEAN) / STD
        assert torch.equal(changed[:, 2], plain[:, 2])
        assert ((changed - plain)[:, [0, 1, 3]].abs().amax((1, 2, 3)) > 0.05).all()


def test_bands_keep_their_places_beside_an_elevation():
    # Every band of every image is of one value, and nothing but its own shift is added.
    made = jitter(band_shift=0.5)
    values = torch.arange(12.0).view(3, 4, 1, 1).expand(3, 4, 6, 6) * 10
    numbers = drawn(made)
    changed = applied(made, values, numbers)
    for image in range(3):
        for band in range(4):
            expected = (values[image, band] - MEAN[0, band]) / STD[0, band] + numbers[image, 6 + band]
            assert torch.allclose(changed[image, band], expected, atol=1e-5)
    assert (numbers[:, 6 + 2] == 0).all()
    assert numbers[:, [6, 7, 9]].unique().numel() == 9


def test_an_image_of_nothing_but_elevation():
    made = Jitter(jitter(brightness=1.0, gamma=0.5, contrast=0.5).recipe, ("elevation",))
    values = images(2, bands=1)
    args = [item[:, 2:3] for item in (MEAN, STD, LOW, HIGH)]
    assert torch.equal(made.apply(values, drawn(made, 2), *args), (values - 50.0) / 80.0)


def test_brightness_shifts_all_bands_alike_and_contrast_spreads_them_about_their_mean():
    made = jitter(brightness=0.4, contrast=0.3)
    numbers = drawn(made)
    changed = applied(made, images(), numbers)
    for image in range(3):
        for band in (0, 1, 3):
            plain = PLAIN[image, band]
            assert float(changed[image, band].mean() - plain.mean()) == pytest.approx(
                float(numbers[image, 0]), abs=1e-4
            )
            assert float(changed[image, band].std() / plain.std()) == pytest.approx(float(numbers[image, 1]), rel=1e-3)


def test_gamma_follows_its_formula_and_keeps_the_brightest():
    made = jitter(gamma=0.4)
    numbers = drawn(made)
    values = images()
    values[:, :, 0, 0] = 255.0
    changed = applied(made, values, numbers)
    for image in range(3):
        share = (values[image, 0] / 255).clamp(1 / 255, 1)
        expected = (share ** numbers[image, 3] * 255 - 100) / 50
        assert torch.allclose(changed[image, 0], expected, atol=1e-4)
        assert float(changed[image, 0, 0, 0]) == pytest.approx((255 - 100) / 50, abs=1e-4)


def test_a_band_without_a_span_stays_finite():
    made = jitter(gamma=0.4)
    values = torch.full((1, 4, 4, 4), 7.0)
    low = torch.full((1, 4, 1, 1), 7.0)
    changed = made.apply(values, drawn(made, 1), MEAN, STD, low, low)
    assert torch.allclose(changed, (values - MEAN) / STD, atol=1e-4)


def test_saturation_keeps_grey_pixels_grey():
    made = jitter(names=("red", "green", "blue"), saturation=0.5)
    values = images(1, bands=3).mean(1, keepdim=True).expand(1, 3, 12, 12)
    same = torch.zeros(1, 3, 1, 1)
    changed = made.apply(values, drawn(made, 1), same, same + 1, same, same + 255)
    assert torch.allclose(changed, values, atol=1e-3)


def test_blur_touches_only_the_patches_that_were_drawn():
    made = jitter(blur=0.5)
    values = images(12)
    numbers = drawn(made, 12)
    chosen = numbers[:, 4] > 0
    assert 0 < chosen.sum() < 12
    changed, plain = applied(made, values, numbers), (values - MEAN) / STD
    # Bands beside an elevation pass through the arithmetic of light, which rounds.
    assert torch.allclose(changed[~chosen], plain[~chosen], atol=1e-5)
    rough = plain.diff(dim=3).abs().mean((1, 2, 3))
    assert (changed.diff(dim=3).abs().mean((1, 2, 3))[chosen] < 0.8 * rough[chosen]).all()
    assert ((numbers[chosen, 4] >= 0.5) & (numbers[chosen, 4] <= 1.2)).all()


def test_blur_keeps_images_and_bands_apart():
    made = jitter(blur=1.0)
    values = (torch.arange(8.0).view(2, 4, 1, 1) * 10).expand(2, 4, 8, 8).clone()
    values[1, 3, 4, 4] += 100
    changed = applied(made, values, drawn(made, 2)) * STD + MEAN
    flat = torch.ones(2, 4, dtype=torch.bool)
    flat[1, 3] = False
    assert torch.allclose(changed[flat], values[flat], atol=1e-3)
    # A Gaussian spreads a point and loses nothing of it.
    spread = changed[1, 3] - 70
    assert float(spread.sum()) == pytest.approx(100, rel=1e-3)
    assert torch.allclose(spread, spread.T, atol=1e-3)
    assert spread.argmax() == 4 * 8 + 4


def test_each_image_is_blurred_by_its_own_width():
    made = jitter(blur=1.0)
    values, numbers = images(4), drawn(made, 4)
    numbers[2, 4] = 0.0
    together = applied(made, values, numbers)
    for image in range(4):
        alone = applied(made, values[image : image + 1], numbers[image : image + 1])[0]
        assert torch.allclose(together[image], alone, atol=1e-5)


def test_each_band_has_its_own_gain():
    made = jitter(band_gain=0.3)
    numbers = drawn(made)
    changed = applied(made, images(), numbers)
    for image in range(3):
        for band in (0, 1, 3):
            gain = float(changed[image, band].std() / PLAIN[image, band].std())
            assert gain == pytest.approx(float(numbers[image, 10 + band]), rel=1e-3)
    assert (numbers[:, 12] == 1).all()
    assert numbers[:, [10, 11, 13]].unique().numel() == 9


def test_noise_is_as_strong_as_drawn():
    made = jitter(noise=0.5)
    values = images(3, side=64)
    numbers = drawn(made)
    numbers[1, 5] = 0.0
    torch.manual_seed(0)
    difference = applied(made, values, numbers) - (values - MEAN) / STD
    assert difference[1].abs().max() < 1e-5
    for image in (0, 2):
        assert float(difference[image].std()) == pytest.approx(float(numbers[image, 5]), rel=0.05)
    assert (numbers[:, 5] <= 0.5).all()


def test_draws_follow_their_generator():
    made = jitter(brightness=0.3, blur=0.5, noise=0.1)
    first = made.draw(np.random.default_rng(1))
    assert (made.draw(np.random.default_rng(1)) == first).all()
    assert (made.draw(np.random.default_rng(2)) != first).any()


def test_no_draw_goes_far():
    made = jitter(brightness=0.3, contrast=0.2)
    numbers = drawn(made, 2000)
    assert numbers[:, 0].abs().max() == pytest.approx(0.75)
    assert float(numbers[:, 0].std()) == pytest.approx(0.3, rel=0.06)
    assert numbers[:, 1].max() <= np.exp(0.5) + 1e-6

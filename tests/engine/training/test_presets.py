from __future__ import annotations

import re

import pytest

from engine.errors import RequestError
from engine.recipe import Recipe
from engine.training.presets import load_recipe, preset_names


def written(tmp_path, text, name="mine.yaml"):
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def test_all_presets_load_and_hold_every_choice():
    assert set(preset_names()) == {"fine-tune", "quick", "flair-inc", "flair-2", "utt"}
    assert len({load_recipe(name, {}).fingerprint() for name in preset_names()}) == 5


@pytest.mark.parametrize(("name", "rate", "epochs"), [("flair-inc", 0.02, 200), ("flair-2", 0.001, 100)])
def test_recipes_of_ign_are_those_published(name, rate, epochs):
    assert load_recipe(name, {}) == Recipe(
        architecture="unet", encoder="resnet34", encoder_weights="imagenet", freeze="none", epochs=epochs,
        batch_size=10, accumulate=1, crop=0, repeats=1, sampling="uniform", optimizer="sgd", learning_rate=rate,
        encoder_rate=1.0, momentum=0.0, weight_decay=0.0, schedule="plateau", warm_up=0.0, plateau_factor=0.5,
        plateau_patience=10, plateau_cooldown=4, patience=30, monitor="loss", clip=0.0, ema=0.0, precision="exact",
        loss="cross-entropy", class_weights="none", label_smoothing=0.0, flips=True, quarter_turns=True, scale=1.0,
        brightness=0.0, contrast=0.0, band_shift=0.0, band_gain=0.0, saturation=0.0, gamma=0.0, blur=0.0, noise=0.0,
    )  # fmt: skip


def test_choices_win_over_the_preset():
    recipe = load_recipe("quick", {"epochs": 3, "class_weights": "1=2.5, 19=0"})
    assert (recipe.epochs, recipe.encoder, recipe.class_weights) == (3, "resnet18", {1: 2.5, 19: 0.0})


def test_a_file_changes_what_its_base_says(tmp_path):
    path = written(tmp_path, "base: flair-inc\ntitle: Mine\nepochs: 7\n")
    assert load_recipe(path, {}) == load_recipe("flair-inc", {"epochs": 7})
    assert load_recipe(path, {"epochs": 8}).epochs == 8


def test_a_base_of_ones_own_lies_beside_the_file(tmp_path, monkeypatch):
    (tmp_path / "presets").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    written(tmp_path / "presets", "base: quick\nepochs: 5\ncrop: 64\n", "base.yaml")
    path = written(tmp_path / "presets", "base: base.yaml\nepochs: 6\n")
    assert load_recipe(path, {}) == load_recipe("quick", {"epochs": 6, "crop": 64})


def test_a_file_that_is_its_own_base_is_named(tmp_path):
    written(tmp_path, "base: mine.yaml\n", "other.yaml")
    with pytest.raises(RequestError, match="its own base"):
        load_recipe(written(tmp_path, "base: other.yaml\n"), {})
    (tmp_path / "deep").mkdir()
    with pytest.raises(RequestError, match="its own base"):
        load_recipe(written(tmp_path, "base: deep/../mine.yaml\n"), {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base: quick\nlearning_rat: 0.1\n", r"unknown key 'learning_rat' \(did you mean 'learning_rate'\?\)"),
        ("base: quick\nxyzzy: 0.1\n", r"unknown key 'xyzzy'\."),
        ("epochs: 3\n", "'architecture' is missing"),
        ("base: quick\nepochs: 0\n", "'epochs': Input should be greater than or equal to 1"),
        ("base: quick\ncrop: 100\n", "'crop': Input should be a multiple of 32"),
        ("base: quick\nlearning_rate: .nan\n", "'learning_rate'"),
        ("base: quick\nfreeze: decoder\n", "'freeze'"),
        ("base: quick\nclass_weights: 1=x\n", "'class_weights"),
        ("base: quick\nclass_weights: roof\n", "class weights are none, balanced, or code=weight"),
        ("base: quick\nepochs: 0\nema: 1\n", "'epochs'.*'ema'"),
        ("base: quik\n", "no preset 'quik'. Did you mean 'quick'"),
        ("- epochs\n", "holds no choices by name"),
        ("", "holds no choices by name"),
        ("a: [", "not valid YAML"),
    ],
)
def test_mistakes_in_a_file_are_named(tmp_path, text, message):
    with pytest.raises(RequestError) as caught:
        load_recipe(written(tmp_path, text), {})
    assert re.search(message, str(caught.value)), str(caught.value)


def test_presets_that_are_not_there(tmp_path):
    with pytest.raises(RequestError, match=r"no preset 'fine-tuned'. Did you mean 'fine-tune'\?"):
        load_recipe("fine-tuned", {})
    with pytest.raises(RequestError, match="There are: fine-tune, flair-2, flair-inc, quick, utt"):
        load_recipe("zzz", {})
    with pytest.raises(RequestError, match="cannot be read: No such file"):
        load_recipe(str(tmp_path / "zzz.yaml"), {})

from __future__ import annotations

import pytest

from engine.errors import ModelError
from engine.models.catalogue import find_entry, load_catalogue
from engine.models.resolve import resolve_model

BANDS = ("red", "green", "blue", "infrared", "elevation")
MEANS = (105.08, 110.87, 101.82, 106.38, 53.26)
DEVIATIONS = (52.17, 45.38, 44.0, 39.69, 79.3)
EXPECTED = {
    "FLAIR-INC_rgb_15cl_resnet34-unet": (3, 15, "unet", "resnet34"),
    "FLAIR-INC_rgbi_15cl_resnet34-unet": (4, 15, "unet", "resnet34"),
    "FLAIR-INC_rgbie_15cl_resnet34-unet": (5, 15, "unet", "resnet34"),
    "FLAIR-INC_rgb_12cl_resnet34-unet": (3, 12, "unet", "resnet34"),
    "FLAIR-INC_rgbie_12cl_resnet34-unet": (5, 12, "unet", "resnet34"),
    "FLAIR-INC_rgb_15cl_resnet34-deeplabv3": (3, 15, "deeplabv3", "resnet34"),
    "FLAIR-INC_rgb_15cl_resnet34-fpn": (3, 15, "fpn", "resnet34"),
    "FLAIR-INC_rgb_15cl_mitb5-unet": (3, 15, "unet", "mit_b5"),
}


def test_the_eight_models_of_flair_inc_are_there():
    assert {name for name in load_catalogue() if not name.startswith("FLAIR-HUB_")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_an_entry_says_what_was_published(name):
    bands, classes, architecture, encoder = EXPECTED[name]
    described = find_entry(name).manifest
    described.check()
    assert (described.architecture, described.encoder) == (architecture, encoder)
    assert described.band_names == BANDS[:bands]
    assert tuple(band.mean for band in described.bands) == MEANS[:bands]
    assert tuple(band.std for band in described.bands) == DEVIATIONS[:bands]
    assert all((band.minimum, band.maximum) == (0, 255) for band in described.bands)
    assert described.nomenclature.codes == tuple(range(1, 20))
    winners = [item.code for item in described.nomenclature.enabled]
    assert winners == ([*range(1, 15), 18] if classes == 15 else list(range(1, 13)))
    assert described.ground_sampling_distance == 0.2
    assert (described.elevation is not None) == (bands == 5)
    assert described.licence == "etalab-2.0"


def test_a_misspelt_name_finds_its_neighbour():
    with pytest.raises(ModelError) as caught:
        find_entry("FLAIR-INC_rgb_15cl_resnet34-unnet")
    assert "FLAIR-INC_rgb_15cl_resnet34-unet" in caught.value.hint


def test_a_name_without_weights_says_where_they_come_from():
    with pytest.raises(ModelError) as caught:
        resolve_model("FLAIR-INC_rgb_15cl_resnet34-unet")
    assert "--weights" in caught.value.hint


@pytest.mark.parametrize(
    ("model", "weights", "text"),
    [
        ("nothing.safetensors", None, "does not exist"),
        ("folder/nothing", None, "does not exist"),
        ("nothing", None, "no model file and no catalogue model"),
        ("FLAIR-INC_rgb_15cl_resnet34-unet", "nothing.pth", "does not exist"),
    ],
)
def test_what_is_not_there_is_named(model, weights, text):
    with pytest.raises(ModelError, match=text):
        resolve_model(model, weights)


def test_another_kind_of_file_is_refused(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"x")
    with pytest.raises(ModelError, match="not a model file"):
        resolve_model(str(tmp_path / "model.onnx"))
    with pytest.raises(ModelError):
        resolve_model(str(tmp_path))

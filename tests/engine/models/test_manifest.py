from __future__ import annotations

import json

import pytest

from engine.band import Band
from engine.errors import ModelError
from engine.models.manifest import Manifest
from tests.engine import tiny


def test_round_trip_keeps_everything():
    described = tiny.manifest(
        bands=("red", "green", "blue", "infrared", "elevation"),
        elevation="formula é",
        licence="etalab-2.0",
        ground_sampling_distance=0.25,
        provenance={"source": "here", "metrics": {"miou": 0.5}},
    )
    again = Manifest.from_json(described.to_json())
    assert again == described
    assert again.band_names == ("red", "green", "blue", "infrared", "elevation")
    assert again.nomenclature.enabled_channels == (0, 1, 3, 4)


def changed(**changes):
    return json.dumps({**json.loads(tiny.manifest().to_json()), **changes})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"format": 1}',
        "[" * 100_000,
        changed(format="1"),
        changed(bands=[]),
        changed(bands=[{"name": "red"}]),
        changed(bands=[{"name": "red", "mean": 1, "std": 0}]),
        changed(bands=[{"name": "red", "mean": float("nan"), "std": 1}]),
        changed(bands=[{"name": "red", "mean": 1, "std": float("inf")}]),
        changed(bands=[{"name": "red", "mean": 1, "std": 1}] * 2),
        changed(ground_sampling_distance=0),
        changed(ground_sampling_distance=float("nan")),
        changed(ground_sampling_distance=10**400),
        changed(nomenclature={"name": "x", "classes": []}),
        changed(nomenclature={"name": "x", "classes": ["roof"]}),
        changed(nomenclature=None),
        changed(provenance=5),
    ],
)
def test_what_is_no_manifest_is_a_model_error(text):
    with pytest.raises(ModelError):
        Manifest.from_json(text)


def test_a_later_format_asks_for_an_update():
    with pytest.raises(ModelError) as caught:
        Manifest.from_json(changed(format=3))
    assert "format 3" in caught.value.message
    assert "Update" in caught.value.hint


def test_check_names_the_band():
    with pytest.raises(ModelError, match="'red'"):
        tiny.manifest(bands=("red",)).__class__(
            "x", "unet", "resnet18", (Band("red", 1.0, -1.0),), tiny.TINY_CLASSES
        ).check()

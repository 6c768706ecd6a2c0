from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from engine.band import Band
from engine.errors import ModelError
from engine.models.architecture import network_of
from engine.models.checkpoint import load_network
from engine.models.manifest import Manifest
from engine.models.model_file import read_manifest, save_model
from engine.models.resolve import resolve_model
from engine.models.season_input import SeasonInput
from engine.models.utt.published_faults import PublishedFaults
from tests.engine import tiny
from tests.engine.models.utt.small_utt import TINY, inputs

SEASON = SeasonInput(
    tuple(Band(f"B{number:02}", 1000.0 + number, 500.0, 0.0, 10000.0) for number in range(10)),
    ground_sampling_distance=1.6,
    side=16,
    metadata=True,
    design=TINY,
    faults=PublishedFaults(collapsed_from_first_item=True),
)


def described(season=SEASON, **changes):
    bands = ("red", "green", "blue", "infrared", "elevation")
    return tiny.manifest(architecture="utt", bands=bands, season=season, **changes)


def test_a_manifest_with_a_season_comes_back():
    text = described().to_json()
    assert Manifest.from_json(text) == described()
    assert json.loads(text)["format"] == 2
    assert json.loads(text)["season"]["faults"] == ["collapsed_from_first_item"]


def test_a_manifest_without_one_is_as_before():
    values = json.loads(tiny.manifest().to_json())
    assert values["format"] == 1
    assert "season" not in values


def test_a_model_file_with_a_season_says_what_its_network_said(tmp_path):
    torch.manual_seed(0)
    network = network_of(described()).eval()
    save_model(tmp_path / "m.safetensors", network, described())
    manifest = read_manifest(tmp_path / "m.safetensors")
    again = load_network(tmp_path / "m.safetensors", manifest)
    batch, metadata = inputs(2), torch.rand(2, 45)
    assert again.faults == SEASON.faults
    with torch.no_grad():
        assert torch.equal(network(*batch, metadata).logits, again(*batch, metadata).logits)


def test_commands_of_one_input_refuse_it_in_words(tmp_path):
    save_model(tmp_path / "m.safetensors", network_of(described()), described())
    with pytest.raises(ModelError, match="also needs satellite images of a season"):
        resolve_model(str(tmp_path / "m.safetensors"))
    with pytest.raises(ModelError, match="also needs satellite images of a season"):
        resolve_model(str(tmp_path / "m.safetensors"), str(tmp_path / "m.safetensors"))
    assert resolve_model(str(tmp_path / "m.safetensors"), season=True).manifest == described()


@pytest.mark.parametrize(
    "changes",
    [
        {"bands": ()},
        {"bands": SEASON.bands[:1] * 2},
        {"bands": (Band("B02", 1.0, 0.0),)},
        {"ground_sampling_distance": 0.0},
        {"ground_sampling_distance": float("nan")},
        {"side": 18},
        {"side": 4},
    ],
)
def test_seasons_that_cannot_be_are_refused(changes):
    with pytest.raises(ModelError):
        described(replace(SEASON, **changes)).check()


@pytest.mark.parametrize(
    "changes",
    [
        {"season": 5},
        {"season": {}},
        {"season": {**SEASON.to_dict(), "faults": ["none of ours"]}},
        {"season": {**SEASON.to_dict(), "design": {"heads": 5}}},
        {"season": {**SEASON.to_dict(), "design": {"widths": [5]}}},
        {"season": {**SEASON.to_dict(), "bands": [{"name": "B02"}]}},
        {"season": None},
        {"architecture": "unet"},
    ],
)
def test_what_is_no_season_is_a_model_error(changes):
    with pytest.raises(ModelError):
        Manifest.from_json(json.dumps({**json.loads(described().to_json()), **changes}))

from __future__ import annotations

import pytest
import torch
import torchvision

from engine.errors import ModelError
from engine.models.initial import build_initial_network
from tests.engine import tiny


def equal(one, other):
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def begun(described, recorder, seed=3, encoder_weights="none", origin=None):
    return build_initial_network(
        described, encoder_weights=encoder_weights, origin=origin, seed=seed, reporter=recorder
    )


@pytest.mark.parametrize("encoder", ["mobilenet_v2", "mit_b0"])
def test_a_seed_gives_one_network(recorder, encoder):
    described = tiny.manifest(encoder=encoder, bands=("red", "green", "blue", "infrared"))
    first, changes = begun(described, recorder)
    torch.rand(100)
    assert equal(first, begun(described, recorder)[0])
    assert not equal(first, begun(described, recorder, seed=4)[0])
    assert first.training
    assert {item.what for item in changes} == {"new"}
    assert [item.name for item in changes] == list(first.state_dict())


def test_encoder_weights_are_applied_and_the_rest_follows_the_seed(recorder, tmp_path):
    published = torchvision.models.mobilenet_v2(weights=None).state_dict()
    torch.save(published, tmp_path / "m.pth")
    described = tiny.manifest()
    first, changes = begun(described, recorder, encoder_weights=str(tmp_path / "m.pth"))
    state, other = first.state_dict(), begun(described, recorder)[0].state_dict()
    for name in state:
        source = published[name.removeprefix("encoder.")] if name.startswith("encoder.") else other[name]
        assert torch.equal(state[name], source)
    assert [item.name for item in changes if item.what == "left out"] == ["classifier.1.weight", "classifier.1.bias"]


def test_a_model_wins_over_encoder_weights(recorder, tiny_model):
    origin, described, made = tiny_model
    network, changes = begun(described, recorder, encoder_weights="no such file", origin=origin)
    assert equal(network, made)
    assert {item.what for item in changes} == {"kept"}


def test_new_parts_beside_a_model_follow_the_seed(recorder, tiny_model):
    origin, _, _ = tiny_model
    other = tiny.manifest(architecture="fpn", bands=("red", "green", "blue", "infrared"))
    first = begun(other, recorder, origin=origin)[0]
    assert equal(first, begun(other, recorder, origin=origin)[0])
    assert not equal(first, begun(other, recorder, origin=origin, seed=4)[0])


def test_an_unknown_network_is_refused(recorder):
    with pytest.raises(ModelError):
        begun(tiny.manifest(encoder="resnet1000"), recorder)

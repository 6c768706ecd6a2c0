"""The published code's names and answers; figures come from running that code with the same weights and inputs."""

from __future__ import annotations

import hashlib

import pytest
import torch

from engine.errors import ModelError
from engine.models.checkpoint import read_tensors
from engine.models.utt.published_faults import PublishedFaults
from engine.models.utt.published_layout import load_published
from engine.models.utt.utt import UTT
from tests.engine.models.utt.small_utt import published_state, wave

LAYOUT = "fe9950f5892f53a8ca19a7c3d22b4e13bc9c82c33c86d94aa47b47d12878142a"
"""SHA-256 of the lines 'name shape' of the published network with metadata, ResNet34, 5 bands and 13 classes."""


@pytest.fixture(scope="module")
def faulty():
    return UTT(metadata=True, faults=PublishedFaults.every_one()).eval()


@pytest.fixture(scope="module")
def state(faulty):
    return published_state(faulty)


def test_names_and_shapes_are_those_of_the_published_network(state):
    assert len(state) == 492
    lines = "".join(f"{name} {tuple(tensor.shape)}\n" for name, tensor in sorted(state.items()))
    assert hashlib.sha256(lines.encode()).hexdigest() == LAYOUT


def test_the_size_is_that_of_the_published_network(faulty):
    """27.3 million in the paper."""
    assert sum(parameter.numel() for parameter in faulty.parameters()) == 27_260_296
    plain = UTT(faults=PublishedFaults.every_one())
    assert sum(parameter.numel() for parameter in plain.parameters()) == 27_254_744


def test_answers_are_those_of_the_published_network(faulty, state):
    load_published(faulty, state, "published")
    series = wave((2, 4, 10, 40, 40), 2) * 0.5 + 0.6
    series[1, 2:] = 0
    days = torch.tensor([[100.0, 20, -30, -150], [90.0, -70, 0, 0]])
    valid = torch.tensor([[True] * 4, [True, True, False, False]])
    with torch.no_grad():
        found = faulty(
            wave((2, 5, 512, 512), 1).float(), series.float(), days, valid, (wave((2, 45), 3) * 0.5 + 0.5).float()
        )
    places = ((0, 0, 0, 0), (0, 3, 100, 411), (1, 7, 511, 20), (1, 12, 256, 256), (1, 5, 77, 500))
    assert [float(found.logits[place]) for place in places] == pytest.approx(
        [0.045758821, 0.031729609, -0.097509019, -0.052288562, 0.062031940], abs=1e-5
    )
    assert [float(found.satellite_logits[place]) for place in places] == pytest.approx(
        [-0.103019230, -0.018815555, -0.302149802, -0.326026976, -0.423568278], abs=1e-5
    )


def test_a_checkpoint_of_the_published_training_is_taken_with_or_without_idle_layers(faulty, state, tmp_path):
    kept = {f"model.{name}": tensor for name, tensor in state.items()}
    kept |= {"criterion.0.weight": torch.ones(13), "criterion.1.weight": torch.ones(13)}
    torch.save({"state_dict": kept, "epoch": 3}, tmp_path / "a.ckpt")
    lean = UTT(metadata=True, faults=PublishedFaults(metadata_by_row=True)).eval()
    for network in (faulty, lean):
        load_published(network, read_tensors(tmp_path / "a.ckpt"), "a.ckpt")
    assert torch.equal(lean.cropped.convolutions[0].weight, state["fm_utae_featmap_cropped.conv_list.1.weight"])
    assert torch.equal(lean.collapsed.perceptrons[4][6].bias, state["fm_utae_featmap_collapsed.mlps.5.6.bias"])
    assert torch.equal(lean.satellite_head.weight, state["reshape_utae_output.1.weight"])


def test_what_does_not_fit_is_named(state):
    with pytest.raises(ModelError, match="6 tensors left over"):
        load_published(UTT(faults=PublishedFaults(idle_layers=True)), state, "a.ckpt")
    with pytest.raises(ModelError, match=r"2 tensors missing \(metadata.projection"):
        load_published(UTT(metadata=True), state, "a.ckpt")
    fewer = {name: tensor for name, tensor in state.items() if "attention_heads.Q" not in name}
    with pytest.raises(ModelError, match="1 tensor missing"):
        load_published(UTT(metadata=True, faults=PublishedFaults(metadata_by_row=True)), fewer, "a.ckpt")

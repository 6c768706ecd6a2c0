"""Each fault of the published code, with its switch and without."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch

from engine.errors import ModelError
from engine.models.utt.design import SatelliteDesign
from engine.models.utt.metadata_encoding import WIDTH
from engine.models.utt.published_faults import PublishedFaults
from tests.engine.models.utt.small_utt import inputs, small


def pair(name, **choices):
    """Return the same network with a fault and without it."""
    right, wrong = small(**choices), small(faults=PublishedFaults(**{name: True}), **choices)
    wrong.load_state_dict(right.state_dict(), strict=False)
    return right, wrong


@torch.no_grad()
def logits(network, *batch):
    return network(*batch).logits


def test_all_are_off_unless_asked_for_and_all_can_be_asked_for():
    assert not any(vars(PublishedFaults()).values())
    assert all(vars(PublishedFaults.every_one()).values())
    assert len(fields(PublishedFaults)) == 10


def test_collapsed_from_first_item():
    images, series, days, valid = inputs(2)
    other = series.clone()
    other[0] = inputs(2, seed=5)[1][0] * 3
    for network, leaks in zip(pair("collapsed_from_first_item"), (False, True), strict=True):
        before, after = (logits(network, images, part, days, valid)[1] for part in (series, other))
        assert torch.allclose(before, after, atol=1e-5) is not leaks


def test_modality_dropout_in_prediction():
    batch = inputs(2)
    for network, differs in zip(
        pair("modality_dropout_in_prediction", satellite_dropout=0.5), (False, True), strict=True
    ):
        torch.manual_seed(0)
        found = [logits(network, *batch) for _ in range(12)]
        assert any(not torch.equal(found[0], item) for item in found) is differs


def test_padding_in_normalisation():
    images, series, days, valid = inputs(2)
    longer = torch.cat([series, torch.zeros_like(series)], 1)
    twice, marks = torch.cat([days, torch.zeros_like(days)], 1), torch.cat([valid, torch.zeros_like(valid)], 1)
    for network, differs in zip(pair("padding_in_normalisation"), (False, True), strict=True):
        before, after = logits(network, images, series, days, valid), logits(network, images, longer, twice, marks)
        assert torch.allclose(before, after, atol=1e-5) is not differs


def test_zeros_are_padding():
    images, series, days, valid = inputs(2)
    series[:, 1] = 0
    marked = valid.clone()
    marked[:, 1] = False
    for network, ignores in zip(pair("zeros_are_padding"), (False, True), strict=True):
        before, after = logits(network, images, series, days, valid), logits(network, images, series, days, marked)
        assert torch.allclose(before, after, atol=1e-5) is ignores


def test_zeros_that_are_padding_leave_numbers():
    images, series, days, valid = inputs(2)
    series[1] = 0
    found = small(faults=PublishedFaults(zeros_are_padding=True))(images, series, days, valid)
    assert found.logits.isfinite().all()
    series[0] = 0
    found = small(faults=PublishedFaults.every_one())(images, series, days, valid)
    assert found.logits.isfinite().all()


def test_metadata_by_row():
    """North and south of a patch get different numbers, so that mirroring all inputs does not mirror the addition."""
    metadata = torch.rand(2, WIDTH)
    right, wrong = pair("metadata_by_row", metadata=True)
    with torch.no_grad():
        same, rows = right.metadata(metadata), wrong.metadata(metadata)
    assert same.shape == (2, 1280, 1, 1)
    assert rows.shape == (2, 1, 16, 1)
    assert rows.std(2).min() > 1e-3
    with pytest.raises(ModelError, match="512 rows"):
        wrong(*inputs(2), metadata)


def test_idle_layers():
    right, wrong = small(), small(faults=PublishedFaults(idle_layers=True))
    added = set(dict(wrong.named_parameters())) - set(dict(right.named_parameters()))
    assert any(name.startswith("satellite.out_conv.") for name in added)
    assert (len(right.cropped.convolutions), len(wrong.cropped.convolutions)) == (5, 6)
    for network, idle in ((right, False), (wrong, True)):
        network.train()
        found = network(*inputs(3))
        (found.logits.square().sum() + found.satellite_logits.square().sum()).backward()
        without = {name for name, item in network.named_parameters() if item.grad is None}
        assert bool(without) is idle
    assert {name.split(".")[0] for name in without} == {"satellite", "cropped", "collapsed"}


def test_faults_of_one_kind_do_not_turn_on_others():
    batch = inputs(2)
    for name in ("swapped_loss_weights", "satellite_not_turned", "constant_month", "flat_position"):
        right, wrong = pair(name)
        assert torch.equal(logits(right, *batch), logits(wrong, *batch))


def test_the_design_is_that_of_the_baseline():
    design = SatelliteDesign()
    assert design.encoder_widths == design.decoder_widths == (64, 64, 128, 128)
    assert (design.heads, design.attention_width, design.key_width) == (16, 256, 4)
    assert (design.kernel, design.stride, design.padding) == (4, 2, 1)

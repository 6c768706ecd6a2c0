from __future__ import annotations

import pytest
import torch

from engine.errors import ModelError
from engine.models.utt.design import SatelliteDesign
from engine.models.utt.metadata_encoding import WIDTH
from engine.models.utt.utt import UTT
from tests.engine.models.utt.small_utt import RATIO, SATELLITE_SIDE, SIDE, TINY, inputs, small


@torch.no_grad()
def answer(network, batch, *metadata):
    return network(*batch, *metadata)


def test_the_network_of_the_paper_has_its_size_and_shapes():
    network = UTT().eval()
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count == 27_227_852  # 27.3 million in the paper, with idle layers and metadata: see test_published_layout
    batch = inputs(1, 3, side=512, satellite_side=40)
    found = answer(network, batch)
    assert found.logits.shape == found.satellite_logits.shape == (1, 13, 512, 512)


@pytest.mark.parametrize(
    ("side", "satellite_side"), [((64, 64), (16, 24)), ((128, 64), (24, 16)), ((192, 128), (40, 16))]
)
def test_other_sizes(side, satellite_side):
    found = answer(
        small(),
        (
            torch.randn(2, 5, *side),
            torch.rand(2, 3, 10, *satellite_side),
            torch.zeros(2, 3),
            torch.ones(2, 3, dtype=torch.bool),
        ),
    )
    assert found.logits.shape == found.satellite_logits.shape == (2, 4, *side)


@pytest.mark.parametrize("metadata", [False, True])
def test_gradients_reach_every_parameter(metadata):
    network = small(metadata=metadata).train()
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    found = network(*inputs(3), *([torch.rand(3, WIDTH)] if metadata else []))
    (found.logits.square().sum() + found.satellite_logits.square().sum()).backward()
    still = [name for name, item in network.named_parameters() if item.grad is None or not item.grad.abs().any()]
    # A bias before a normalisation by batch shifts what that takes away again.
    assert [name for name in still if not name.endswith("bias")] == []
    assert all(item.grad is not None for item in network.parameters())


def test_the_aerial_answer_alone_teaches_the_satellite_branch():
    network = small().train()
    network(*inputs(3)).logits.square().sum().backward()
    for name in ("satellite.in_conv.conv.conv.0", "satellite.temporal_encoder.inconv", "cropped.convolutions.0"):
        assert network.get_parameter(f"{name}.weight").grad.abs().max() > 0


def test_items_do_not_leak_into_one_another():
    network, batch = small(metadata=True), inputs(3)
    metadata = torch.rand(3, WIDTH)
    before = answer(network, batch, metadata)
    other = [part.clone() for part in (*batch, metadata)]
    for part, values in zip(other, (*inputs(3, seed=9), torch.rand(3, WIDTH)), strict=True):
        part[1] = values[1]
    other[3][1, 2:] = False
    after = answer(network, other[:4], other[4])
    for one, two in zip(before, after, strict=True):
        assert torch.allclose(one[[0, 2]], two[[0, 2]], atol=1e-5)
        assert not torch.allclose(one[1], two[1], atol=1e-2)


def test_each_item_alone_is_answered_as_in_the_batch():
    network, batch = small(), inputs(3, 5)
    batch[3][0, 3:] = False
    batch[3][1] = False
    together = answer(network, batch)
    for item in range(3):
        length = max(1, int(batch[3][item].sum()))
        images, series, days, valid = (part[item : item + 1] for part in batch)
        alone = answer(network, (images, series[:, :length], days[:, :length], valid[:, :length]))
        for one, two in zip(together, alone, strict=True):
            assert torch.allclose(one[item], two[0], atol=1e-5)


def test_the_order_of_the_dates_does_not_matter_but_their_days_do():
    network, (images, series, days, valid) = small(), inputs(2, 6)
    valid[1, 4:] = False
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    before = answer(network, (images, series, days, valid))
    after = answer(network, (images, series[:, order], days[:, order], valid[:, order]))
    moved = answer(network, (images, series[:, order], days, valid[:, order]))
    for one, two, three in zip(before, after, moved, strict=True):
        assert torch.allclose(one, two, atol=1e-5)
        assert not torch.allclose(one, three, atol=1e-3)


@pytest.mark.parametrize("filling", [0.0, 7.0, float("nan")])
def test_padded_dates_change_nothing_whatever_they_hold(filling):
    network, (images, series, days, valid) = small(), inputs()
    before = answer(network, (images, series, days, valid))
    longer = torch.cat([torch.full_like(series[:, :3], filling), series], 1)
    padded = torch.cat([torch.full_like(days[:, :3], 50.0), days], 1)
    marks = torch.cat([torch.zeros_like(valid[:, :3]), valid], 1)
    after = answer(network, (images, longer, padded, marks))
    for one, two in zip(before, after, strict=True):
        assert torch.allclose(one, two, atol=1e-5)


def test_an_empty_series_is_answered_by_the_aerial_image_alone():
    network, (images, series, days, valid) = small(), inputs()
    with torch.no_grad():
        alone = network.aerial(images)
    for batch in (
        (images, series, days, torch.zeros_like(valid)),
        (images, series[:, :0], days[:, :0], valid[:, :0]),
    ):
        found = answer(network, batch)
        assert torch.allclose(found.logits, alone, atol=1e-6)
        assert (found.satellite_logits == 0).all()
    assert not torch.allclose(answer(network, (images, series, days, valid)).logits, alone, atol=1e-2)


def test_a_batch_of_empty_series_can_be_learnt_from():
    network = small().train()
    images, series, days, valid = inputs()
    network(images, series, days, torch.zeros_like(valid)).logits.sum().backward()
    assert network.get_parameter("aerial.segmentation_head.0.weight").grad.abs().max() > 0
    # Else processes that learn together would wait for each other for ever.
    assert all(item.grad is not None for item in network.parameters())
    assert (network.get_parameter("satellite.temporal_encoder.inconv.weight").grad == 0).all()


def test_the_crop_is_the_ground_of_the_patch():
    network, (images, series, days, valid) = small(), inputs(1)
    series[:, :, :, 12:, 12:] += 5
    with torch.no_grad():
        features = network.satellite(series, days, valid)
    assert torch.equal(network._ground(features, (SIDE, SIDE)), features[:, :, 4:12, 4:12])
    found = answer(network, (images, series, days, valid)).satellite_logits
    blocks = found.unfold(2, 8, 8).unfold(3, 8, 8)
    assert torch.equal(blocks.amax((-2, -1)), blocks.amin((-2, -1)))
    with torch.no_grad():
        expected = network.satellite_head(features[:, :, 4:12, 4:12])
    assert torch.allclose(blocks[..., 0, 0], expected, atol=1e-6)


def test_modality_dropout_is_by_item_and_in_training_only():
    network, batch = small(satellite_dropout=0.5), inputs(16)
    with torch.no_grad():
        alone = network.aerial(batch[0])
        assert torch.equal(answer(network, batch).logits, answer(network, batch).logits)
        kept = network.train()._kept(batch[0])
        assert 0 < kept.sum() < 16
        network.eval()
        assert network._kept(batch[0]).tolist() == [1.0]
    assert not torch.allclose(answer(network, batch).logits, alone, atol=1e-2)


def test_half_precision_says_the_same():
    network, batch = small(metadata=True), inputs(3)
    batch[3][1] = False
    batch[3][2, 2:] = False
    metadata = torch.rand(3, WIDTH)
    whole = answer(network, batch, metadata)
    images = batch[0].contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        half = answer(network, (images, *batch[1:]), metadata)
        network.train()(images, *batch[1:], metadata).logits.float().sum().backward()
    for one, two in zip(whole, half, strict=True):
        assert (one - two.float()).abs().mean() < 0.05 * one.std()


@pytest.mark.parametrize(
    ("side", "satellite_side", "said"),
    [
        (60, SATELLITE_SIDE, "7.5 satellite pixels"),
        (SIDE, SATELLITE_SIDE + 1, "no place in the middle of 17"),
        (32 * 5, SATELLITE_SIDE, "20 satellite pixels"),
        (SIDE, 12, "no place|do not fit"),
        (32, 8, "8 x 8 pixels do not fit the network"),
        (SIDE, 20, "20 x 20 pixels do not fit the network"),
    ],
)
def test_sizes_that_do_not_fit_are_named(side, satellite_side, said):
    # Steps of 4 pixels, a deepest map of 2 at the least.
    with pytest.raises(ModelError, match=said):
        answer(
            small(satellite=SatelliteDesign((16, 16, 32, 32), (16, 16, 32, 32), heads=8)),
            inputs(1, side=side, satellite_side=satellite_side),
        )


def test_inputs_that_do_not_belong_together_are_named():
    images, series, days, valid = inputs(2)
    for batch in (
        (images[:1], series, days, valid),
        (images, series, days[:, :2], valid),
        (images, series, days, valid[:1]),
    ):
        with pytest.raises(ModelError, match="do not fit together"):
            answer(small(), batch)
    with pytest.raises(ModelError, match="takes no metadata"):
        answer(small(), (images, series, days, valid), torch.rand(2, WIDTH))
    with pytest.raises(ModelError, match="takes metadata too"):
        answer(small(metadata=True), (images, series, days, valid))


def test_designs_that_cannot_be_are_refused():
    with pytest.raises(ModelError, match="meet in the deepest map"):
        SatelliteDesign((64, 128), (64, 64))
    with pytest.raises(ModelError, match="do not divide"):
        SatelliteDesign((64, 100), (64, 100))
    with pytest.raises(ModelError, match="There is no network"):
        UTT("resnet3400")


def test_encoders_with_an_empty_map_work():
    network = UTT("tu-convnextv2_atto", 3, 4, satellite=TINY, pixel_ratio=RATIO).eval()
    images, series, days, valid = inputs()
    found = answer(network, (images[:, :3], series, days, valid))
    assert found.logits.shape == (2, 4, SIDE, SIDE)

from __future__ import annotations

import pytest
import torch

from engine.errors import ModelError
from engine.models.architecture import build_network
from engine.models.freeze import encoder_stages, freeze, hold_still

STAGES = {
    "resnet18": [{"conv1", "bn1"}, {"layer1"}, {"layer2"}, {"layer3"}, {"layer4"}],
    "tu-resnet18": [{"conv1", "bn1"}, {"layer1"}, {"layer2"}, {"layer3"}, {"layer4"}],
    "mit_b0": [{f"{part}{stage}" for part in ("patch_embed", "block", "norm")} for stage in (1, 2, 3, 4)],
    "tu-convnext_atto": [{"stem_0", "stem_1", "stages_0"}, {"stages_1"}, {"stages_2"}, {"stages_3"}],
}


@pytest.mark.parametrize("encoder", sorted(STAGES))
def test_stages_are_what_each_feature_map_needs(encoder):
    network = build_network("unet", encoder, 4, 3).train()
    stages = encoder_stages(network.encoder)
    parts = [{name.removeprefix("model.").partition(".")[0] for name in stage} for stage in stages]
    assert parts == STAGES[encoder]
    assert sum(map(len, stages)) == len(list(network.encoder.parameters()))
    assert all(module.training for module in network.modules())
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("encoder", ["mobilenet_v2", "efficientnet-b0", "tu-mobilenetv3_small_100"])
def test_blocks_that_stand_in_one_list_are_split_too(encoder):
    network = build_network("unet", encoder, 3, 3)
    stages = encoder_stages(network.encoder)
    names = [name for name, _ in network.encoder.named_parameters()]
    assert len(stages) == 5
    # Stages follow each other without gap or overlap.
    assert [name for stage in stages for name in stage] == [name for name in names if name in set().union(*stages)]


def test_looking_for_stages_changes_nothing():
    network = build_network("deeplabv3", "resnet18", 5, 3).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    torch.manual_seed(4)
    expected = torch.rand(1)
    torch.manual_seed(4)
    freeze(network, "2")
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("encoder", ["resnet18", "mobilenet_v2", "mit_b0"])
@pytest.mark.parametrize("what", ["2", "encoder"])
def test_a_training_step_leaves_frozen_parts_as_they_were(encoder, what):
    torch.manual_seed(0)
    network = build_network("unet", encoder, 3, 3)
    names = freeze(network, what)
    assert {name for name, value in network.named_parameters() if not value.requires_grad} == set(names)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1, weight_decay=0.1)
    network.train()
    hold_still(network, names)
    network(torch.randn(2, 3, 64, 64) * 3 + 1).square().mean().backward()
    optimizer.step()
    modules = {name.rpartition(".")[0] for name in names}
    still, moved = set(), set()
    for name, tensor in network.state_dict().items():
        (still if torch.equal(tensor, before[name]) else moved).add(name)
    frozen = {name for name in before if name.rpartition(".")[0] in modules}
    assert frozen <= still
    trained = {name for name, value in network.named_parameters() if value.requires_grad}
    assert {name for name in trained if name.startswith(("decoder.", "segmentation_head."))} <= moved
    if what == "2":
        assert any(name.startswith("encoder.") for name in moved)
    else:
        assert not any(name.startswith("encoder.") for name in moved)


def test_only_frozen_parts_are_held_still():
    network = build_network("unet", "resnet18", 3, 3)
    names = freeze(network, "2")
    network.train()
    hold_still(network, names)
    assert not network.encoder.bn1.training
    assert not any(module.training for module in network.encoder.layer1.modules())
    assert all(module.training for module in network.encoder.layer2.modules())
    assert all(module.training for module in network.decoder.modules())
    assert network.encoder.training


def test_frozen_dropout_rests_too():
    network = build_network("unet", "mit_b0", 3, 3)
    names = freeze(network, "encoder")
    network.train()
    hold_still(network, names)
    image = torch.randn(1, 3, 64, 64)
    assert torch.equal(network.encoder(image)[-1], network.encoder(image)[-1])


def test_none_freezes_nothing_and_more_stages_than_there_are_freeze_all():
    network = build_network("unet", "mit_b0", 3, 3)
    assert freeze(network, "none") == []
    network.train()
    hold_still(network, [])
    assert all(module.training for module in network.modules())
    assert freeze(network, "4") == freeze(network, "5")
    assert not any(parameter.requires_grad for parameter in network.encoder.parameters())
    assert freeze(network, "encoder") == [f"encoder.{name}" for name, _ in network.encoder.named_parameters()]


@pytest.mark.parametrize("what", ["0", "6", "decoder", ""])
def test_anything_else_is_refused(what):
    with pytest.raises(ModelError, match="cannot be frozen"):
        freeze(build_network("unet", "resnet18", 3, 3), what)

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

import pytest
import torch

from engine.errors import ModelError
from engine.models.adapt import TensorChange, start_from, starting_statistics
from engine.models.architecture import network_of
from engine.models.catalogue import find_entry
from engine.models.model_file import save_model
from engine.models.resolve import resolve_model
from engine.nomenclature import LandCoverClass, Nomenclature
from tests.engine import tiny

RGB = ("red", "green", "blue")
RGBIE = (*RGB, "infrared", "elevation")
FAST = {"architecture": "unet", "encoder": "resnet18"}
CONV = "encoder.conv1.weight"
HEAD = ("segmentation_head.0.weight", "segmentation_head.0.bias")


def saved(folder, described, seed=0):
    """A model file with an untrained network whose every tensor is its own: (resolved model, network)."""
    made = tiny.network(described, seed)
    with torch.no_grad():
        for name in HEAD:
            made.get_parameter(name).normal_()
    path = folder / "origin.safetensors"
    save_model(path, made, described)
    return resolve_model(str(path)), made


def started(described, origin, recorder, seed=9):
    torch.manual_seed(seed)
    network = network_of(described)
    changes = start_from(network, described, origin, recorder)
    assert len({item.name for item in changes}) == len(changes)
    return network, {item.name: item for item in changes}


def close(one, other):
    return float((one - other).abs().max()) < 1e-5 * float(other.abs().max())


def logits(network, image):
    with torch.inference_mode():
        return network.eval()(image)


@pytest.mark.parametrize(
    ("architecture", "encoder"),
    [
        ("unet", "resnet34"),
        ("unet", "mobilenet_v2"),
        ("unet", "mit_b0"),
        ("fpn", "resnet34"),
        ("deeplabv3", "resnet34"),
    ],
)
def test_the_same_bands_and_classes_keep_everything_bit_for_bit(tmp_path, recorder, architecture, encoder):
    described = tiny.manifest(architecture=architecture, encoder=encoder, bands=RGB)
    origin, made = saved(tmp_path, described)
    network, changes = started(described, origin, recorder)
    assert set(changes.values()) == {TensorChange(name, "kept") for name in network.state_dict()}
    image = torch.randn(1, 3, 64, 64)
    assert torch.equal(logits(network, image), logits(made, image))
    assert recorder.logs == [f"Starting from 'tiny': {len(changes)} of {len(changes)} tensors kept."]
    other = replace(described, bands=described.bands[:2] + tiny.manifest(bands=("infrared",)).bands)
    network, changes = started(other, origin, recorder)
    widened = {name for name, item in changes.items() if item.what == "widened"}
    assert len(widened) == 1
    before, after = made.state_dict()[min(widened)], network.state_dict()[min(widened)]
    assert torch.equal(after, before[:, [0, 1, 0]])


def test_new_bands_at_their_mean_change_no_logit(tmp_path, recorder):
    origin, made = saved(tmp_path, tiny.manifest(bands=RGB, **FAST))
    network, changes = started(tiny.manifest(bands=RGBIE, **FAST), origin, recorder)
    before, after = made.state_dict()[CONV], network.state_dict()[CONV]
    assert torch.equal(after[:, :3], before)
    assert torch.allclose(after[:, 3], before[:, 0] / 5)
    assert torch.allclose(after[:, 4], before.mean(1) / 5)
    assert changes[CONV] == TensorChange(
        CONV, "widened", "3 bands kept, 2 new (infrared from red, elevation from the mean of red, green, blue)"
    )
    assert [item.what for item in changes.values()].count("kept") == len(changes) - 1
    assert f"{len(changes) - 1} of {len(changes)} tensors kept; {CONV}: 3 bands kept, 2 new (" in recorder.logs[0]
    image = torch.randn(1, 5, 64, 64)
    image[:, 3:] = 0
    expected = logits(made, image[:, :3])
    assert close(logits(network, image), expected)
    image[:, 3:] = torch.randn(1, 2, 64, 64)
    assert not close(logits(network, image), expected)


@pytest.mark.parametrize(
    ("given", "wanted", "places", "what"),
    [
        (RGBIE, RGB, (0, 1, 2), "kept"),
        (RGBIE, ("infrared", "red", "green"), (3, 0, 1), "kept"),
        (RGB, ("blue", "green", "red"), (2, 1, 0), "kept"),
        (RGB, ("infrared", "red", "green"), (0, 0, 1), "widened"),
        (("infrared", "red"), ("red", "green"), (1, 1), "widened"),
        (("infrared", "elevation"), ("infrared", "red"), (0, None), "widened"),
    ],
)
def test_filters_follow_the_name_of_their_band(tmp_path, recorder, given, wanted, places, what):
    origin, made = saved(tmp_path, tiny.manifest(bands=given, **FAST))
    network, changes = started(tiny.manifest(bands=wanted, **FAST), origin, recorder)
    before, after = made.state_dict()[CONV], network.state_dict()[CONV]
    expected = torch.stack([before.mean(1) if place is None else before[:, place] for place in places], 1)
    assert torch.equal(after, expected)
    assert changes[CONV].what == what


def test_bands_in_another_order_give_the_same_answer(tmp_path, recorder):
    origin, made = saved(tmp_path, tiny.manifest(bands=RGBIE, **FAST))
    order = [3, 0, 4, 2, 1]
    network, changes = started(tiny.manifest(bands=[RGBIE[at] for at in order], **FAST), origin, recorder)
    image = torch.randn(1, 5, 64, 64)
    assert close(logits(network, image[:, order]), logits(made, image))
    assert changes[CONV] == TensorChange(CONV, "kept", "bands in another order")


def classes(*items):
    return Nomenclature("other", tuple(LandCoverClass(code, name, "#123456") for code, name in items))


def test_a_class_that_moves_keeps_its_logits(tmp_path, recorder):
    origin, made = saved(tmp_path, tiny.manifest(**FAST))
    wanted = classes((5, "Water"), (9, "hedge"), (7, "roof"), (3, "scrub"), (2, "road"))
    described = tiny.manifest(nomenclature=wanted, **FAST)
    torch.manual_seed(9)
    fresh = network_of(described).state_dict()
    network, changes = started(described, origin, recorder)
    image = torch.randn(1, 3, 64, 64)
    before, after = logits(made, image), logits(network, image)
    assert torch.equal(after[:, 0], before[:, 3])
    assert torch.equal(after[:, 2], before[:, 0])
    for name in HEAD:
        # Code 3 and the name road stand for something else here.
        assert torch.equal(network.state_dict()[name][[1, 3, 4]], fresh[name][[1, 3, 4]])
        assert changes[name].what == "widened"
        assert changes[name].note == "2 classes kept, 3 new (hedge, scrub, road), 3 left out"
    assert " and ".join(HEAD) in recorder.logs[0]


def test_more_fewer_and_none_of_the_classes(tmp_path, recorder):
    origin, made = saved(tmp_path, tiny.manifest(**FAST))
    head = made.state_dict()[HEAD[0]]
    items = [(item.code, item.name) for item in tiny.TINY_CLASSES.classes]
    for wanted, rows, what, note in (
        ([*items, (11, "pool")], [0, 1, 2, 3, 4], "widened", "5 classes kept, 1 new (pool)"),
        (items[1:3], [1, 2], "kept", "2 classes kept, 3 left out"),
        (items[::-1], [4, 3, 2, 1, 0], "kept", "classes in another order"),
        ([(11, "pool"), (12, "tent")], [], "new", "0 classes kept, 2 new (pool, tent), 5 left out"),
    ):
        network, changes = started(tiny.manifest(nomenclature=classes(*wanted), **FAST), origin, recorder)
        assert torch.equal(network.state_dict()[HEAD[0]][: len(rows)], head[rows])
        assert changes[HEAD[0]] == TensorChange(HEAD[0], what, note)


def test_published_order_and_hub_order_are_told_apart(tmp_path, recorder):
    flair = find_entry("FLAIR-INC_rgb_15cl_resnet34-unet").manifest.nomenclature
    hub = (1, 18, 13, 3, 2, 4, 5, 14, 10, 11, 12, 9, 7, 6, 8, 15, 17, 16, 19)
    by_code = {item.code: item for item in flair.classes}
    ordered = Nomenclature("hub", tuple(by_code[code] for code in hub))
    origin, made = saved(tmp_path, tiny.manifest(nomenclature=flair, **FAST))
    network, changes = started(tiny.manifest(nomenclature=ordered, **FAST), origin, recorder)
    image = torch.randn(1, 3, 64, 64)
    before, after = logits(made, image), logits(network, image)
    assert torch.equal(after, before[:, [code - 1 for code in hub]])
    assert changes[HEAD[0]].what == "kept"


def test_a_published_checkpoint_is_a_start(tmp_path, recorder):
    name = "FLAIR-INC_rgb_15cl_resnet34-unet"
    described = find_entry(name).manifest
    made = tiny.network(described)
    content = OrderedDict((f"model.seg_model.{key}", value) for key, value in made.state_dict().items())
    content["criterion.weight"] = torch.ones(19)
    for new in (True, False):
        torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=new)
        origin = resolve_model(name, str(tmp_path / "w.pth"))
        wanted = tiny.manifest(encoder="resnet34", bands=RGBIE, nomenclature=classes((1, "building"), (40, "tent")))
        network, changes = started(wanted, origin, recorder)
        assert torch.equal(network.state_dict()[CONV][:, :3], made.state_dict()[CONV])
        assert torch.equal(network.state_dict()[HEAD[0]][0], made.state_dict()[HEAD[0]][0])
        assert [item.what for item in changes.values()].count("kept") == 278 - 3
    assert recorder.logs[0].startswith(f"Starting from '{name}': 275 of 278 tensors kept; encoder.conv1.weight: ")


def test_another_decoder_takes_the_encoder_alone(tmp_path, recorder):
    origin, made = saved(tmp_path, tiny.manifest(**FAST))
    described = tiny.manifest(architecture="fpn", encoder="resnet18", bands=(*RGB, "infrared"))
    torch.manual_seed(9)
    fresh = network_of(described).state_dict()
    network, changes = started(described, origin, recorder)
    state = network.state_dict()
    for name in state:
        if name == CONV:
            assert torch.equal(state[name][:, :3], made.state_dict()[name])
        elif name.startswith("encoder."):
            assert torch.equal(state[name], made.state_dict()[name])
            assert changes[name].what == "kept"
        else:
            assert torch.equal(state[name], fresh[name])
            assert changes[name].what == "new"
    assert any(item.what == "left out" for item in changes.values())
    assert "of decoder" in recorder.logs[0]


def test_another_encoder_is_refused(tmp_path, recorder):
    origin, _ = saved(tmp_path, tiny.manifest(**FAST))
    described = tiny.manifest(architecture="fpn", encoder="mobilenet_v2")
    with pytest.raises(ModelError, match=r"unet with resnet18 .* fpn with mobilenet_v2") as caught:
        started(described, origin, recorder)
    assert "--encoder resnet18" in caught.value.hint


def test_a_file_that_belies_its_description_is_refused(tmp_path, recorder):
    described = tiny.manifest(**FAST)
    made = tiny.network(described)
    five = tiny.network(tiny.manifest(bands=RGBIE, **FAST))
    few = tiny.network(tiny.manifest(nomenclature=classes((7, "roof"), (3, "grass")), **FAST))
    half = {name: tensor for name, tensor in made.state_dict().items() if "layer4" not in name}
    wanted = tiny.manifest(bands=RGBIE, **FAST)
    path = tmp_path / "w.pth"
    save_model(tmp_path / "m.safetensors", made, described)
    for tensors, text in (
        (five.state_dict(), r"encoder.conv1.weight has shape \(64, 5, 7, 7\), for 3 bands"),
        (few.state_dict(), r"segmentation_head.0.weight has shape \(2, 16, 3, 3\), for 5 classes"),
        (half, "tensors missing"),
        ({"encoder.conv1.weight": made.state_dict()[CONV]}, "segmentation_head.0.weight is missing"),
        ({"layer.weight": torch.zeros(3)}, "is missing"),
    ):
        torch.save(tensors, path)
        origin = resolve_model(str(tmp_path / "m.safetensors"), str(path))
        with pytest.raises(ModelError, match=text) as caught:
            started(wanted, origin, recorder)
        assert "\n" not in caught.value.message
        assert caught.value.hint
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ModelError):
        started(wanted, replace(origin, path=path), recorder)
    assert recorder.logs == []


def test_statistics_of_shared_bands_are_those_of_the_origin():
    origin = tiny.manifest(bands=("blue", "red"))
    assert starting_statistics(origin, RGBIE) == {"red": (105.08, 52.17), "blue": (101.82, 44.0)}
    assert starting_statistics(origin, ("thermal",)) == {}

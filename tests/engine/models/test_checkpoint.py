from __future__ import annotations

import json
import os
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from engine.errors import ModelError
from engine.models.architecture import build_network
from engine.models.checkpoint import load_network, load_strictly, read_tensors, strip_prefixes
from engine.models.resolve import resolve_model
from tests.engine import tiny

NAME = "FLAIR-INC_rgb_15cl_resnet34-unet"


@pytest.fixture(scope="module")
def weights():
    """A small network's manifest and tensors."""
    described = tiny.manifest()
    return described, dict(tiny.network(described).state_dict())


@pytest.mark.parametrize(
    "prefix", ["", "model.", "seg_model.", "model.seg_model.", "module.", "module.model.seg_model."]
)
@pytest.mark.parametrize("criterion", ["criterion.weight", "model.criterion.weight", None])
def test_every_prefix_is_stripped_and_the_loss_dropped(weights, prefix, criterion):
    given = {f"{prefix}{name}": tensor for name, tensor in weights[1].items()}
    if criterion:
        given[criterion] = torch.ones(19)
    assert set(strip_prefixes(given)) == set(weights[1])


def test_a_prefix_that_only_some_names_have_stays():
    given = {"model.a": torch.zeros(1), "b": torch.zeros(1)}
    assert strip_prefixes(given) == given


@pytest.mark.parametrize("container", [None, "state_dict", "model_state_dict", "model"])
def test_a_checkpoint_loads_from_any_container(weights, tmp_path, container):
    described, tensors = weights
    content = OrderedDict((f"model.seg_model.{name}", tensor) for name, tensor in tensors.items())
    content["criterion.weight"] = torch.ones(5)
    path = tmp_path / "weights.ckpt"
    if container is None:
        torch.save(content, path)
    else:
        more = {"epoch": 3, "hyper_parameters": {"lr": 0.1}, "optimizer_states": [{"state": {}}], "loops": None}
        torch.save({container: content, **more}, path)
    made = load_network(path, described)
    assert not made.training
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in made.state_dict().items())


def test_the_older_names_of_deeplab_are_known():
    made = build_network("deeplabv3", "resnet18", 3, 5)
    tensors = {name: torch.rand_like(value.float()) for name, value in made.state_dict().items()}
    older = {name.replace("decoder.aspp.", "decoder.0."): value for name, value in tensors.items()}
    assert older.keys() != tensors.keys()
    load_strictly(made, older, "older.pth")
    name = "decoder.aspp.convs.0.0.weight"
    assert torch.equal(made.state_dict()[name], tensors[name])


def test_tensors_that_do_not_fit_are_counted_and_named(weights):
    described, tensors = weights
    given = dict(tensors)
    for name in ("features.0.0.weight", "features.0.1.weight", "features.0.1.bias", "features.0.1.running_mean"):
        del given[f"encoder.{name}"]
    given["surplus.weight"] = torch.zeros(1)
    given["segmentation_head.0.weight"] = torch.zeros(19, 16, 3, 3)
    with pytest.raises(ModelError) as caught:
        load_strictly(tiny.network(described), given, "mine.pth")
    text = caught.value.message
    assert "'mine.pth'" in text
    assert "4 tensors missing (" in text
    assert ", ...)" in text
    assert "1 tensor left over (surplus.weight)" in text
    assert "1 tensor of another shape (segmentation_head.0.weight (19, 16, 3, 3) instead of (5, 16, 3, 3))" in text
    assert caught.value.hint


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(weights, value):
    described, tensors = weights
    given = {**tensors, "encoder.features.0.1.bias": torch.full((32,), value)}
    with pytest.raises(ModelError, match=r"1 tensor broken \(encoder.features.0.1.bias\)"):
        load_strictly(tiny.network(described), given, "x")


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, {"state_dict": {}}, [1, 2], {"a": "text"}])
def test_a_checkpoint_without_tensors_is_refused(tmp_path, content):
    path = tmp_path / "none.pth"
    torch.save(content, path)
    with pytest.raises(ModelError, match="holds no tensors"):
        read_tensors(path)


def test_an_unknown_network_names_what_is_missing():
    for architecture, encoder in (("unet", "resnet1000"), ("yunet", "resnet18")):
        with pytest.raises(ModelError):
            build_network(architecture, encoder, 3, 5)


def test_a_half_precision_checkpoint_loads_as_float32(weights, tmp_path):
    described, tensors = weights
    path = tmp_path / "half.pth"
    torch.save(
        {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}, path
    )
    assert {tensor.dtype for tensor in load_network(path, described).parameters()} == {torch.float32}


def test_a_catalogue_model_takes_a_checkpoint_of_its_layout(tmp_path):
    """All tensor names and shapes of the published layout, in the published wrapping."""
    made = build_network("unet", "resnet34", 3, 19)
    path = tmp_path / "w.pth"
    content = OrderedDict((f"model.seg_model.{name}", tensor) for name, tensor in made.state_dict().items())
    torch.save(OrderedDict([*content.items(), ("criterion.weight", torch.ones(19))]), path)
    resolved = resolve_model(NAME, str(path))
    assert len(content) == 278
    loaded = load_network(resolved.path, resolved.manifest)
    assert torch.equal(loaded.state_dict()["encoder.conv1.weight"], made.state_dict()["encoder.conv1.weight"])


@pytest.mark.real_data
def test_the_published_layouts_load_strictly():
    beside = Path(__file__).resolve().parents[3].parent / "shared" / "reference"
    path = Path(os.environ.get("FLAIR_TEST_REFERENCE", beside)) / "checkpoint-keys.json"
    if not path.is_file():
        pytest.skip(f"the published layouts are not at {path}; set FLAIR_TEST_REFERENCE")
    models = json.loads(path.read_text())["models"]
    assert len(models) >= 6
    for name, layout in models.items():
        if layout["encoder"].startswith("mit"):
            continue  # takes 20 s to build and cannot be built without memory
        with torch.device("meta"):
            made = build_network(layout["architecture"], layout["encoder"], layout["in_channels"], 19)
        tensors = {f"model.seg_model.{key}": torch.zeros(shape) for key, shape in layout["tensors"].items()}
        load_strictly(made, strip_prefixes(tensors), name)

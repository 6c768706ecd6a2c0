from __future__ import annotations

import os
import pickle
import time
import zipfile

import pytest
import segmentation_models_pytorch as smp
import timm
import torch
import torchvision
from huggingface_hub import constants
from safetensors.torch import save_file

from engine.errors import ModelError
from engine.models.architecture import build_network
from engine.models.band_filters import input_layers
from engine.models.encoder_weights import load_encoder_weights

RGB = ("red", "green", "blue")
RGBIE = (*RGB, "infrared", "elevation")


def randomised(state, seed=5):
    """Other values than any network starts with, so that a tensor that was not copied shows."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(tensor.shape, generator=generator) + 0.5 if tensor.is_floating_point() else tensor + 7
        for name, tensor in state.items()
    }


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Files as torchvision and timm publish them: (path, tensors) by encoder."""
    folder = tmp_path_factory.mktemp("published")
    models = {
        "mobilenet_v2": torchvision.models.mobilenet_v2(weights=None),
        "resnet18": torchvision.models.resnet18(weights=None),
        "tu-resnet18": timm.create_model("resnet18"),
        "tu-convnext_atto": timm.create_model("convnext_atto"),
        "mit_b0": smp.encoders.get_encoder("mit_b0"),
    }
    files = {}
    for encoder, model in models.items():
        tensors = randomised(model.state_dict())
        if encoder == "mit_b0":
            tensors |= {"head.weight": torch.zeros(1000, 256), "head.bias": torch.zeros(1000)}
        path = folder / f"{encoder}.pth"
        torch.save(tensors, path)
        files[encoder] = (path, tensors)
    return files


FIRST = {
    "mobilenet_v2": ("features.0.0.weight", "features.0.0.weight"),
    "resnet18": ("conv1.weight", "conv1.weight"),
    "tu-resnet18": ("model.conv1.weight", "conv1.weight"),
    "tu-convnext_atto": ("model.stem_0.weight", "stem.0.weight"),
    "mit_b0": ("patch_embed1.proj.weight", "patch_embed1.proj.weight"),
}
LAST = {
    "mobilenet_v2": ("features.18.1.running_var", "features.18.1.running_var"),
    "resnet18": ("layer4.1.bn2.running_var", "layer4.1.bn2.running_var"),
    "tu-resnet18": ("model.layer4.1.bn2.running_var", "layer4.1.bn2.running_var"),
    "tu-convnext_atto": ("model.stages_3.blocks.1.mlp.fc2.bias", "stages.3.blocks.1.mlp.fc2.bias"),
    "mit_b0": ("norm4.bias", "norm4.bias"),
}


@pytest.fixture
def reached(monkeypatch):
    """A hub that answers, without asking it."""
    monkeypatch.setattr("engine.models.encoder_weights.why_unreachable", lambda repository: None)


def loaded(encoder, path, bands, recorder, architecture="unet"):
    network = build_network(architecture, encoder, len(bands), 4)
    changes = load_encoder_weights(network, encoder, str(path), bands, recorder)
    return network, changes


def filters(network, encoder):
    return network.state_dict()[f"encoder.{FIRST[encoder][0]}"]


@pytest.mark.parametrize("encoder", sorted(FIRST))
def test_every_tensor_of_a_published_file_arrives(published, recorder, encoder):
    path, tensors = published[encoder]
    network, changes = loaded(encoder, path, RGB, recorder)
    state = network.state_dict()
    for own, theirs in (FIRST[encoder], LAST[encoder]):
        assert torch.equal(state[f"encoder.{own}"], tensors[theirs])
    by_name = {change.name: change for change in changes}
    assert {by_name[name].what for name in state if name.startswith("encoder.")} == {"kept"}
    assert {by_name[name].what for name in state if not name.startswith("encoder.")} == {"new"}
    left_out = [change.name for change in changes if change.what == "left out"]
    assert left_out
    assert {name.partition(".")[0] for name in left_out} <= {"fc", "classifier", "head"}
    encoders = sum(name.startswith("encoder.") for name in state)
    assert f"{encoders} of {len(state)} tensors kept" in recorder.logs[-1]
    assert left_out[0] in recorder.logs[-1] or "left out (" in recorder.logs[-1]


@pytest.mark.parametrize("encoder", sorted(FIRST))
def test_filters_go_by_the_name_of_the_band(published, recorder, encoder):
    path, tensors = published[encoder]
    red, green, blue = tensors[FIRST[encoder][1]].unbind(1)
    mean = (red + green + blue) / 3
    network, changes = loaded(encoder, path, RGBIE, recorder)
    expected = torch.stack([red, green, blue, red, mean], 1) * 3 / 5
    assert torch.allclose(filters(network, encoder), expected, rtol=1e-6, atol=0)
    widened = [change for change in changes if change.what == "widened"]
    assert [change.name for change in widened] == [f"encoder.{FIRST[encoder][0]}"]
    assert widened[0].note == (
        "3 bands kept, 2 new (infrared from red, elevation from the mean of red, green, blue), all times 3/5"
    )
    network, _ = loaded(encoder, path, ("infrared", "red", "green"), recorder)
    assert torch.equal(filters(network, encoder), torch.stack([red, red, green], 1))


@pytest.mark.parametrize(
    ("bands", "places", "scale"),
    [
        (("blue", "red", "green"), (2, 0, 1), 1),
        (("green", "red"), (1, 0), 3 / 2),
        (("red",), (0,), 3),
        (("infrared",), (0,), 3),
        (("thermal", "red", "green"), (None, 0, 1), 1),
        (("elevation", "infrared", "blue", "red"), (None, 0, 2, 0), 3 / 4),
    ],
)
def test_any_choice_of_bands_gets_its_filters(published, recorder, bands, places, scale):
    path, tensors = published["resnet18"]
    rgb = tensors["conv1.weight"]
    chosen = [rgb.mean(1) if place is None else rgb[:, place] for place in places]
    network, _ = loaded("resnet18", path, bands, recorder)
    assert torch.allclose(filters(network, "resnet18"), torch.stack(chosen, 1) * scale, rtol=1e-6, atol=0)


def test_an_image_alike_in_all_bands_gets_the_same_response(published, recorder):
    rgb, _ = loaded("resnet18", published["resnet18"][0], RGB, recorder)
    grey = torch.randn(1, 1, 64, 64)
    before = rgb.encoder.conv1(grey.expand(1, 3, 64, 64))
    for bands in (("red", "green", "blue", "elevation"), ("elevation",)):
        other, _ = loaded("resnet18", published["resnet18"][0], bands, recorder)
        after = other.encoder.conv1(grey.expand(1, len(bands), 64, 64))
        assert torch.allclose(after, before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("architecture", ["fpn", "deeplabv3"])
def test_the_same_file_fits_under_any_decoder(published, recorder, architecture):
    path, tensors = published["resnet18"]
    network, _ = loaded("resnet18", path, RGB, recorder, architecture)
    assert torch.equal(network.state_dict()["encoder.layer4.1.conv2.weight"], tensors["layer4.1.conv2.weight"])


def test_all_branches_of_a_first_layer_are_found():
    for encoder, names in (
        ("mobileone_s0", ["stage0.rbr_conv.0.conv.weight", "stage0.rbr_scale.conv.weight"]),
        ("efficientnet-b0", ["_conv_stem.weight"]),
        ("tu-swin_tiny_patch4_window7_224", ["model.patch_embed.proj.weight"]),
    ):
        for channels in (3, 4, 5):
            part = smp.encoders.get_encoder(encoder, in_channels=channels, weights=None)
            assert input_layers(part, channels) == names


def test_files_of_any_kind_are_read(published, recorder, tmp_path):
    tensors = published["resnet18"][1]
    old = {name: tensor for name, tensor in tensors.items() if "num_batches" not in name}
    torch.save(tensors, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    torch.save(old, tmp_path / "without-counters.pt", _use_new_zipfile_serialization=False)
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in tensors.items()}}, tmp_path / "wrapped.pth")
    save_file(tensors, str(tmp_path / "plain.safetensors"))
    for file in tmp_path.iterdir():
        network, _ = loaded("resnet18", file, RGB, recorder)
        assert torch.equal(filters(network, "resnet18"), tensors["conv1.weight"]), file


def test_older_names_of_densenet_are_known(recorder, tmp_path):
    part = smp.encoders.get_encoder("densenet121", weights=None)
    tensors = randomised(part.state_dict())
    older = {name.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): value for name, value in tensors.items()}
    assert older.keys() != tensors.keys()
    torch.save(older, tmp_path / "densenet121.pth")
    network, _ = loaded("densenet121", tmp_path / "densenet121.pth", RGB, recorder)
    name = "features.denseblock4.denselayer16.norm1.weight"
    assert torch.equal(network.state_dict()[f"encoder.{name}"], tensors[name])


def test_none_changes_nothing(recorder):
    network = build_network("unet", "resnet18", 5, 4)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    changes = load_encoder_weights(network, "resnet18", "none", RGBIE, recorder)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert [change.what for change in changes] == ["new"] * len(before)
    assert "random" in recorder.logs[0]


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"echo caught > {self.path}",)


def test_code_in_a_file_is_not_run(recorder, tmp_path):
    with zipfile.ZipFile(tmp_path / "new.pth", "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps(Trap(tmp_path / "caught"), protocol=2))
    torch.save({"a": Trap(tmp_path / "caught")}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for name in ("new", "old"):
        with pytest.raises(ModelError, match="would run code when opened"):
            loaded("resnet18", tmp_path / f"{name}.pth", RGB, recorder)
    assert not (tmp_path / "caught").exists()


def test_what_does_not_fit_is_told_in_one_sentence(published, recorder, tmp_path):
    path, tensors = published["resnet18"]
    (tmp_path / "cut.pth").write_bytes(path.read_bytes()[:5000])
    (tmp_path / "notes.txt").write_text("words")
    torch.save({**tensors, "conv1.weight": torch.zeros(64, 4, 7, 7)}, tmp_path / "four.pth")
    torch.save({**tensors, "layer1.0.bn1.bias": torch.full((64,), float("nan"))}, tmp_path / "broken.pth")
    torch.save({**tensors, "neck.weight": torch.zeros(1)}, tmp_path / "more.pth")
    torch.save(build_network("unet", "resnet18", 3, 4).state_dict(), tmp_path / "whole.pth")
    for file, bands, text in (
        (published["mobilenet_v2"][0], RGB, "do not fit the network"),
        (tmp_path / "absent.pth", RGB, "do not exist"),
        ("imagenat", RGB, "do not exist"),
        (tmp_path / "notes.txt", RGB, "holds no weights"),
        (tmp_path / "cut.pth", RGB, "damaged or cut off"),
        (tmp_path / "four.pth", RGB, r"of another shape \(encoder.conv1.weight"),
        (tmp_path / "four.pth", RGBIE, "does not take red, green and blue"),
        (tmp_path / "broken.pth", RGB, "not finite"),
        (tmp_path / "more.pth", RGB, r"left over \(encoder.neck.weight\)"),
        (tmp_path / "whole.pth", RGB, "whole segmentation network"),
    ):
        with pytest.raises(ModelError, match=text) as caught:
            loaded("resnet18", file, bands, recorder)
        assert "\n" not in caught.value.message
        assert caught.value.hint


def test_imagenet_comes_from_the_revision_that_the_library_pins(published, recorder, tmp_path, monkeypatch, reached):
    tensors = published["resnet18"][1]
    save_file(tensors, str(tmp_path / "model.safetensors"))
    asked = []

    def fetch(repository, filename, revision):
        asked.append((repository, revision))
        return str(tmp_path / filename)

    monkeypatch.setattr("segmentation_models_pytorch.encoders.hf_hub_download", fetch)
    network, changes = loaded("resnet18", "imagenet", RGBIE, recorder)
    pinned = smp.encoders.encoders["resnet18"]["pretrained_settings"]["imagenet"]
    assert set(asked) == {(pinned["repo_id"], pinned["revision"])}
    assert len(pinned["revision"]) == 40
    state = network.state_dict()
    assert torch.equal(state["encoder.layer1.0.conv1.weight"], tensors["layer1.0.conv1.weight"])
    assert torch.allclose(state["encoder.conv1.weight"][:, 3], tensors["conv1.weight"][:, 0] * 0.6)
    assert not [change for change in changes if change.what == "left out"]


def test_imagenet_of_timm_is_asked_for_whole(recorder, monkeypatch, reached):
    target = build_network("unet", "tu-convnext_atto", 5, 4)
    made = smp.encoders.get_encoder("tu-convnext_atto", weights=None)
    monkeypatch.setattr(
        "segmentation_models_pytorch.encoders.get_encoder",
        lambda name, in_channels, depth, weights: made if weights is True and in_channels == 3 else None,
    )
    load_encoder_weights(target, "tu-convnext_atto", "imagenet", RGBIE, recorder)
    expected = made.state_dict()["model.stem_0.weight"][:, 0] * 0.6
    assert torch.allclose(target.encoder.state_dict()["model.stem_0.weight"][:, 3], expected)


def test_a_download_that_fails_names_the_way_out(recorder, monkeypatch, reached):
    def fail(*arguments, **options):
        raise FileNotFoundError("we cannot find the requested files in the local cache.\nMore words.")

    monkeypatch.setattr("segmentation_models_pytorch.encoders.hf_hub_download", fail)
    with pytest.raises(ModelError, match="ImageNet weights of 'resnet18' cannot be downloaded") as caught:
        loaded("resnet18", "imagenet", RGB, recorder)
    assert "--encoder-weights none" in caught.value.hint
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("encoder", ["resnet18", "tu-resnet18"])
def test_without_a_network_it_says_so_at_once(recorder, monkeypatch, tmp_path, encoder):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    reason = ModelError("hub.invalid cannot be reached (no connection).")
    monkeypatch.setattr("engine.models.encoder_weights.why_unreachable", lambda repository: reason)
    began = time.monotonic()
    with pytest.raises(ModelError, match=f"of '{encoder}' cannot be downloaded: hub.invalid cannot") as caught:
        loaded(encoder, "imagenet", RGB, recorder)
    assert time.monotonic() - began < 5
    assert str(tmp_path) in caught.value.hint


def test_without_a_network_the_cache_serves(published, recorder, monkeypatch, tmp_path):
    pinned = smp.encoders.encoders["resnet18"]["pretrained_settings"]["imagenet"]
    folder = tmp_path / f"models--{pinned['repo_id'].replace('/', '--')}" / "snapshots" / pinned["revision"]
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    save_file(published["resnet18"][1], str(folder / "model.safetensors"))
    monkeypatch.setattr("huggingface_hub.file_download.constants.HF_HUB_CACHE", str(tmp_path))
    reason = ModelError("hub.invalid cannot be reached (no connection).")
    monkeypatch.setattr("engine.models.encoder_weights.why_unreachable", lambda repository: reason)
    network, _ = loaded("resnet18", "imagenet", RGB, recorder)
    assert torch.equal(network.state_dict()["encoder.conv1.weight"], published["resnet18"][1]["conv1.weight"])


def test_an_encoder_without_imagenet_weights_is_named(recorder, reached):
    network = build_network("unet", "tu-resnet18", 3, 4)
    with pytest.raises(ModelError, match=r"no ImageNet weights for the encoder 'tu-resnet18.nothing'"):
        load_encoder_weights(network, "tu-resnet18.nothing", "imagenet", RGB, recorder)


@pytest.mark.real_data
def test_the_file_that_torchvision_publishes_loads(recorder):
    path = os.environ.get("FLAIR_TEST_MOBILENET")
    if not path:
        pytest.skip("FLAIR_TEST_MOBILENET does not name torchvision's mobilenet_v2-b0353104.pth")
    _, changes = loaded("mobilenet_v2", path, RGBIE, recorder)
    assert [change.name for change in changes if change.what == "left out"] == [
        "classifier.1.weight",
        "classifier.1.bias",
    ]
    assert sum(change.what == "kept" for change in changes) == 311

from __future__ import annotations

import pytest
import torch
import yaml
from safetensors.torch import save_file

from engine.errors import ModelError
from engine.evaluation.published import load_published
from engine.models.architecture import HUB_UPERNET, build_network, network_of
from engine.models.catalogue import find_entry, load_catalogue
from engine.models.checkpoint import load_strictly, read_tensors
from engine.models.hub_upernet import HubDecoder
from engine.resources import RESOURCES
from tests.engine.models.hub_checkpoint import DECODER, ENCODER, hub_state

HUB = [name for name in load_catalogue() if name.startswith("FLAIR-HUB")]
SMALL = "tu-convnextv2_atto"
SWIN = "tu-swin_tiny_patch4_window7_224"


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return build_network(HUB_UPERNET, SMALL, 3, 19).eval()


def test_the_decoder_answers_as_the_library_of_the_published_models():
    """Figures of segmentation-models-pytorch 0.4.0 with the same maps and weights, both by formula."""
    channels = (8, 16, 24, 32)
    from segmentation_models_pytorch.base import SegmentationHead

    part = torch.nn.Module()
    part.decoder = HubDecoder(channels)
    part.segmentation_head = SegmentationHead(64, 5, kernel_size=1, upsampling=4)
    with torch.no_grad():
        for number, (name, tensor) in enumerate(sorted(part.state_dict().items())):
            if tensor.is_floating_point():
                wave = torch.sin(torch.arange(tensor.numel(), dtype=torch.float64) * 0.7 + number)
                wave = wave.reshape(tensor.shape)
                tensor.copy_(wave.abs() + 0.5 if name.endswith("running_var") else wave * 0.2)
    part.eval()
    maps = [
        torch.cos(torch.arange(count * side * side * 2, dtype=torch.float64) * 0.3 + number)
        .reshape(1, count, side, 2 * side)
        .float()
        for number, (count, side) in enumerate(zip(channels, (16, 8, 4, 2), strict=True))
    ]
    with torch.inference_mode():
        logits = part.segmentation_head(part.decoder(maps))[0]
    assert logits.shape == (5, 64, 128)
    found = [logits[0, 0, 0], logits[1, 31, 77], logits[2, 63, 127], logits[3, 5, 100], logits[4, 40, 3]]
    assert [float(value) for value in found] == pytest.approx([-0.94782, -0.28562, 0.15034, 0.58404, 0.53906], abs=2e-5)
    assert float(logits.mean()) == pytest.approx(0.078474, abs=2e-6)
    assert float(logits.std()) == pytest.approx(0.506945, abs=2e-6)


def test_a_checkpoint_of_the_published_layout_is_taken_to_the_last_tensor(small, tmp_path):
    state = hub_state(small)
    for name, layout in {"a": state, "b": {key.removeprefix("model."): value for key, value in state.items()}}.items():
        path = tmp_path / f"{name}.safetensors"
        save_file(layout, str(path))
        tensors = read_tensors(path)
        assert set(tensors) == set(small.state_dict())
        other = build_network(HUB_UPERNET, SMALL, 3, 19)
        load_strictly(other, tensors, path.name)
        for key, value in small.state_dict().items():
            assert other.state_dict()[key].equal(value), key


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({DECODER + "segmentation_head.0.bias": None}, "1 tensor missing"),
        ({ENCODER + "model.extra.weight": torch.ones(1)}, "1 tensor left over"),
        ({ENCODER + "model.stem_0.weight": torch.ones(40, 4, 4, 4)}, "1 tensor of another shape"),
        ({"model.encoders.SENTINEL2_TS.a.weight": torch.ones(1)}, "encoders.SENTINEL2_TS"),
    ],
)
def test_what_does_not_fit_is_counted_and_named(small, tmp_path, change, told):
    state = {**hub_state(small), **change}
    save_file({key: value for key, value in state.items() if value is not None}, str(tmp_path / "w.safetensors"))
    tensors = read_tensors(tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=told):
        load_strictly(build_network(HUB_UPERNET, SMALL, 3, 19), tensors, "w")


def test_a_checkpoint_of_two_nomenclatures_is_refused(small, tmp_path):
    second = "model.main_decoders.ALL_LABEL-LPIS.seg_model.segmentation_head.0.bias"
    save_file({**hub_state(small), second: torch.ones(23)}, str(tmp_path / "w.safetensors"))
    with pytest.raises(ModelError, match="2 nomenclatures at once: AERIAL_LABEL-COSIA, ALL_LABEL-LPIS"):
        read_tensors(tmp_path / "w.safetensors")


def test_an_encoder_without_the_right_maps_is_refused():
    with pytest.raises(ModelError, match="quarter of the image's resolution"):
        build_network(HUB_UPERNET, "tu-resnet18", 3, 19)


@pytest.mark.parametrize(("rows", "columns"), [(32, 32), (96, 160), (288, 64)])
def test_images_of_any_size_pass_a_swin(rows, columns):
    network = build_network(HUB_UPERNET, SWIN, 3, 19).eval()
    with torch.inference_mode():
        assert network(torch.zeros(2, 3, rows, columns)).shape == (2, 19, rows, columns)


def test_for_a_patch_a_swin_answers_as_one_made_for_patches_alone():
    import timm

    network = build_network(HUB_UPERNET, SWIN, 3, 19).eval()
    with torch.no_grad():
        for name, table in network.named_parameters():
            if name.endswith("relative_position_bias_table"):
                table.normal_()
    strict = timm.create_model(SWIN.removeprefix("tu-"), features_only=True, pretrained=False, img_size=512).eval()
    strict.load_state_dict({k.removeprefix("model."): v for k, v in network.encoder.state_dict().items()})
    image = torch.randn(1, 3, 512, 512)
    with torch.inference_mode():
        for ours, theirs in zip(network.encoder(image)[2:], strict(image), strict=True):
            assert torch.allclose(ours, theirs.permute(0, 3, 1, 2), atol=1e-5)


def test_the_published_models_are_in_the_catalogue():
    assert len(HUB) == 9
    assert sum("_RGB_" in name for name in HUB) == 4


@pytest.mark.parametrize("name", HUB)
def test_an_entry_says_what_was_published(name):
    entry = find_entry(name)
    described = entry.manifest
    described.check()
    assert (entry.file, entry.repository) == (f"{name}.safetensors", f"IGNF/{name}")
    rgb = "_RGB_" in name
    assert described.band_names == (("red", "green", "blue") if rgb else ("infrared", "red", "green"))
    means = (105.66, 111.35, 102.18) if rgb else (106.59, 105.66, 111.35)
    deviations = (52.23, 45.62, 44.30) if rgb else (39.78, 52.23, 45.62)
    assert tuple(band.mean for band in described.bands) == means
    assert tuple(band.std for band in described.bands) == deviations
    assert described.elevation is None
    assert described.architecture == ("unet" if name.endswith("-unet") else HUB_UPERNET)


@pytest.mark.parametrize("name", HUB)
def test_outputs_stand_in_the_order_of_flair_hub(name):
    values = yaml.safe_load((RESOURCES / "nomenclatures" / "flair.yaml").read_text(encoding="utf-8"))["classes"]
    wanted = [item["code"] for item in sorted(values, key=lambda item: item["hub"])]
    found = find_entry(name).manifest.nomenclature
    assert list(found.codes) == wanted
    assert [index for index, item in enumerate(found.classes) if item.disabled] == [15, 16, 17, 18]
    assert {item.code: item.name for item in found.classes} == {item["code"]: item["name"] for item in values}


PARAMETERS = {item.model: item.parameters for item in load_published().results if item.model in HUB and item.parameters}


@pytest.mark.parametrize("name", PARAMETERS)
def test_networks_are_as_large_as_the_published_ones(name):
    """Millions of parameters as the cards give them; nothing is allocated."""
    with torch.device("meta"):
        network = network_of(find_entry(name).manifest)
    assert round(sum(item.numel() for item in network.parameters()) / 1e6, 1) == PARAMETERS[name]


def test_sizes_follow_from_the_networks():
    """The published file of RGB swinbase has 346.5 MiB: four bytes for each number, fusion and unused skip included."""
    with torch.device("meta"):
        network = network_of(find_entry("FLAIR-HUB_LC-A_RGB_swinbase-upernet").manifest)
    numbers = sum(tensor.numel() for tensor in hub_state(network).values())
    assert 4 * numbers / 2**20 == pytest.approx(346.5, abs=0.1)
    assert 4 * numbers / 1e6 == pytest.approx(find_entry("FLAIR-HUB_LC-A_RGB_swinbase-upernet").size_mb, abs=0.1)

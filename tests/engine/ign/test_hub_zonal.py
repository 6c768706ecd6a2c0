"""FLAIR-HUB's zonal file, and its names of tensors."""

from __future__ import annotations

import pytest
import torch

from engine.errors import ModelError, RequestError
from engine.ign.hub_zonal import is_hub_zonal, read_hub_zonal
from engine.ign.model_import import load_weights
from engine.nomenclature import load_nomenclature
from engine.yaml_file import read_yaml
from tests.engine import tiny
from tests.engine.ign.flair_files import MEANS, STDS, flair_manifest, write_conf

MODALITIES = ("AERIAL-RLT_PAN", "DEM_ELEV", "SPOT_RGBI", "SENTINEL2_TS", "SENTINEL1-ASC_TS", "SENTINEL1-DESC_TS")


def hub_values(folder, image, weights, on=(), arch="resnet18-unet", **changes):
    return {
        "output_path": str(folder / "out"), "output_name": "zone", "write_dataframe": False, "output_type": "argmax",
        "cog_conversion": True, "model_weights": str(weights), "use_gpu": False, "batch_size": 1, "num_worker": 10,
        "img_pixels_detection": 2048, "margin": 512, "output_px_meters": 0.2, "monotemp_arch": arch,
        "multitemp_model_ref_date": "05-15",
        "modalities": {
            "inputs": {"AERIAL_RGBI": True, **{name: name in on for name in MODALITIES}},
            "AERIAL_RGBI": {
                "input_img_path": str(image), "channels": [4, 1, 2],
                "normalization": {"type": "custom", "means": MEANS, "stds": STDS},
            },
            "SENTINEL2_TS": {"input_img_path": None, "filter_clouds": True, "dates_txt": None},
        },
        "tasks": [
            {"name": "AERIAL_LABEL-COSIA", "active": True, "class_names": hub_classes()},
            {"name": "ALL_LABEL-LPIS", "active": False, "class_names": {0: "grasses", 1: "wheat"}},
        ],
        **changes,
    }  # fmt: skip


def hub_classes():
    """Return FLAIR's classes in the order of FLAIR-HUB, as its configurations name them."""
    order = (1, 18, 13, 3, 2, 4, 5, 14, 10, 11, 12, 9, 7, 6, 8, 15, 17, 16, 19)
    names = {item.code: item.name for item in load_nomenclature("flair").classes}
    return {index: names[code] for index, code in enumerate(order)}


@pytest.fixture
def files(tmp_path):
    tiny.write(tmp_path / "image.tif", tiny.smooth(4, 64, 64))
    (tmp_path / "w.safetensors").write_bytes(b"-")
    return tmp_path, tmp_path / "image.tif", tmp_path / "w.safetensors"


def read(files, **changes):
    values = hub_values(*files, **changes)
    assert is_hub_zonal(values)
    return read_hub_zonal(read_yaml(write_conf(files[0], values)))


def test_one_aerial_image(files):
    wanted = read(files)
    assert wanted.channels.by_name == {"infrared": 4, "red": 1, "green": 2}
    assert (wanted.architecture, wanted.encoder) == ("unet", "tu-resnet18")
    assert wanted.hub
    building, greenhouse = wanted.nomenclature.classes[:2]
    assert (building.code, building.name, greenhouse.code, greenhouse.color) == (1, "building", 2, "#9999ff")
    assert [item.code for item in wanted.nomenclature.classes if item.disabled] == [16, 17, 18, 19]
    assert any("cog_conversion" in text for text in wanted.warnings)
    assert "Not needed: num_worker, multitemp_model_ref_date." in wanted.notes


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"on": ("SENTINEL2_TS", "DEM_ELEV")}, ["line", "DEM_ELEV, SENTINEL2_TS"]),
        ({"arch": "swin_base_patch4_window12_384-unet"}, ["swin_base_patch4_window12_384", "UPerNet"]),
        ({"arch": "resnet18"}, ["names no encoder and decoder"]),
        ({"tasks": []}, ["0 tasks are active"]),
        ({"tasks": [{"name": "a", "class_names": {1: "b", 2: "c"}}]}, ["numbered from 0"]),
        ({"bacth_size": 2}, ["bacth_size", "Did you mean 'batch_size'?"]),
    ],
)
def test_what_is_not_possible_is_named(files, changes, told):
    with pytest.raises(RequestError) as caught:
        read(files, **changes)
    for part in told:
        assert part in str(caught.value)


def test_the_upernet_is_that_of_flair_hub(files):
    wanted = read(files, arch="swin_base_patch4_window12_384-upernet")
    assert (wanted.architecture, wanted.encoder) == ("flair-hub-upernet", "tu-swin_base_patch4_window12_384")


def test_weights_under_the_names_of_flair_hub(tmp_path):
    described = flair_manifest()
    network = tiny.network(described)
    state = {}
    for name, tensor in network.state_dict().items():
        part, _, rest = name.partition(".")
        if part == "encoder":
            state[f"model.encoders.AERIAL_RGBI.seg_model.{rest}"] = tensor
        else:
            state[f"model.main_decoders.AERIAL_LABEL-COSIA.seg_model.{name}"] = tensor
    extras = {"criterion.AERIAL_LABEL-COSIA.weight": torch.ones(19), "model.fusion_handler.a.weight": torch.ones(2)}
    torch.save({**state, **extras}, tmp_path / "hub.pth")
    loaded = load_weights(tmp_path / "hub.pth", described)
    for name, tensor in network.state_dict().items():
        assert (loaded.state_dict()[name] == tensor).all()
    del state[next(iter(state))]
    torch.save(state, tmp_path / "hub.pth")
    with pytest.raises(ModelError, match="1 tensor missing"):
        load_weights(tmp_path / "hub.pth", described)

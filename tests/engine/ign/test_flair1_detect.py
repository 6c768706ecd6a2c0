"""Both schemas of the file for classifying a raster."""

from __future__ import annotations

import pytest

from engine.errors import EngineError, InputError, RequestError
from engine.ign.flair1_detect import read_flair1_detect
from engine.yaml_file import read_yaml
from tests.engine import tiny
from tests.engine.ign.flair_files import MEANS, STDS, detect_values, write_conf

# As IGN ships it, but for paths and network.
OLDER = """output_path: {out}
output_name: map

input_img_path: {image}
bands: [1, 2, 3, 4, 5]

img_pixels_detection: 512
margin: 128
output_type: "argmax"
n_classes: 19

model_weights: {weights}
batch_size: 4
use_gpu: true
model_name: 'unet'
encoder_name: 'resnet34'
num_worker: 2

write_dataframe: False

norma_task:
  - norm_type: custom
    norm_means: [105.08, 110.87, 101.82, 106.38, 53.26]
    norm_stds: [52.17, 45.38, 44, 39.69, 79.3]
"""


@pytest.fixture
def files(tmp_path):
    image = tmp_path / "image.tif"
    tiny.write(image, tiny.smooth(5, 80, 96))
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"-")
    return tmp_path, image, weights


def read(files, **changes):
    return read_flair1_detect(read_yaml(write_conf(files[0], detect_values(*files, **changes))))


def refused(files, kind=RequestError, **changes):
    with pytest.raises(kind) as caught:
        read(files, **changes)
    return str(caught.value)


def test_present_schema(files):
    wanted = read(files, channels=[4, 1, 2], output_name=2021)
    assert (wanted.architecture, wanted.encoder) == ("unet", "mobilenet_v2")
    assert wanted.channels.by_name == {"infrared": 4, "red": 1, "green": 2}
    assert list(wanted.channels.by_name) == ["infrared", "red", "green"]
    assert [(band.mean, band.std) for band in wanted.channels.bands] == list(zip(MEANS, STDS, strict=True))
    assert wanted.output == files[0] / "out" / "2021.tif"
    assert wanted.output.parent.is_dir()
    assert (wanted.side, wanted.margin, wanted.batch_size, wanted.gpu) == (64, 16, 4, False)
    assert [item.code for item in wanted.nomenclature.classes if item.disabled] == [15, 16, 17, 19]
    assert wanted.manifest().ground_sampling_distance == 0.2
    assert wanted.warnings == ()
    assert "Not needed: num_worker." in wanted.notes


def test_older_schema(files):
    folder, image, weights = files
    text = OLDER.format(out=folder / "out", image=image, weights=weights)
    wanted = read_flair1_detect(read_yaml(write_conf(folder, text)))
    assert (wanted.architecture, wanted.encoder, wanted.gpu) == ("unet", "resnet34", True)
    assert list(wanted.channels.by_name) == ["red", "green", "blue", "infrared", "elevation"]
    assert wanted.manifest().elevation is not None


def test_a_hugging_face_network_beside_weights_of_a_known_model_gives_way_to_it(files):
    folder, image, _ = files
    weights = folder / "FLAIR-INC_rgb_12cl_resnet34-unet_weights.pth"
    weights.write_bytes(b"-")
    swin = {
        "model_provider": "HuggingFace",
        "HuggingFace": {"org_model": "openmmlab/upernet-swin-small"},
        "SegmentationModelsPytorch": {"encoder_decoder": "resnet34_unet"},
    }
    wanted = read((folder, image, weights), model_framework=swin)
    assert (wanted.architecture, wanted.encoder) == ("unet", "resnet34")
    assert any("resnet34" in text for text in wanted.warnings)
    assert len(wanted.nomenclature.enabled) == 12
    message = refused(files, model_framework=swin)
    assert "openmmlab/upernet-swin-small" in message
    assert "line 12" in message


def test_normalisations(files):
    scaling = read(files, norma_task=[{"norm_type": "scaling", "norm_means": [], "norm_stds": None}])
    assert {(band.mean, band.std) for band in scaling.channels.bands} == {(0.0, 255.0)}
    without = read(files, norma_task=[{"norm_type": "without"}])
    assert {(band.mean, band.std) for band in without.channels.bands} == {(0.0, 1.0)}
    tiny.write(files[1], tiny.smooth(5, 80, 96, dtype="uint16"))
    scaling = read(files, norma_task=[{"norm_type": "scaling"}])
    assert {(band.mean, band.std, band.maximum) for band in scaling.channels.bands} == {(0.0, 65535.0, 65535.0)}


def test_what_is_not_done_is_said(files):
    assert any("write_dataframe" in text for text in read(files, write_dataframe=True).warnings)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"channels": [1, 2, 7]}, ["line 4", "no band 7"]),
        ({"channels": [1, 1, 2]}, ["line 4", "twice"]),
        ({"channels": None}, ["do not name the bands"]),
        ({"bands": [1, 2, 3]}, ["both name the bands"]),
        ({"channels": [0, 1, 2]}, ["line 4", "channels.0"]),
        ({"margin": 32}, ["line 6", "leaves nothing"]),
        ({"output_type": "argmaxx"}, ["line 7", "'argmax' or 'class_prob'", "argmaxx"]),
        ({"output_name": ""}, ["line 2", "'output_name' is empty"]),
        ({"output_name": "a/b"}, ["a name, not a path"]),
        ({"model_name": "unet"}, ["both name the network"]),
        ({"model_framework": None}, ["no network is named", "encoder_name: resnet34"]),
        ({"model_framework": {"model_provider": "Timm"}}, ["no provider 'Timm'"]),
        ({"norma_task": [{"norm_type": "custom", "norm_means": [1], "norm_stds": [1]}]}, ["3 channels", "1 and 1"]),
        ({"norma_task": [{"norm_type": "costum"}]}, ["norma_task.0.norm_type", "costum"]),
        ({"use_gpuu": True}, ["line 22", "use_gpuu", "Did you mean 'use_gpu'?"]),
        ({"batch_size": "four"}, ["batch_size", "a whole number, not 'four'"]),
    ],
)
def test_mistakes_name_line_and_key(files, changes, told):
    message = refused(files, EngineError, **changes)
    for part in told:
        assert part in message


def test_files_that_are_not_there(files):
    assert "model_weights" in refused(files, InputError, model_weights="none.pth")
    assert "line 3" in refused(files, InputError, input_img_path="none.tif")


def test_relative_paths_may_start_from_the_file(files):
    assert read(files, input_img_path="image.tif").image.is_file()

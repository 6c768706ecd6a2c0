from __future__ import annotations

import pytest
import yaml

from engine.band import Band
from engine.data.dataset_file import DatasetFile
from engine.errors import InputError
from tests.engine import tiny

FILE = DatasetFile(
    name="Île",
    bands=(Band("red", 100.5, 20.25), Band("height", 3.0, 2.0, -5.0, 60.0)),
    nomenclature=tiny.TINY_CLASSES,
    ground_sampling_distance=None,
    patch_size=128,
    ignored=(0, 5),
    pixels={"train": {7: 12345678901, 3: 2}, "val": {}},
    patches={"train": 3, "val": 1},
    source={"images": ["a.tif"]},
)


def test_what_is_written_is_read_again(tmp_path):
    path = tmp_path / "dataset.yaml"
    path.write_text(FILE.to_yaml(), encoding="utf-8")
    assert DatasetFile.read(path) == FILE
    assert "Île" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format 2; this version reads up to 1"),
        ({"format": None}, "does not describe"),
        ({"bands": []}, "needs bands with different names"),
        ({"bands": [{"name": "red", "mean": 1, "std": 1}] * 2}, "needs bands with different names"),
        ({"bands": [{"name": "red", "mean": 1, "std": 0}]}, "deviation 0.0 of 'red'"),
        ({"bands": [{"name": "red", "mean": float("nan"), "std": 1}]}, "mean nan"),
        ({"bands": [{"name": "red", "std": 1}]}, "'mean'"),
        ({"ground_sampling_distance": -0.2}, "-0.2 m is not usable"),
        ({"ground_sampling_distance": float("inf")}, "inf m is not usable"),
        ({"ignored": [256]}, "256 is no class code"),
        ({"patch_size": "large"}, "does not describe"),
        ({"nomenclature": {"name": "x", "classes": []}}, "does not describe"),
        ({"pixels": {"train": [1, 2]}}, "does not describe"),
    ],
)
def test_values_that_make_no_sense(tmp_path, change, message):
    path = tmp_path / "dataset.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(FILE.to_yaml()), **change}))
    with pytest.raises(InputError, match=message):
        DatasetFile.read(path)


@pytest.mark.parametrize("content", [b"", b"- a", b"a: [", b"\xff\xfe\x00"])
def test_files_of_another_kind(tmp_path, content):
    path = tmp_path / "dataset.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"does not describe|not valid YAML"):
        DatasetFile.read(path)
    with pytest.raises(InputError, match="cannot be read"):
        DatasetFile.read(tmp_path / "nowhere.yaml")

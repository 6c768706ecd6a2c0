from __future__ import annotations

import hashlib
import json
import os
import struct

import pytest
import torch

from engine.errors import ModelError, OutputError
from engine.models.checkpoint import load_network, read_tensors
from engine.models.model_file import file_sha256, read_header, read_manifest, save_model
from engine.models.resolve import resolve_model
from tests.engine import tiny


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    described = tiny.manifest()
    made = tiny.network(described)
    path = tmp_path_factory.mktemp("saved") / "é model.safetensors"
    save_model(path, made, described)
    return path, described, made


def test_what_is_saved_is_what_is_loaded(saved):
    path, described, made = saved
    assert read_manifest(path) == described
    again = load_network(path, described)
    assert not again.training
    for (name, first), (other, second) in zip(made.state_dict().items(), again.state_dict().items(), strict=True):
        assert name == other
        assert torch.equal(first, second)
    resolved = resolve_model(str(path))
    assert resolved.manifest == described
    assert resolved.sha256 == hashlib.sha256(path.read_bytes()).hexdigest() == file_sha256(path)


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX systems")
def test_the_file_has_the_permissions_of_any_other(saved, tmp_path):
    (tmp_path / "other").touch()
    assert saved[0].stat().st_mode == (tmp_path / "other").stat().st_mode


def test_saving_replaces_whole_and_leaves_nothing(saved, tmp_path):
    target = tmp_path / "new" / "m.safetensors"
    save_model(target, saved[2], saved[1])
    save_model(target, saved[2], saved[1])
    assert [item.name for item in target.parent.iterdir()] == ["m.safetensors"]
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError):
        save_model(tmp_path / "file" / "m.safetensors", saved[2], saved[1])


@pytest.mark.parametrize("keep", [0, 5, 8, 100, -1, -1000])
def test_a_file_that_was_cut_off_is_refused(saved, tmp_path, keep):
    content = saved[0].read_bytes()
    path = tmp_path / "cut.safetensors"
    path.write_bytes(content[:keep])
    with pytest.raises(ModelError) as caught:
        read_manifest(path)
    assert "cut.safetensors" in caught.value.message


def test_a_file_with_more_at_its_end_is_refused(saved, tmp_path):
    path = tmp_path / "long.safetensors"
    path.write_bytes(saved[0].read_bytes() + b"\0")
    with pytest.raises(ModelError, match="instead of"):
        read_manifest(path)


@pytest.mark.parametrize(
    "content",
    [
        b"hello, I am a text file and no model at all",
        b"PK\x03\x04" + bytes(100),
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 4) + b"\xff\xfe{}",
        struct.pack("<Q", 60_000) + b"[" * 60_000,
        struct.pack("<Q", 12) + b'{"a": "text"',
        struct.pack("<Q", 13) + b'{"a": "text"}',
        struct.pack("<Q", 27) + b'{"a": {"data_offsets": [0]}',
        struct.pack("<Q", 28) + b'{"a": {"data_offsets": [0]}}',
    ],
)
def test_what_is_no_safetensors_file_is_refused(tmp_path, content):
    path = tmp_path / "odd.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError):
        read_header(path)


def test_a_safetensors_file_of_others_has_no_manifest(saved, tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "foreign.safetensors"
    save_file({"a": torch.zeros(2)}, str(path), metadata={"format": "pt"})
    assert read_manifest(path) is None
    with pytest.raises(ModelError) as caught:
        resolve_model(str(path))
    assert "--weights" in caught.value.hint


def test_a_header_that_lies_about_its_tensors_is_an_error_for_people(tmp_path):
    header = json.dumps({"a": {"dtype": "F32", "shape": [5], "data_offsets": [0, 4]}}).encode()
    path = tmp_path / "lie.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    read_header(path)
    with pytest.raises(ModelError, match=r"lie\.safetensors"):
        read_tensors(path)


def test_broken_weights_are_found_on_loading(saved, tmp_path):
    described = saved[1]
    made = tiny.network(described)
    with torch.no_grad():
        next(made.parameters())[0] = float("nan")
    path = tmp_path / "nan.safetensors"
    save_model(path, made, described)
    with pytest.raises(ModelError, match="not finite: 1 tensor broken"):
        load_network(path, described)


def test_weights_of_another_class_list_do_not_fit(saved):
    path, described, _ = saved
    other = tiny.manifest(bands=("red", "green", "blue", "infrared"))
    with pytest.raises(ModelError) as caught:
        load_network(path, other)
    assert "1 tensor of another shape (encoder.features.0.0.weight (32, 3, 3, 3) instead of (32, 4, 3, 3))" in str(
        caught.value
    )
    assert described.band_names != other.band_names

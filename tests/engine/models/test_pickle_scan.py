from __future__ import annotations

import os
import pickle
import subprocess
import sys
import zipfile

import pytest

from engine.errors import ModelError
from engine.models.pickle_scan import check_checkpoint
from tests.engine import tiny

NAME = "FLAIR-INC_rgb_15cl_resnet34-unet"


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"echo caught > {self.path}",)


def archive(path, content, member="archive/data.pkl", **options):
    with zipfile.ZipFile(path, "w", **options) as file:
        file.writestr(member, content)
        file.writestr("archive/version", "3")
    return path


def trap(path, protocol, nested):
    content = Trap(path)
    if nested:
        content = {"state_dict": {"a": [1, (2, {"deep": content})]}}
    return pickle.dumps(content, protocol=protocol)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("nested", [False, True])
def test_code_is_refused_and_named(tmp_path, protocol, nested):
    path = archive(tmp_path / "evil.pth", trap(tmp_path / "caught", protocol, nested))
    with pytest.raises(ModelError, match=r"(posix|nt|os)\.system"):
        check_checkpoint(path)
    assert not (tmp_path / "caught").exists()


def string(text):
    return b"\x8c" + bytes([len(text)]) + text.encode()


@pytest.mark.parametrize(
    "stream",
    [
        # The names on top of the stack are not the last ones pushed.
        string("os") + string("system") + string("collections") + string("OrderedDict") + b"00\x93",
        b"(" + string("os") + string("system") + b"(" + string("collections") + string("OrderedDict") + b"1\x93",
        # The names come from the memo, under text opcodes or numbers used twice.
        string("os") + b"p5\n" + string("system") + b"p6\n00" + b"g5\ng6\n\x93",
        string("collections") + b"q\x01" + string("OrderedDict") + b"q\x02" + string("os") + b"p1\n" + string("system")
        + b"p2\n0000" + b"g1\ng2\n\x93",
        string("os") + string("system") + b"20\x93",
        b"cos\nsystem\n",
        b"(S'echo'\nios\nsystem\n",
        b"\x82\x01",
    ],
)  # fmt: skip
def test_shuffling_the_stack_hides_nothing(tmp_path, stream):
    path = archive(tmp_path / "evil.pth", b"\x80\x04" + stream + b"(" + string("echo") + b"tR.")
    with pytest.raises(ModelError, match="would run code"):
        check_checkpoint(path)


@pytest.mark.parametrize(
    "name", ["builtins eval", "torch.hub load", "torch load", "torch._utils __import__", "io open"]
)
def test_harmless_looking_modules_are_not_trusted(tmp_path, name):
    module, _, function = name.partition(" ")
    path = archive(tmp_path / "evil.pth", f"\x80\x02c{module}\n{function}\n.".encode("latin-1"))
    with pytest.raises(ModelError, match="would run code"):
        check_checkpoint(path)


def test_state_dicts_of_torch_pass(tmp_path):
    import torch
    from torch import nn

    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(torch.bfloat16)
    path = tmp_path / "good.pth"
    for content in (
        network.state_dict(),
        {"state_dict": network.state_dict(), "epoch": 1, "shape": torch.Size([1]), "weight": network[0].weight},
    ):
        torch.save(content, path)
        check_checkpoint(path)


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("bare.pth", pickle.dumps({"a": 1}), "bare pickle"),
        ("text.pth", b"just some words", "not a torch checkpoint"),
        ("empty.ckpt", b"", "not a torch checkpoint"),
        ("page.pth", b"<!DOCTYPE html><html>404</html>", "not a torch checkpoint"),
        ("lfs.pth", b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\n", "not a torch checkpoint"),
        ("stub.pth", b"PK\x03\x04", "damaged"),
    ],
)
def test_files_of_another_kind_are_refused(tmp_path, name, content, text):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=text):
        check_checkpoint(tmp_path / name)


def test_zips_that_are_cut_off_damaged_or_foreign_are_refused(tmp_path):
    good = archive(tmp_path / "good.pth", pickle.dumps({"a": 1}, protocol=2), compression=zipfile.ZIP_DEFLATED)
    check_checkpoint(good)
    content = good.read_bytes()
    for name, broken in (
        ("cut", content[: len(content) // 2]),
        ("method", content.replace(b"\x14\x00\x00\x00\x08\x00", b"\x14\x00\x00\x00\x63\x00")),
        ("encrypted", content.replace(b"\x14\x00\x00\x00\x08\x00", b"\x14\x00\x01\x00\x08\x00")),
        ("junk", bytes(byte if at < 50 or at > 55 else byte ^ 0xFF for at, byte in enumerate(content))),
    ):
        assert broken != content
        (tmp_path / name).write_bytes(broken)
        with pytest.raises(ModelError):
            check_checkpoint(tmp_path / name)
    with pytest.raises(ModelError, match="no torch checkpoint"):
        check_checkpoint(archive(tmp_path / "docx.pth", b"x", member="word/document.xml"))
    with pytest.raises(ModelError):
        check_checkpoint(archive(tmp_path / "no-pickle.pth", b"\xff\xff\xff"))


def test_code_hidden_in_a_second_pickle_is_found(tmp_path):
    path = tmp_path / "two.pth"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a/data.pkl", pickle.dumps({}, protocol=2))
        file.writestr("b/data.pkl", trap(tmp_path / "caught", 2, False))
    with pytest.raises(ModelError, match="would run code"):
        check_checkpoint(path)


def old_file(path, content):
    import torch

    torch.save(content, path, _use_new_zipfile_serialization=False)
    return path


def test_files_of_older_versions_of_torch_pass(tmp_path):
    from torch import nn

    from engine.models.checkpoint import read_tensors

    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    path = old_file(tmp_path / "old.pth", network.state_dict())
    check_checkpoint(path)
    assert set(read_tensors(path)) == set(network.state_dict())


def test_code_in_files_of_older_versions_of_torch_is_found(tmp_path):
    path = old_file(tmp_path / "old.pth", {"a": Trap(tmp_path / "caught")})
    with pytest.raises(ModelError, match=r"would run code when opened \((posix|nt|os)\.system"):
        check_checkpoint(path)
    good = old_file(tmp_path / "good.pth", {"a": 1}).read_bytes()
    evil = pickle.dumps(Trap(tmp_path / "caught"), protocol=2)
    ends = [at + 1 for at in range(len(good)) if good[at : at + 1] == b"."]
    for kept in ends[:4]:
        # Each of the pickles in a row is looked into, not the first or the one with the tensors alone.
        path.write_bytes(good[:kept] + evil + good[kept:])
        with pytest.raises(ModelError):
            check_checkpoint(path)
    path.write_bytes(good[: len(good) // 2])
    with pytest.raises(ModelError, match="damaged or cut off"):
        check_checkpoint(path)
    assert not (tmp_path / "caught").exists()


@pytest.mark.parametrize("suffix", [".pth", ".ckpt", ".pt"])
def test_it_is_refused_before_torch_is_imported(tmp_path, suffix):
    path = archive(tmp_path / f"evil{suffix}", trap(tmp_path / "caught", 4, True))
    program = f"""
import sys
from engine.errors import ModelError
from engine.models.resolve import resolve_model
try:
    resolve_model({NAME!r}, {str(path)!r})
except ModelError as error:
    print(error.message)
print("torch" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=tiny.engine_environment(), check=True
    )
    assert "would run code" in done.stdout
    assert done.stdout.strip().endswith("False")
    assert not (tmp_path / "caught").exists()


def test_torch_itself_refuses_what_the_scan_would_miss(tmp_path):
    from engine.models.checkpoint import read_tensors

    path = archive(tmp_path / "evil.pth", trap(tmp_path / "caught", 2, False))
    with pytest.raises(ModelError, match="cannot be opened safely"):
        read_tensors(path)
    assert not (tmp_path / "caught").exists()

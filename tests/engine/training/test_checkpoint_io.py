from __future__ import annotations

import errno
import os

import pytest
import torch

from engine.errors import InputError, OutputError
from engine.training.checkpoint_io import WholeCheckpoints

STATE = {"weights": torch.arange(6.0).view(2, 3), "history": [{"epoch": 1, "miou": 0.5}], "best": None}
SAVE = torch.save


@pytest.fixture
def path(tmp_path):
    WholeCheckpoints().save_checkpoint(STATE, tmp_path / "last.ckpt")
    return tmp_path / "last.ckpt"


def test_what_is_written_is_read_again(path):
    found = WholeCheckpoints().load_checkpoint(path)
    assert torch.equal(found.pop("weights"), STATE["weights"])
    assert found == {"history": [{"epoch": 1, "miou": 0.5}], "best": None}
    assert os.listdir(path.parent) == ["last.ckpt"]
    WholeCheckpoints().save_checkpoint({"epoch": 2}, str(path))
    assert WholeCheckpoints().load_checkpoint(str(path)) == {"epoch": 2}
    assert os.listdir(path.parent) == ["last.ckpt"]


@pytest.mark.parametrize(
    "failure",
    [OSError(errno.ENOSPC, "No space left on device"), RuntimeError("PytorchStreamWriter failed writing file data/0")],
)
def test_a_full_disk_leaves_the_last_one(path, monkeypatch, failure):
    def half(state, stream):
        SAVE(state, stream)
        stream.truncate(stream.tell() // 2)
        raise failure

    before = path.read_bytes()
    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(OutputError):
        WholeCheckpoints().save_checkpoint({"weights": torch.zeros(1000)}, path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["last.ckpt"]


def test_a_full_disk_is_called_so_also_when_only_torch_noticed(path, monkeypatch):
    def fail(state, stream):
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise RuntimeError("PytorchStreamWriter failed") from error

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OutputError, match="disk is full"):
        WholeCheckpoints().save_checkpoint(STATE, path)


def test_an_interrupt_leaves_nothing_half(path, monkeypatch):
    def interrupt(state, stream):
        stream.write(b"half")
        raise KeyboardInterrupt

    before = path.read_bytes()
    monkeypatch.setattr(torch, "save", interrupt)
    with pytest.raises(KeyboardInterrupt):
        WholeCheckpoints().save_checkpoint(STATE, path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["last.ckpt"]


def test_a_folder_that_went_away_is_named(tmp_path):
    with pytest.raises(OutputError, match=r"last\.ckpt"):
        WholeCheckpoints().save_checkpoint(STATE, tmp_path / "gone" / "last.ckpt")


class Harmful:
    """Makes a file when it is unpickled."""

    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return open, (self.target, "w")


def test_no_code_in_a_checkpoint_is_run(tmp_path):
    torch.save({"state_dict": {}, "extra": Harmful(tmp_path / "harm")}, tmp_path / "last.ckpt")
    with pytest.raises(InputError, match=r"cannot be read .* --no-resume"):
        WholeCheckpoints().load_checkpoint(tmp_path / "last.ckpt", weights_only=False)
    assert not (tmp_path / "harm").exists()
    torch.load(tmp_path / "last.ckpt", weights_only=False)
    assert (tmp_path / "harm").exists(), "the checkpoint would have done harm"


@pytest.mark.parametrize("content", [b"", b"no checkpoint", None])
def test_a_damaged_checkpoint_is_named(path, content):
    path.write_bytes(path.read_bytes()[:-200] if content is None else content)
    with pytest.raises(InputError, match=r"last\.ckpt' cannot be read"):
        WholeCheckpoints().load_checkpoint(path)


def test_removing_is_done_once(path):
    WholeCheckpoints().remove_checkpoint(path)
    assert not path.exists()
    WholeCheckpoints().remove_checkpoint(path)

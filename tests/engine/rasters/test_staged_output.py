from __future__ import annotations

import os

import pytest

from engine.errors import OutputError
from engine.rasters import staged_output
from engine.rasters.staged_output import StagedOutput, check_overwrite, check_writable, discard_staged_outputs
from tests.engine.rasters.stored_tiles import names_in


def test_nothing_appears_before_commit_and_everything_after(tmp_path):
    with StagedOutput(tmp_path / "map.tif", overwrite=False) as staged:
        staged.path("map.tif").write_bytes(b"pixels")
        staged.write_text("map.qml", "style\n")
        assert [name for name in names_in(tmp_path) if not name.startswith(".")] == []
        staged.commit(["map.qml", "map.tif"])
    assert names_in(tmp_path) == {"map.tif", "map.qml"}
    assert (tmp_path / "map.tif").read_bytes() == b"pixels"
    assert (tmp_path / "map.qml").read_bytes() == b"style\n"


def test_a_failure_leaves_nothing(tmp_path):
    def fail():
        with StagedOutput(tmp_path / "map.tif", overwrite=False) as staged:
            staged.path("map.tif").write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert names_in(tmp_path) == set()


def test_an_existing_output_needs_overwrite(tmp_path):
    output = tmp_path / "map.tif"
    output.write_bytes(b"old")
    for refuse in (
        lambda: StagedOutput(output, overwrite=False),
        lambda: check_overwrite(output, overwrite=False),
    ):
        with pytest.raises(OutputError, match="exists already") as caught:
            refuse()
        assert "overwrite" in caught.value.hint
    check_overwrite(output, overwrite=True)


def test_an_output_that_appears_meanwhile_is_not_replaced(tmp_path):
    output = tmp_path / "map.tif"
    with StagedOutput(output, overwrite=False) as staged:
        staged.path("map.tif").write_bytes(b"new")
        output.write_bytes(b"someone else's")
        with pytest.raises(OutputError, match="exists already"):
            staged.commit(["map.tif"])
    assert output.read_bytes() == b"someone else's"


def test_a_rename_that_fails_puts_everything_back(tmp_path):
    output = tmp_path / "map.tif"
    output.mkdir()  # a file cannot replace a folder: the last rename fails
    (tmp_path / "map.qml").write_text("old style")
    (tmp_path / "map.tif.ovr").write_text("old overviews")
    (tmp_path / "map_sheets").mkdir()
    (tmp_path / "map_sheets" / "old.tif").write_text("old sheet")
    with StagedOutput(output, overwrite=True) as staged:
        staged.path("map_sheets").mkdir()
        (staged.path("map_sheets") / "new.tif").write_text("new sheet")
        staged.write_text("map.qml", "new style")
        staged.write_text("map.new", "new companion")
        staged.path("map.tif").write_bytes(b"new")
        with pytest.raises(OutputError):
            staged.commit(["map_sheets", "map.new", "map.qml", "map.tif"], stale=["map.tif.ovr"])
    assert names_in(tmp_path) == {"map.tif", "map.qml", "map.tif.ovr", "map_sheets"}
    assert (tmp_path / "map.qml").read_text() == "old style"
    assert (tmp_path / "map.tif.ovr").read_text() == "old overviews"
    assert names_in(tmp_path / "map_sheets") == {"old.tif"}


def test_stale_companions_go(tmp_path):
    (tmp_path / "map.tif").write_bytes(b"old")
    (tmp_path / "map.tif.ovr").write_bytes(b"old")
    with StagedOutput(tmp_path / "map.tif", overwrite=True) as staged:
        staged.path("map.tif").write_bytes(b"new")
        staged.commit(["map.tif"], stale=["map.tif.ovr", "map.tif.msk"])
    assert names_in(tmp_path) == {"map.tif"}
    assert (tmp_path / "map.tif").read_bytes() == b"new"


def test_what_killed_runs_left_is_removed_but_not_what_living_ones_write(tmp_path, monkeypatch):
    dead, alive, other = (tmp_path / f".{name}.partial" for name in ("map.tif.99999991", "map.tif.4", "a.tif.99999991"))
    for folder in (dead, alive, other):
        folder.mkdir()
        (folder / "map.tif").write_bytes(b"half")
    monkeypatch.setattr(staged_output.psutil, "pid_exists", lambda number: number == 4)
    with StagedOutput(tmp_path / "map.tif", overwrite=False):
        assert not dead.exists()
        assert alive.exists()
        assert other.exists()


def test_discard_removes_all_that_is_staged(tmp_path):
    staged = StagedOutput(tmp_path / "map.tif", overwrite=False)
    staged.__enter__()
    staged.path("map.tif").write_bytes(b"half")
    discard_staged_outputs()
    assert names_in(tmp_path) == set()
    staged.__exit__(None, None, None)


def test_check_writable_leaves_nothing_behind(tmp_path):
    check_writable(tmp_path / "map.tif")
    assert names_in(tmp_path) == set()


def test_check_writable_names_a_missing_folder(tmp_path):
    with pytest.raises(OutputError, match="nowhere' does not exist"):
        check_writable(tmp_path / "nowhere" / "map.tif")


def test_check_writable_refuses_a_folder(tmp_path):
    with pytest.raises(OutputError, match="is a folder"):
        check_writable(tmp_path)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the administrator may write everywhere")
def test_check_writable_refuses_a_read_only_folder(tmp_path):
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(OutputError, match="No permission"):
            check_writable(tmp_path / "map.tif")
    finally:
        tmp_path.chmod(0o755)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (PermissionError(13, "Permission denied"), "No permission"),
        (OSError(30, "Read-only file system"), "No permission"),
        (OSError(28, "No space left on device"), "The disk is full"),
    ],
)
def test_check_writable_says_what_is_wrong(tmp_path, monkeypatch, error, text):
    def refuse(**_):
        raise error

    monkeypatch.setattr(staged_output.tempfile, "TemporaryFile", refuse)
    with pytest.raises(OutputError, match=text) as caught:
        check_writable(tmp_path / "map.tif")
    assert str(tmp_path) in caught.value.message
    assert caught.value.hint


def test_a_folder_that_cannot_be_made_is_called_by_its_name(tmp_path, monkeypatch):
    def refused(**options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("engine.rasters.staged_output.tempfile.TemporaryFile", refused)
    with pytest.raises(OutputError, match=rf"No permission to write '{tmp_path}/season'"):
        check_writable(tmp_path / "season", folder=True)


def test_a_folder_may_be_there_where_one_is_wanted(tmp_path):
    check_writable(tmp_path, folder=True)
    with pytest.raises(OutputError, match="is a folder"):
        check_writable(tmp_path)

"""A data set appears whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from engine.errors import InputError, OutputError
from engine.extraction import dataset_folder
from engine.extraction.dataset_folder import DatasetFolder, check_output, patch_paths

FIRST, SECOND = "D001_2021/Z001/000001", "D001_2021/Z002/000002"


@pytest.fixture
def output(tmp_path):
    return tmp_path / "ds"


@pytest.fixture
def begin(output, recorder):
    def start(fingerprint=1, overwrite=False, resume=True):
        return DatasetFolder.open(output, {"of": fingerprint}, overwrite=overwrite, resume=resume, reporter=recorder)

    return start


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


def make(begin, text="a", **options):
    folder = begin(**options)
    folder.write_patch(FIRST, text.encode(), b"mask", {})
    folder.commit({"train.csv": text, "dataset.yaml": text})


def test_paths_are_those_of_flair():
    assert patch_paths("D001_2021/Z003/000826") == (
        "D001_2021/Z003/img/IMG_000826.tif",
        "D001_2021/Z003/msk/MSK_000826.tif",
    )


def test_nothing_is_there_until_all_is(begin, output, tmp_path):
    folder = begin()
    folder.write_patch(FIRST, b"image", b"mask", {})
    assert not output.exists()
    folder.commit({"train.csv": "t", "dataset.yaml": "d"})
    assert names(tmp_path) == ["ds/" + name for name in (*patch_paths(FIRST), "dataset.yaml", "train.csv")]
    assert (output / patch_paths(FIRST)[0]).read_bytes() == b"image"


def test_a_later_run_goes_on_with_what_is_whole(begin, output, recorder):
    folder = begin()
    for name in (FIRST, SECOND):
        folder.write_patch(name, b"image", b"mask", {"sums": 7})
    folder.close()
    (output.with_name(".ds.partial") / "data" / patch_paths(SECOND)[1]).write_bytes(b"mas")
    folder = begin()
    assert set(folder.done) == {FIRST}
    assert folder.done[FIRST]["sums"] == 7
    assert any("1 patches are there already" in text for text in recorder.logs)
    folder.remove()
    assert not output.with_name(".ds.partial").exists()


@pytest.mark.parametrize("changed", [{"fingerprint": 2}, {"resume": False}])
def test_another_request_starts_anew(begin, recorder, changed):
    folder = begin()
    folder.write_patch(FIRST, b"image", b"mask", {})
    folder.close()
    folder = begin(**changed)
    assert not folder.done
    assert any("starting anew" in text for text in recorder.logs)
    folder.remove()


def test_two_runs_at_once_are_refused(begin):
    folder = begin()
    with pytest.raises(OutputError, match="Another run is writing"):
        begin()
    folder.remove()


def test_an_earlier_data_set_stays_until_the_new_one_is_complete(begin, output, tmp_path):
    make(begin, "old")
    folder = begin(overwrite=True)
    folder.write_patch(SECOND, b"image", b"mask", {})
    assert (output / "train.csv").read_text() == "old"
    folder.commit({"train.csv": "new", "dataset.yaml": "new"})
    assert (output / "train.csv").read_text() == "new"
    assert not (output / patch_paths(FIRST)[0]).exists()
    assert sorted(os.listdir(tmp_path)) == ["ds"]


def test_a_data_set_that_appears_meanwhile_is_kept(begin, output):
    folder = begin()
    output.mkdir()
    (output / "dataset.yaml").write_text("theirs")
    with pytest.raises(OutputError, match="exists already"):
        folder.commit({"dataset.yaml": "ours"})
    folder.remove()
    assert (output / "dataset.yaml").read_text() == "theirs"


def test_a_replacement_cut_short_is_put_back(begin, output):
    make(begin, "old")
    folder = begin(overwrite=True)
    folder.close()
    # As if the process had been killed between the two renames.
    output.rename(output.with_name(".ds.partial") / "replaced")
    begin(overwrite=True).remove()
    assert (output / "train.csv").read_text() == "old"


def test_when_the_new_one_cannot_be_renamed_the_old_one_is_put_back(begin, output, monkeypatch):
    make(begin, "old")
    folder = begin(overwrite=True)
    rename = Path.rename

    def refuse(self, target):
        if self.name == "data":
            raise PermissionError(errno.EACCES, "in use")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OutputError, match="No permission"):
        folder.commit({"train.csv": "new"})
    assert (output / "train.csv").read_text() == "old"
    folder.remove()
    assert (output / "train.csv").read_text() == "old"


def test_a_full_disk_is_named(begin, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(dataset_folder, "write_whole", full)
    folder = begin()
    with pytest.raises(OutputError, match="disk is full"):
        folder.write_patch(FIRST, b"image", b"mask", {})
    assert not folder.done
    folder.remove()


def test_an_empty_folder_is_no_obstacle(begin, output):
    output.mkdir()
    check_output(output, (), overwrite=False)
    make(begin)
    assert (output / "dataset.yaml").is_file()


def test_what_may_not_be_replaced(output, tmp_path):
    output.mkdir()
    (output / "dataset.yaml").touch()
    (output / "D001_2021").mkdir()
    check_output(output, (), overwrite=True)
    with pytest.raises(OutputError, match="exists already"):
        check_output(output, (), overwrite=False)
    with pytest.raises(InputError, match="lies in the output folder"):
        check_output(output, [str(output / "D001_2021" / "image.tif")], overwrite=True)
    (output / "model.safetensors").touch()
    with pytest.raises(OutputError, match=r"holds 'model.safetensors', so it is not replaced"):
        check_output(output, (), overwrite=True)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file"):
        check_output(tmp_path / "file", (), overwrite=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "train.csv").touch()
    with pytest.raises(OutputError, match=r"has no dataset.yaml"):
        check_output(tmp_path / "mine", (), overwrite=True)
    with pytest.raises(OutputError, match="does not exist"):
        check_output(tmp_path / "none" / "ds", (), overwrite=False)


@pytest.mark.skipif(os.name == "nt" or os.getuid() == 0, reason="the administrator may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="No permission"):
        check_output(tmp_path / "ds", (), overwrite=False)
    tmp_path.chmod(0o700)

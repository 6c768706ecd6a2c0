from __future__ import annotations

from pathlib import Path

import pytest

from engine.cache import cache_folder, staged_folder
from engine.errors import OutputError


def test_the_folder_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("FLAIR_CACHE_DIR", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"
    monkeypatch.delenv("FLAIR_CACHE_DIR")
    assert cache_folder() != tmp_path / "here"


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "deep" / "target"

    def fail():
        with staged_folder(target) as folder:
            (folder / "half").write_text("x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list((tmp_path / "deep").iterdir()) == []
    with staged_folder(target) as folder:
        (folder / "whole").write_text("x")
        assert not target.exists()
    assert [item.name for item in (tmp_path / "deep").iterdir()] == ["target"]
    assert (target / "whole").read_text() == "x"


def test_what_another_process_put_there_stays(tmp_path):
    target = tmp_path / "target"
    with staged_folder(target) as folder:
        (folder / "mine").write_text("x")
        target.mkdir()
        (target / "theirs").write_text("y")
    assert [item.name for item in target.iterdir()] == ["theirs"]
    assert [item.name for item in tmp_path.iterdir()] == ["target"]


def test_a_cache_that_cannot_be_written_names_the_way_out(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError) as caught, staged_folder(Path(tmp_path / "file" / "target")):
        pass
    assert "FLAIR_CACHE_DIR" in caught.value.hint

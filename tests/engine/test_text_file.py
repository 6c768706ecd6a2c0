import os

import pytest

from engine.errors import OutputError
from engine.text_file import write_whole


def test_text_is_written_with_unix_line_ends_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "données.html"
    path.write_text("old")
    write_whole(path, "é\nb\n")
    assert path.read_bytes() == "é\nb\n".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_an_earlier_file_survives_a_failure(tmp_path, monkeypatch):
    path = tmp_path / "a.html"
    path.write_text("old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_of_that_name_is_an_error(tmp_path):
    (tmp_path / "a.html").mkdir()
    with pytest.raises(OutputError, match=r"a\.html"):
        write_whole(tmp_path / "a.html", "new")
    assert [item.name for item in tmp_path.iterdir()] == ["a.html"]
    with pytest.raises(OutputError, match="could not be written"):
        write_whole(tmp_path / "no folder" / "a.html", "new")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "b.html").symlink_to("a.html")
    write_whole(tmp_path / "b.html", "new")
    assert (tmp_path / "b.html").is_symlink()
    assert (tmp_path / "a.html").read_text() == "new"

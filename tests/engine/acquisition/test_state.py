"""What is remembered of a download survives any end of the process, and nothing that is half written is believed."""

from __future__ import annotations

import pytest

from engine.acquisition.directory import Member
from engine.acquisition.pieces import cut, group, missing
from engine.acquisition.server import RemoteFile
from engine.acquisition.state import FileState

REMOTE = RemoteFile("https://example.org/a.zip", 1000, '"v1"', "Mon", True)


def test_what_was_noted_is_there_again(tmp_path):
    state = FileState(tmp_path / "a")
    state.begin(REMOTE)
    state.add("é/IMG.tif", {"sha256": "00", "mtime": 5})
    state.close()
    again = FileState(tmp_path / "a")
    assert again.remote == REMOTE
    assert not again.complete
    assert again.done == {"é/IMG.tif": {"sha256": "00", "mtime": 5}}
    again.begin(REMOTE, complete=True)
    assert FileState(tmp_path / "a").complete


@pytest.mark.parametrize("rest", [b'{"key": "half', b"\0\0\0\0", b"[]\n", b'{"nokey": 1}\n', b"\xff\xfe\n"])
def test_a_line_that_was_cut_off_counts_as_nothing_and_harms_none_after_it(tmp_path, rest):
    state = FileState(tmp_path / "a")
    state.begin(REMOTE)
    state.add("one", {"sha256": "1"})
    state.close()
    with (tmp_path / "a" / "done.jsonl").open("ab") as stream:
        stream.write(rest)
    state = FileState(tmp_path / "a")
    assert set(state.done) == {"one"}
    state.add("two", {"sha256": "2"})
    state.close()
    assert set(FileState(tmp_path / "a").done) == {"one", "two"}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"url": "x"}', '{"url": "x", "size": "y", "etag": "", "modified": ""}']
)
def test_without_a_version_nothing_is_believed(tmp_path, text):
    state = FileState(tmp_path / "a")
    state.begin(REMOTE)
    state.add("one", {"sha256": "1"})
    state.close()
    (tmp_path / "a" / "remote.json").write_text(text)
    again = FileState(tmp_path / "a")
    assert again.remote is None
    assert again.done == {}


def test_versions():
    def other(**changes):
        return RemoteFile(**{**vars(REMOTE), **changes})

    assert REMOTE.same_version(other(etag='W/"v1"', modified="Tue"))
    assert not REMOTE.same_version(other(etag='"v2"'))
    assert not REMOTE.same_version(other(size=999))
    assert not other(etag="").same_version(other(etag="", modified="Tue"))
    assert other(etag="", modified="").same_version(REMOTE)


def members(*places):
    return [Member(f"m{start}", start, end, end - start - 40, 9, 0, True) for start, end in places]


def test_pieces_of_a_whole_file_have_no_gap():
    pieces = cut(1000, 300)
    assert [(piece.start, piece.end) for piece in pieces] == [(0, 300), (300, 600), (600, 900), (900, 1000)]


def test_members_are_grouped_while_they_lie_together_and_fit():
    far = 10_000_000
    pieces = group(members((0, 100), (100, 200), (200, 1200), (far, far + 100)), 500)
    assert [(piece.start, piece.end, len(piece.members)) for piece in pieces] == [
        (0, 200, 2),
        (200, 1200, 1),
        (far, far + 100, 1),
    ]


def test_pieces_that_have_begun_are_finished_and_of_others_only_what_lacks_is_fetched(tmp_path):
    state = FileState(tmp_path / "a")
    pieces = group(members(*((number * 1000, number * 1000 + 1000) for number in range(6))), 3000)
    assert [(piece.start, piece.end) for piece in pieces] == [(0, 3000), (3000, 6000)]
    lacking = {"m1000", "m4000"}
    found = missing(pieces, lambda member: member.path in lacking, state)
    assert [(piece.start, piece.end) for piece in found] == [(1000, 2000), (4000, 5000)]
    state.part(3000, 6000).write_bytes(b"some")
    found = missing(pieces, lambda member: member.path in lacking, state)
    assert [(piece.start, piece.end) for piece in found] == [(1000, 2000), (3000, 6000)]
    assert [member.path for member in found[1].members] == ["m4000"]
    state.drop_parts([state.part(3000, 6000)])
    assert state.part(3000, 6000).exists()
    state.drop_parts()
    assert not state.part(3000, 6000).exists()

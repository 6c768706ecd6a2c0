from __future__ import annotations

import pytest

from engine.rasters.journal import Journal


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.append({"a": 1})
    journal.append({"b": [2, 3]})
    journal.close()
    return path


def test_entries_come_back(path):
    assert Journal(path).entries == [{"a": 1}, {"b": [2, 3]}]


@pytest.mark.parametrize("torn", [b'{"c"', b'{"c": 4}', b"\x00\x00\x00", b"[1]\n", b'\xff\xfe\n{"c": 4}\n'])
def test_a_torn_end_is_cut_off(path, torn):
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    journal = Journal(path)
    assert journal.entries == [{"a": 1}, {"b": [2, 3]}]
    journal.append({"d": 5})
    journal.close()
    assert path.read_bytes() == whole + b'{"d":5}\n'


def test_a_line_that_fails_leaves_nothing(path, monkeypatch):
    whole = path.read_bytes()
    journal = Journal(path)

    def refuse(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.rasters.journal.os.fsync", refuse)
    with pytest.raises(OSError, match="No space"):
        journal.append({"lost": 1})
    monkeypatch.undo()
    journal.append({"kept": 1})
    journal.close()
    assert path.read_bytes() == whole + b'{"kept":1}\n'

"""Mistakes in a YAML file are told with their line and key."""

from __future__ import annotations

import pytest

from engine.errors import RequestError
from engine.ign.schema import Group
from engine.yaml_file import read_yaml


class Inner(Group):
    size: int
    names: tuple[str, ...] = ()


class Outer(Group):
    title: str
    inner: Inner
    items: tuple[Inner, ...] = ()


GOOD = "title: a\ninner:\n  size: 3\n  names: [b, c]\nitems:\n  - size: 1\n  - size: 2\n"


def problem(tmp_path, text):
    path = tmp_path / "conf.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(RequestError) as caught:
        read_yaml(path).checked(Outer)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_values_and_lines(tmp_path):
    path = tmp_path / "conf.yaml"
    path.write_text("# a comment\n" + GOOD)
    file = read_yaml(path)
    checked = file.checked(Outer)
    assert (checked.title, checked.inner.size, [item.size for item in checked.items]) == ("a", 3, [1, 2])
    assert file.lines[("inner", "size")] == 4
    assert file.lines[("items", 1, "size")] == 8
    assert file.where("inner", "absent") == "'conf.yaml', line 3"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD.replace("size: 3", "sise: 3"), ["line 3: unknown key 'inner.sise'", "Did you mean 'size'?", "missing"]),
        (GOOD + "titel: b\n", ["line 8: unknown key 'titel'", "Did you mean 'title'?"]),
        (GOOD.replace("- size: 2", "- syze: 2"), ["line 7: unknown key 'items.1.syze'", "Did you mean 'size'?"]),
        (GOOD.replace("size: 3", "size: three"), ["line 3: 'inner.size' must be a whole number, not 'three'"]),
        (GOOD.replace("size: 3", "size:"), ["line 3: 'inner.size' must be a whole number, empty"]),
        (GOOD.replace("names: [b, c]", "names: b"), ["line 4: 'inner.names' must be a list"]),
        (GOOD.replace("  size: 3", "\tsize: 3"), ["line 3", "a tab", "'size'", "Use spaces"]),
        (GOOD.replace("title: a", "title:\ta: b"), ["line 1", "'title'"]),
        (GOOD.replace("title: a", "title: [a"), ["not valid YAML", "line"]),
        (GOOD.replace("  size: 3", "  size: 3\n  size: 4"), ["line 4: the key 'size' stands a second time", "line 3"]),
        ("- a\n- b\n", ["holds no keys"]),
        ("", ["holds no keys"]),
        (b"title: \xff\n", ["no text in UTF-8"]),
    ],
)
def test_mistakes(tmp_path, text, told):
    message = problem(tmp_path, text)
    for part in told:
        assert part in message
    assert "\n" not in message


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(RequestError, match="cannot be read"):
        read_yaml(tmp_path / "none.yaml")

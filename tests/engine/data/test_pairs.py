from __future__ import annotations

import pytest

from engine.data.pairs import Pair, read_pairs, write_pairs
from engine.errors import InputError

TWO = ("img/a.tif", "msk/a.tif"), ("img/b.tif", "msk/b.tif")


def pairs_of(tmp_path, text, root=None, encoding="utf-8"):
    path = tmp_path / "train.csv"
    path.write_bytes(text.encode(encoding))
    return read_pairs(path, root)


@pytest.mark.parametrize(
    "text",
    [
        "img/a.tif,msk/a.tif\nimg/b.tif,msk/b.tif\n",
        "img/a.tif,msk/a.tif\r\nimg/b.tif,msk/b.tif",
        "image,mask\nimg/a.tif,msk/a.tif\nimg/b.tif,msk/b.tif\n",
        "img/a.tif;msk/a.tif\nimg/b.tif;msk/b.tif\n",
        "image;mask\nimg/a.tif;msk/a.tif\nimg/b.tif;msk/b.tif\n",
        "img/a.tif\tmsk/a.tif\nimg/b.tif\tmsk/b.tif\n",
        "img/a.tif,msk/a.tif,0.3,Paris\nimg/b.tif,msk/b.tif,0.1,Nice\n",
        "image,mask,share\nimg/a.tif,msk/a.tif,1\nimg/b.tif,msk/b.tif,2\n",
        '"img/a.tif", "msk/a.tif"\nimg/b.tif , msk/b.tif\n',
        "# made by hand\n\nimg/a.tif,msk/a.tif\n   \n# more\nimg/b.tif,msk/b.tif\n",
        "img\\a.tif,msk\\a.tif\nimg\\b.tif,msk\\b.tif\n",
    ],
    ids=[
        "plain", "windows", "header", "semicolon", "header and semicolon", "tab", "columns", "header and columns",
        "quotes", "comments", "backslashes",
    ],
)  # fmt: skip
def test_lists_as_people_write_them(tmp_path, text):
    for encoding in ("utf-8", "utf-8-sig"):
        pairs = pairs_of(tmp_path, text, None, encoding)
        found = [(pair.image.as_posix(), pair.mask.as_posix()) for pair in pairs]
        assert found == [(f"{tmp_path}/{image}", f"{tmp_path}/{mask}") for image, mask in TWO]


def test_a_header_is_no_patch_but_an_upper_case_suffix_is_one(tmp_path):
    assert len(pairs_of(tmp_path, "A.TIF,B.TIF\nC.TIF,D.TIF\n")) == 2


def test_relative_paths_start_at_the_root(tmp_path):
    root = tmp_path / "elsewhere"
    absolute = tmp_path / "x.tif"
    found = pairs_of(tmp_path, f"img/a.tif,{absolute}\n", root)
    assert found == (Pair(root / "img/a.tif", absolute),)


def test_only_ones_own_home_is_a_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "mine"))
    found = pairs_of(tmp_path, "~/a.tif,~draft.tif\n")
    assert found == (Pair(tmp_path / "mine" / "a.tif", tmp_path / "~draft.tif"),)


def test_accents_and_spaces_stay(tmp_path):
    assert pairs_of(tmp_path, "Forêt 1/é.tif,masque.tif\n")[0].image == tmp_path / "Forêt 1" / "é.tif"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("image,mask\na.tif,b.tif\nc.tif\n", 3),
        ("# note\n\na.tif,b.tif\n\nc.tif,\n", 5),
        ("a.tif,b.tif\n,c.tif\n", 2),
        ("a.tif\n", 1),
        # A quotation mark that is never closed is one line's matter.
        ('a.tif,b.tif\n"c.tif,d.tif\ne.tif,f.tif\n', 2),
    ],
)
def test_the_line_without_a_mask_is_named_as_an_editor_counts_it(tmp_path, text, line):
    with pytest.raises(InputError, match=f"Line {line} of 'train.csv' is no pair"):
        pairs_of(tmp_path, text)


@pytest.mark.parametrize("text", ["", "\n\n", "image,mask\n", "# nothing\n"])
def test_an_empty_list_is_an_error(tmp_path, text):
    with pytest.raises(InputError, match="lists no patches"):
        pairs_of(tmp_path, text)


def test_files_that_are_no_lists(tmp_path):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_pairs(tmp_path / "train.csv")
    with pytest.raises(InputError, match="not a text file in UTF-8"):
        pairs_of(tmp_path, "é.tif,b.tif\n", encoding="latin-1")


def test_what_is_written_is_read_again(tmp_path):
    text = write_pairs(list(TWO))
    assert text == "img/a.tif,msk/a.tif\nimg/b.tif,msk/b.tif\n"
    assert [pair.image.name for pair in pairs_of(tmp_path, text)] == ["a.tif", "b.tif"]

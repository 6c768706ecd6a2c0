"""What an archive's end says of it: also of one of more than 4 GB, and of those that mean harm."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest

from engine.acquisition.directory import TAIL, Tail, read_directory
from engine.acquisition.member_names import check_clashes, safe_path
from engine.errors import InputError
from tests.engine.acquisition.flair_archives import files


def listed(content, name="a.zip"):
    return read_directory(name, len(content), lambda start: content[start:])


def packed(names=("a/b.tif",), method=zipfile.ZIP_DEFLATED, change=None, content=b"x" * 1000):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as file:
        for name in names:
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            if change is not None:
                change(info)
            file.writestr(info, content)
    return stream.getvalue()


def test_members_and_where_they_lie():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        file.mkdir("a") if hasattr(file, "mkdir") else None
        file.writestr("a/x.tif", b"1" * 5000)
        file.writestr("a/é.tif", b"2" * 10, zipfile.ZIP_STORED)
        file.comment = b"about it" * 100
    content = stream.getvalue()
    first, second = listed(content)
    assert (first.path, first.size, first.deflated) == ("a/x.tif", 5000, True)
    assert (second.path, second.size, second.packed, second.deflated) == ("a/é.tif", 10, 10, False)
    for member in (first, second):
        assert content[member.start : member.start + 4] == b"PK\3\4"
    assert first.end == second.start


def test_a_long_list_is_asked_for_in_a_few_steps():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for number in range(5000):
            file.writestr(f"flair_aerial_train/D004_2021/Z1_UA/img/IMG_{number:06d}.tif", b"")
    content = stream.getvalue()
    asked = []

    def tail(start):
        asked.append(start)
        return content[start:]

    assert len(read_directory("a.zip", len(content), tail)) == 5000
    assert len(asked) == 2
    assert asked[0] == len(content) - TAIL


def test_more_than_4_gb(fetch, served, server, tmp_path):
    path = served / "a.zip"
    content = {"a/first.tif": b"1" * 3000, "a/second.tif": bytes(range(256)) * 900}
    with path.open("wb") as stream:
        # A hole of 5 GB, as long as a train's archive has images: it takes no room on the disk.
        stream.seek(5 << 30)
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
            for name, part in content.items():
                file.writestr(name, part)
    if path.stat().st_blocks * 512 > 1 << 30:
        pytest.skip("the disk has no files with holes")
    members = read_directory("a.zip", path.stat().st_size, lambda start: tail(path, start))
    assert all(member.start >= 5 << 30 for member in members)
    result = fetch()
    assert files(tmp_path / "out") == content
    assert result["fetched"] < 10_000
    assert server.total < 2 * TAIL


def tail(path, start):
    with path.open("rb") as stream:
        stream.seek(start)
        return stream.read()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("../a.tif", "leads out of the folder"),
        ("a/../../b.tif", "leads out of the folder"),
        ("a\\..\\..\\b.tif", "leads out of the folder"),
        ("/etc/passwd", "absolute path"),
        ("\\server\\a", "absolute path"),
        ("C:\\a.tif", "a drive"),
        ("c:a.tif", "a drive"),
        ("a/NUL", "a device"),
        ("a/com1.tif", "a device"),
        ("Aux .txt/a", "a device"),
        ("a/b.tif.", "not every system"),
        ("a /b.tif", "not every system"),
        ("a/b?.tif", "not every system"),
        ("a/b\n.tif", "not every system"),
        ("a/b.tif:stream", "not every system"),
        ("a/" + "b" * 300, "too long"),
        (".", "empty"),
    ],
)
def test_names_that_are_refused(name, text):
    with pytest.raises(InputError) as caught:
        safe_path(name, "a.zip")
    assert text in caught.value.message
    assert "nothing of it is unpacked" in caught.value.message


def test_names_that_are_taken():
    assert safe_path("./a//b/IMG_1.tif", "a.zip") == "a/b/IMG_1.tif"
    assert safe_path("a\\b\\c.tif", "a.zip") == "a/b/c.tif"
    assert safe_path("données/console.tif", "a.zip") == "données/console.tif"


@pytest.mark.parametrize("names", [("a/b.tif", "A/B.tif"), ("a", "a/b"), ("a/b/c", "A/b"), ("é", "é"), ("a/b", "a/b")])
def test_names_that_become_one(names):
    with pytest.raises(InputError, match="one file on some systems"):
        check_clashes(names, "a.zip")
    check_clashes(("a/b", "a/c", "b/b", "ab"), "a.zip")


def symlink(info):
    info.external_attr = 0o120777 << 16


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (packed(change=symlink), "is a link or a device"),
        (packed(method=zipfile.ZIP_LZMA), "packed by method 14"),
        (packed(names=["../x"]), "leads out of the folder"),
        (packed(names=["a", "A"]), "one file on some systems"),
    ],
)
def test_archives_that_are_refused(content, text):
    with pytest.raises(InputError) as caught:
        listed(content)
    assert text in caught.value.message


def changed(content, offset, value, layout="<I"):
    """Change a number in the last entry of the list."""
    place = content.rindex(b"PK\1\2") + offset
    return content[:place] + struct.pack(layout, value) + content[place + struct.calcsize(layout) :]


def test_sizes_that_cannot_be():
    content = packed(content=b"x" * 100_000)
    with pytest.raises(InputError, match="which cannot be"):
        listed(changed(content, 24, 4_000_000_000))
    with pytest.raises(InputError, match="overlaps"):
        listed(changed(packed(names=["a", "b"]), 20, 900))
    with pytest.raises(InputError, match="states two sizes"):
        listed(changed(packed(method=zipfile.ZIP_STORED), 24, 5))
    with pytest.raises(InputError, match="is encrypted"):
        listed(changed(content, 8, 1, "<H"))


def test_members_on_top_of_each_other_are_refused():
    # As in bombs that hold the same bytes a thousand times.
    content = packed(names=["a", "b"], content=bytes(range(256)))
    with pytest.raises(InputError, match="overlaps"):
        listed(changed(content, 42, 0))


def test_more_content_than_stated_is_not_written(fetch, served, tmp_path):
    content = packed(content=b"x" * 100_000)
    (served / "a.zip").write_bytes(changed(content, 24, 5_000))
    with pytest.raises(InputError, match="1 file arrives damaged"):
        fetch()
    assert files(tmp_path / "out") == {}


@pytest.mark.parametrize("content", [b"", b"PK", b"x" * 1000, packed()[:-1], packed()[:50], packed()[100:]])
def test_what_is_no_archive(content):
    with pytest.raises(InputError, match="is no ZIP file"):
        listed(content)


def test_what_is_not_there_cannot_be_read():
    tail = Tail(b"end", 100)
    tail.seek(-3, 2)
    assert tail.read() == b"end"
    tail.seek(0)
    with pytest.raises(Exception, match=r"^0$"):
        tail.read(1)
    with pytest.raises(OSError, match="beginning"):
        tail.seek(-101, 2)

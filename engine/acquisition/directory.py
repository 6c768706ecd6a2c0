"""The list of what a ZIP file holds, read from its end alone."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, cast

from engine.acquisition.member_names import check_clashes, safe_path
from engine.errors import InputError

# The end record, a comment, and the records of ZIP64; most small archives' lists are within it, too.
TAIL = 128 * 1024
# Deflate's best: 258 bytes of 2 bits.
_BEST_RATIO = 1100
_LOCAL_HEADER = 30
# Longest extra field, and the record that may follow the content.
_EXTRA, _DESCRIPTOR = 65535, 24


@dataclass(frozen=True)
class Member:
    """A file in an archive.

    Args:
        path: Where it is unpacked to, relative, with `/`.
        start: First byte of its local header in the archive.
        end: One past the last byte that can be its own: where the next member or the list begins.
        packed: Bytes of its content as packed.
        size: Bytes of its content.
        crc: CRC-32 of its content.
        deflated: Whether it is packed by deflate rather than stored.
    """

    path: str
    start: int
    end: int
    packed: int
    size: int
    crc: int
    deflated: bool


class _Missing(Exception):  # noqa: N818
    def __init__(self, start: int) -> None:
        self.start = start


class Tail(io.RawIOBase):
    """The last bytes of a file, as a file of full length of which nothing else can be read.

    Args:
        content: The bytes.
        size: Bytes of the whole file.
    """

    def __init__(self, content: bytes, size: int) -> None:
        super().__init__()
        self._content = content
        self._start = size - len(content)
        self._size = size
        self._at = 0

    def seekable(self) -> bool:
        """See `io.IOBase`."""
        return True

    def readable(self) -> bool:
        """See `io.IOBase`."""
        return True

    def tell(self) -> int:
        """See `io.IOBase`."""
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        """See `io.IOBase`."""
        at = offset + (0, self._at, self._size)[whence]
        if at < 0:
            raise OSError("before the beginning")
        self._at = at
        return at

    def read(self, count: int | None = -1) -> bytes:
        """See `io.RawIOBase`."""
        if self._at < self._start:
            raise _Missing(self._at)
        found = self._content[self._at - self._start :]
        if count is not None and count >= 0:
            found = found[:count]
        self._at += len(found)
        return found


def read_directory(name: str, size: int, tail: Callable[[int], bytes]) -> tuple[Member, ...]:
    """Return the files that an archive holds, in the order in which they lie there.

    Args:
        name: Name of the archive, to be named.
        size: Its bytes.
        tail: Returns its bytes from a given one to the end; called a few times, with smaller and smaller numbers.

    Raises:
        InputError: It is no ZIP file, or holds what is not unpacked: names that lead out of the folder, links,
            encrypted or overlapping members, other packings, sizes that cannot be.
    """
    start = max(0, size - TAIL)
    while True:
        try:
            # All that it reads is the end; ZIP64, comments and old encodings of names are its business.
            with zipfile.ZipFile(cast(BinaryIO, Tail(tail(start), size))) as file:
                return _members(name, file)
        except _Missing as error:
            if error.start >= start:
                raise _no_zip(name) from error
            start = error.start
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError) as error:
            raise _no_zip(name) from error


def _no_zip(name: str) -> InputError:
    return InputError(
        f"'{name}' is no ZIP file, or its end is damaged.", "Try again later; if it stays so, tell its publisher."
    )


def _members(name: str, file: zipfile.ZipFile) -> tuple[Member, ...]:
    infos = sorted(file.infolist(), key=lambda info: info.header_offset)
    ends = [*(info.header_offset for info in infos[1:]), file.start_dir]
    found = [_member(name, info, end) for info, end in zip(infos, ends, strict=True) if not info.filename.endswith("/")]
    check_clashes((member.path for member in found), name)
    for info in infos:
        if info.filename.endswith("/"):
            safe_path(info.filename, name)
    return tuple(found)


def _member(name: str, info: zipfile.ZipInfo, end: int) -> Member:
    path = safe_path(info.filename, name)
    mode = info.external_attr >> 16
    reason = ""
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        reason = "is a link or a device"
    elif info.flag_bits & 1:
        reason = "is encrypted"
    elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        reason = f"is packed by method {info.compress_type}, which is not supported"
    elif info.header_offset < 0 or info.header_offset + _LOCAL_HEADER + info.compress_size > end:
        reason = "overlaps another one"
    elif info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
        reason = "is stored, yet states two sizes"
    elif info.file_size > _BEST_RATIO * info.compress_size + 64:
        reason = f"states {info.file_size} bytes for {info.compress_size} packed ones, which cannot be"
    if reason:
        raise InputError(
            f"The archive '{name}' cannot be unpacked: '{path[:200]}' {reason}.",
            "Make sure that it comes from its publisher.",
        )
    # What lies between two members need not belong to one.
    own = (
        info.header_offset + _LOCAL_HEADER + 2 * len(info.filename.encode()) + _EXTRA + info.compress_size + _DESCRIPTOR
    )
    return Member(
        path, info.header_offset, min(end, own), info.compress_size, info.file_size, info.CRC,
        info.compress_type == zipfile.ZIP_DEFLATED,
    )  # fmt: skip

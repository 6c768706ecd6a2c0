"""From packed bytes to a file that is whole, checked and in its place."""

from __future__ import annotations

import hashlib
import os
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from engine.acquisition.directory import Member
from engine.errors import Cancelled, InputError

_BLOCK = 1 << 20
_HEADER = struct.Struct("<4s5H3I2H")


class DamagedMember(Exception):  # noqa: N818
    """The bytes are not those that the archive's list promises."""


def unpack(stream: BinaryIO, begins: int, member: Member, root: Path, cancelled: threading.Event) -> str:
    """Write a member of an archive to its place under a folder.

    Args:
        stream: Holds the member's bytes.
        begins: Which byte of the archive the stream's first one is.
        member: What is written.
        root: The folder.
        cancelled: Set to stop.

    Returns:
        SHA-256 of its content, in hexadecimal digits.

    Raises:
        DamagedMember: Length, CRC-32 or packing are wrong; nothing is written.
        InputError: A link in the folder leads elsewhere.
        OSError: It could not be written.
        Cancelled: `cancelled` was set.
    """
    target = root / member.path
    _make_folder(target.parent, root)
    part = target.with_name(f".{target.name}.partial")
    digest = hashlib.sha256()
    crc = size = 0
    try:
        with part.open("wb") as written:
            for block in _content(stream, begins, member):
                if cancelled.is_set():
                    raise Cancelled
                size += len(block)
                if size > member.size:
                    raise DamagedMember(f"'{member.path}' is longer than stated")
                crc = zlib.crc32(block, crc)
                digest.update(block)
                written.write(block)
        if size != member.size or crc != member.crc:
            raise DamagedMember(f"'{member.path}' does not have the stated checksum")
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return digest.hexdigest()


def checksum(path: Path, cancelled: threading.Event) -> tuple[int, str]:
    """Return CRC-32 and SHA-256 of a file.

    Raises:
        OSError: It cannot be read.
        Cancelled: `cancelled` was set.
    """
    crc, digest = 0, hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            if cancelled.is_set():
                raise Cancelled
            crc = zlib.crc32(block, crc)
            digest.update(block)
    return crc, digest.hexdigest()


def _make_folder(folder: Path, root: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if not folder.resolve().is_relative_to(root.resolve()):
        raise InputError(
            f"'{folder}' is a link to '{folder.resolve()}', outside the data set's folder.", "Remove the link."
        )


def _content(stream: BinaryIO, begins: int, member: Member) -> Iterator[bytes]:
    stream.seek(member.start - begins, os.SEEK_SET)
    header = stream.read(_HEADER.size)
    if len(header) < _HEADER.size or not header.startswith(b"PK\3\4"):
        raise DamagedMember(f"'{member.path}' does not begin where the archive's list says")
    name, extra = _HEADER.unpack(header)[-2:]
    if member.start + _HEADER.size + name + extra + member.packed > member.end:
        raise DamagedMember(f"'{member.path}' reaches into the one after it")
    stream.seek(name + extra, os.SEEK_CUR)
    left = member.packed
    inflater = zlib.decompressobj(-zlib.MAX_WBITS) if member.deflated else None
    try:
        while left:
            block = stream.read(min(left, _BLOCK))
            if not block:
                raise DamagedMember(f"'{member.path}' is cut off")
            left -= len(block)
            if inflater is None:
                yield block
                continue
            while block:
                # Block by block, so that a few bytes cannot fill the memory.
                yield inflater.decompress(block, _BLOCK)
                block = inflater.unconsumed_tail
        if inflater is not None:
            yield inflater.flush()
            if not inflater.eof:
                raise DamagedMember(f"'{member.path}' is cut off")
    except zlib.error as error:
        raise DamagedMember(f"'{member.path}' cannot be unpacked ({error})") from error

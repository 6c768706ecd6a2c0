"""Files that are fetched as a whole: put together, checked, unpacked, put in their place."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from engine.acquisition.directory import Member, read_directory
from engine.acquisition.fetching import Job, whole_file
from engine.acquisition.pieces import cut
from engine.acquisition.progress import DownloadProgress
from engine.acquisition.selection import Selection
from engine.acquisition.survey import Planned
from engine.acquisition.unpack import DamagedMember, checksum, unpack
from engine.errors import InputError

_PLACED = "placed"


def in_place(plan: Planned, root: Path, stop: threading.Event) -> bool:
    """Return whether the file lies in the folder as an earlier run put it there; its SHA-256 is compared.

    Raises:
        OSError: It cannot be read.
        Cancelled: `stop` was set.
    """
    path, noted = root / plan.file.name, plan.state.done.get(_PLACED)
    if not noted or not path.is_file() or path.stat().st_size != noted.get("size"):
        return False
    return checksum(path, stop)[1] == noted.get("sha256")


def jobs(plan: Planned) -> list[Job]:
    """Return what is to be fetched for a file, in pieces where the server sends such.

    Raises:
        OSError: The file cannot be made.
    """
    if not plan.remote.ranges or plan.remote.size < 0:
        return [] if "whole" in plan.state.done and whole_file(plan).is_file() else [Job(plan, None)]
    if not whole_file(plan).is_file():
        if plan.state.done:
            kept = {key: values for key, values in plan.state.done.items() if not _is_piece(key) and key != "whole"}
            plan.state.forget()
            plan.state.begin(plan.remote)
            for key, values in kept.items():
                plan.state.add(key, values)
        with whole_file(plan).open("wb") as stream:
            stream.truncate(plan.remote.size)
    return [Job(plan, piece) for piece in cut(plan.remote.size) if piece.key not in plan.state.done]


def still_to_come(plan: Planned) -> int:
    """Return how many bytes a file that is put together still lacks, as far as its size is known."""
    if not whole_file(plan).is_file():
        return max(plan.remote.size, 0)
    if "whole" in plan.state.done:
        return 0
    pieces = [key.split("-") for key in plan.state.done if _is_piece(key)]
    return max(plan.remote.size, 0) - sum(int(end) - int(start) for start, end in pieces)


def finish(
    plan: Planned,
    root: Path,
    selection: Selection,
    absent: Iterable[str],
    *,
    keep: bool,
    progress: DownloadProgress,
    stop: threading.Event,
) -> int:
    """Check a file that has come whole, unpack what is wanted of it and put it in its place.

    Args:
        plan: The file.
        root: Folder of the data set.
        selection: What is wanted.
        absent: Members that are not in their place; of no account where they are not listed yet.
        keep: Whether an archive is kept.
        progress: Tells what is going on.
        stop: Set to stop.

    Returns:
        How many files were put in their place.

    Raises:
        InputError: It is not what its publisher says, is no archive, or members are damaged.
        OSError: Something cannot be read or written.
        Cancelled: `stop` was set.
    """
    path, placed = whole_file(plan), root / plan.file.name
    digest = ""
    if path.is_file():
        progress.tell(f"Checking {plan.file.name}")
        digest = checksum(path, stop)[1]
        if plan.file.sha256 and digest != plan.file.sha256:
            plan.state.forget()
            raise InputError(
                f"'{plan.file.name}' has the SHA-256 {digest[:12]}..., but {plan.file.sha256[:12]}... was published.",
                "The same command fetches it anew; if it stays so, do not use it.",
            )
    else:
        path = placed
    unpacked = 0
    if plan.file.kind == "zip":
        unpacked = _unpack(plan, path, root, selection, set(absent), progress, stop)
    if path == placed:
        return unpacked
    if plan.file.kind == "zip" and not keep:
        path.unlink()
        return unpacked
    size = path.stat().st_size
    path.replace(placed)
    plan.state.add(_PLACED, {"sha256": digest, "size": size})
    return unpacked + 1


def _unpack(
    plan: Planned,
    path: Path,
    root: Path,
    selection: Selection,
    absent: set[str],
    progress: DownloadProgress,
    stop: threading.Event,
) -> int:
    with path.open("rb") as stream:
        members = plan.members
        if not plan.listed:
            members = selection.members(plan.file, _listed(plan, stream, path.stat().st_size))
            absent = {member.path for member in members}
        lacking = [member for member in members if member.path in absent]
        for number, member in enumerate(lacking, 1):
            try:
                digest = unpack(stream, 0, member, root, stop)
            except DamagedMember as error:
                plan.state.forget()
                raise InputError(
                    f"'{plan.file.name}' has arrived damaged: {error}.",
                    "The same command fetches it anew; if it stays so, tell its publisher.",
                ) from error
            plan.state.add(member.path, {"sha256": digest, "mtime": (root / member.path).stat().st_mtime_ns})
            progress.tell(f"Unpacking {plan.file.name}, {number} of {len(lacking)} files")
    return len(lacking)


def _listed(plan: Planned, stream: BinaryIO, size: int) -> tuple[Member, ...]:
    def tail(start: int) -> bytes:
        stream.seek(start)
        content = stream.read()
        # For the next run, which then can tell whether anything is missing.
        plan.state.tail.write_bytes(content)
        return content

    return read_directory(plan.file.name, size, tail)


def _is_piece(key: str) -> bool:
    return re.fullmatch(r"\d+-\d+", key) is not None

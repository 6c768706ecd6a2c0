"""What of a download is in its place already, and sound."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from engine.acquisition.directory import Member
from engine.acquisition.survey import Planned
from engine.acquisition.unpack import checksum
from engine.errors import Cancelled
from engine.events import Reporter

_BATCH = 256


@dataclass(frozen=True)
class Presence:
    """What a look at the folder gave.

    Args:
        absent: Paths of members that have to be fetched.
        damaged: How many of them are there, but not with the content that the archive lists.
    """

    absent: frozenset[str]
    damaged: int


def look(planned: Sequence[Planned], root: Path, reporter: Reporter, stop: threading.Event) -> Presence:
    """Compare all wanted members with what lies in the folder.

    What an interrupted run noted as done, and was not touched since, is believed; everything else, and everything
    after a complete run, is read and its CRC-32 compared.

    Raises:
        Cancelled: `stop` was set.
        OSError: A file cannot be read, or a state not be written.
    """
    every = [(plan, member) for plan in planned for member in plan.members]
    total = sum(member.end - member.start for _, member in every) or 1
    sound = 0
    absent: set[str] = set()
    damaged = 0
    with ThreadPoolExecutor(min(8, (os.cpu_count() or 1) + 1), thread_name_prefix="presence") as pool:
        for start in range(0, len(every), _BATCH):
            if stop.is_set():
                raise Cancelled
            batch = every[start : start + _BATCH]
            sounds = pool.map(lambda item: _sound(item[0], item[1], root, stop), batch)
            for (_, member), found in zip(batch, sounds, strict=True):
                if found:
                    sound += member.end - member.start
                else:
                    absent.add(member.path)
                    damaged += found is False
            if sound:
                text = f"Checking what is there already, {start + len(batch)} of {len(every)} files"
                reporter.progress(0.99 * sound / total, text)
    return Presence(frozenset(absent), damaged)


def _sound(plan: Planned, member: Member, root: Path, stop: threading.Event) -> bool | None:
    """Return whether a member is in its place; None where there is nothing."""
    path = root / member.path
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    noted = plan.state.done.get(member.path)
    if found.st_size != member.size:
        return False
    if noted and not plan.state.complete and noted.get("mtime") == found.st_mtime_ns:
        return True
    crc, digest = checksum(path, stop)
    if crc != member.crc:
        return False
    if not noted or noted.get("sha256") != digest or noted.get("mtime") != found.st_mtime_ns:
        plan.state.add(member.path, {"sha256": digest, "mtime": found.st_mtime_ns})
    return True

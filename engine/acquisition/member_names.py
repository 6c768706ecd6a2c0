"""Names inside an archive: only those that become files within one folder, on every system, are let through."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from engine.errors import InputError

_DEVICES = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(?:\..*)?", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f\x7f]')


def safe_path(name: str, archive: str) -> str:
    """Return the relative path, with `/`, under which a member of an archive is to be written.

    Args:
        name: Its name in the archive.
        archive: Name of the archive, to be named.

    Raises:
        InputError: The name leads out of the folder, or is no file name on some system.
    """
    path = name.replace("\\", "/")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    reason = ""
    if path.startswith("/"):
        reason = "an absolute path"
    elif re.match(r"[A-Za-z]:", path):
        reason = "a path with a drive"
    elif ".." in parts:
        reason = "a path that leads out of the folder"
    elif not parts:
        reason = "an empty name"
    elif any(_DEVICES.fullmatch(part.rstrip(" .")) for part in parts):
        reason = "the name of a device"
    elif any(_FORBIDDEN.search(part) or part != part.rstrip(" .") for part in parts):
        reason = "a name that not every system can write"
    elif any(len(part.encode()) > 255 for part in parts):
        reason = "a name that is too long"
    if reason:
        raise InputError(
            f"The archive '{archive}' holds {reason}, {name[:200]!r}: nothing of it is unpacked.",
            "Make sure that it comes from its publisher.",
        )
    return "/".join(parts)


def check_clashes(paths: Iterable[str], archive: str) -> None:
    """Check that no two files would become one, also where capitals do not count.

    Raises:
        InputError: Two do, or one stands where a folder of another has to be.
    """
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    for path in paths:
        key = _folded(path)
        if key in files:
            raise _clash(files[key], path, archive)
        files[key] = path
        while "/" in key:
            key = key.rpartition("/")[0]
            if key in folders:
                break
            folders[key] = path
    for key, path in folders.items():
        if key in files:
            raise _clash(files[key], path, archive)


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


def _clash(one: str, other: str, archive: str) -> InputError:
    return InputError(
        f"The archive '{archive}' holds '{one}' and '{other}', which are one file on some systems: nothing of it is "
        "unpacked.",
        "Make sure that it comes from its publisher.",
    )

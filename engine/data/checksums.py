"""SHA-256 sums beside a data set, as `sha256sum` writes and checks them."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from engine.data.folder_check import Problem
from engine.errors import InputError

FILE_NAME = "checksums.sha256"
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
_BLOCK = 1 << 20


def read_checksums(folder: Path) -> list[tuple[Path, str]]:
    """Return files of a folder with the sums that were noted for them.

    Raises:
        InputError: There are none, or a line is no sum and name.
    """
    path = folder / FILE_NAME
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise InputError(
            f"'{folder}' has no '{FILE_NAME}'.",
            "It is written by 'dataset download', which also mends what is damaged.",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"'{path}' cannot be read: {error}.") from error
    found = []
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        if not match:
            raise InputError(f"Line {number} of '{path}' is no SHA-256 and name: {line[:100]!r}.")
        found.append((folder / match[2], match[1]))
    return found


def compare_checksum(item: tuple[Path, str]) -> Problem | None:
    """Return what is wrong with a file, given with the sum that it should have."""
    path, expected = item
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    except FileNotFoundError:
        return Problem("missing", path, "was downloaded once")
    except OSError as error:
        return Problem("unreadable", path, error.strerror or str(error))
    if digest.hexdigest() != expected:
        return Problem("other checksum", path, "its content has changed since it was downloaded")
    return None

"""Files in storage that are read: whether they are there, and which version they are."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from engine.errors import InputError
from engine.remote_path import bucket_and_key, shown

if TYPE_CHECKING:
    from engine.storage.client import Stamp, Storage


@lru_cache(maxsize=1)
def _storage() -> Storage:
    # Takes 30 ms, which files on disk have no use for.
    from engine.storage.client import Storage

    return Storage(InputError)


@lru_cache(maxsize=100_000)
def stamp_of(path: str) -> Stamp | None:
    """Return size and version of a file, or None where there is none; asked once a process.

    Raises:
        InputError: It cannot be told: no credentials, no permission, no bucket, no server.
    """
    return _storage().look(path)


def check_readable(path: str) -> None:
    """Check that a file is there and may be read, so that its absence is told in words.

    Raises:
        InputError: It is missing, empty, a folder, or see `stamp_of`.
    """
    name, (bucket, key) = shown(path), bucket_and_key(path)
    if not bucket or not key or key.endswith("/"):
        raise InputError(f"'{name}' is a folder, not a file.", "Name the files in it one by one.")
    stamp = stamp_of(path)
    if stamp is None:
        if _storage().names(f"{path}/", 1):
            raise InputError(f"'{name}' is a folder, not a file.", "Name the files in it one by one.")
        raise InputError(f"There is no file '{name}'.", "Check its bucket and key; capital letters count.")
    if stamp.size == 0:
        raise InputError(f"The file '{name}' is empty.", "Upload it again.")


def text_of(path: str) -> str | None:
    """Return a small text file, or None where there is none.

    Raises:
        InputError: See `stamp_of`.
    """
    content = _storage().read(path)
    return None if content is None else content.decode("utf-8", errors="replace")


def files_in(folder: str) -> list[str]:
    """Return the paths of all files in a folder and the folders in it, sorted, as GDAL writes them.

    Args:
        folder: Such as `/vsis3/bucket/folder/`; `/` at its end may be left out.

    Raises:
        InputError: There are none, or see `stamp_of`.
    """
    folder = folder if folder.endswith("/") else f"{folder}/"
    found = _storage().names(folder)
    if not found:
        raise InputError(
            f"There are no files in '{shown(folder)}'.", "Check its bucket and key; capital letters count."
        )
    return found


def forget() -> None:
    """Forget what was asked: for processes that live longer than one command, and change their environment."""
    _storage.cache_clear()
    stamp_of.cache_clear()

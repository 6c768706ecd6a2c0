"""Fetching one file of the hub into the hub's own cache: resumed, counted, checked.

The client's download (huggingface-hub 2.4) begins anew in each run, and drops up to 10 MB at each break within one:
it writes into a file with a random name and removes it, and hands on whole pieces of 10 MB. Here the bytes of a file
lie under a fixed name from the moment they arrive, and the next request, in this run or a later one, asks for the
rest. The finished file lies where the client keeps it, so that other programs find it, and ours theirs.
"""

from __future__ import annotations

import errno
import hashlib
import re
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import filelock
import httpx2
from huggingface_hub import get_session, hf_hub_download, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined] # exported lazily

from engine.errors import Cancelled, ModelError, OutputError
from engine.events import Reporter
from engine.hub.client import endpoint, headers, host, hub_cache, quiet
from engine.hub.failures import explained
from engine.hub.patience import Patience
from engine.hub.repository import RemoteFile

Progress = Callable[[float, str, float | None], None]

# Room that must be left on the disk when the file is whole.
SPARE_BYTES = 64 * 1024 * 1024
# Seconds over which the rate is taken, and after which it is told.
RATE_OVER, RATE_AFTER = 10.0, 1.0
CONNECT_TIMEOUT, READ_TIMEOUT = 10.0, 20.0
HASHED_BYTES = 1 << 22
HASHING = 0.05


def fetch(remote: RemoteFile, progress: Progress, reporter: Reporter, cancelled: threading.Event) -> Path:
    """Return the path of a file of the hub on this computer, fetching what is missing of it.

    Args:
        remote: The file.
        progress: Told the share that is done, a line with bytes and rate, and the seconds left.
        reporter: Told of waits and of content that had to be fetched again.
        cancelled: Set to stop; what has arrived stays for the next time.

    Raises:
        ModelError: The file cannot be had, or is not what the hub says it is.
        OutputError: The disk is full or the cache cannot be written.
        Cancelled: It was asked to stop.
    """
    quiet()
    present = find_local(remote.repository, remote.name, remote.commit)
    if present is not None:
        if _intact(present, remote, progress, cancelled):
            return present
        reporter.warning(f"'{remote.name}' in the hub's cache is damaged; it is fetched again.")
    blobs = _blobs(remote)
    try:
        blobs.mkdir(parents=True, exist_ok=True)
        partial = blobs / f"{remote.etag}.flair.incomplete"
        with _only_one(blobs / f"{remote.etag}.flair.lock", reporter, cancelled):
            blob = blobs / remote.etag
            if present is not None or not blob.is_file() or not _intact(blob, remote, progress, cancelled):
                _fetch_checked(remote, partial, progress, reporter, cancelled)
                partial.replace(blob)
    except OSError as error:
        raise _unwritable(blobs, error) from error
    return _linked(remote)


def find_local(repository: str, name: str, commit: str) -> Path | None:
    """Return a file of a repository that lies in the hub's cache, or None; its content is not checked."""
    found = try_to_load_from_cache(repository, name, cache_dir=hub_cache(), revision=commit)
    return Path(found) if isinstance(found, str) else None


def _fetch_checked(
    remote: RemoteFile, partial: Path, progress: Progress, reporter: Reporter, cancelled: threading.Event
) -> None:
    for attempt in (1, 2):
        _check_space(partial, remote.size)
        with partial.open("ab", buffering=0) as file:
            _fill(remote, file, progress, reporter, cancelled)
        if _intact(partial, remote, progress, cancelled):
            return
        partial.unlink()
        if attempt == 1:
            reporter.warning(f"'{remote.name}' arrived damaged; it is fetched once more.")
    raise ModelError(
        f"'{remote.name}' from {host()} is not what the hub says it is: its SHA-256 differs.",
        "Try again later; behind a proxy or a mirror, ask its administrator.",
    )


def _fill(
    remote: RemoteFile, file: BinaryIO, progress: Progress, reporter: Reporter, cancelled: threading.Event
) -> None:
    """Append to a file until it is as long as the remote one."""
    if file.tell() > remote.size:
        file.truncate(0)
        file.seek(0)
    patience, rate = Patience(reporter, cancelled), _Rate()
    if file.tell():
        reporter.log(f"Going on after the {_megabytes(file.tell())} that are here already.")
    try:
        while file.tell() < remote.size:
            try:
                _append(remote, file, patience, rate, progress, cancelled)
            except (httpx2.TransportError, HfHubHTTPError) as error:
                patience.wait(error)
    except Cancelled as error:
        kept = f"The {_megabytes(file.tell())} that arrived are kept: the same command goes on after them."
        raise Cancelled(f"Cancelled. {kept}" if file.tell() else error.message) from error
    except (httpx2.HTTPError, HfHubHTTPError, ConnectionError) as error:
        said = explained(error, remote.repository, remote.commit, remote.name)
        if file.tell():
            said.hint = f"The {_megabytes(file.tell())} that arrived are kept. {said.hint}"
        raise said from error


def _append(
    remote: RemoteFile,
    file: BinaryIO,
    patience: Patience,
    rate: _Rate,
    progress: Progress,
    cancelled: threading.Event,
) -> None:
    have = file.tell()
    # The hub sends on to a content network under an address that soon expires: it is asked for each time. The token
    # stays with the hub, since the client drops it when it is sent on to another host.
    url = hf_hub_url(remote.repository, remote.name, revision=remote.commit, endpoint=endpoint())
    # What is packed on the way cannot be counted, nor gone on with.
    asked = {**headers(), "Range": f"bytes={have}-", "Accept-Encoding": "identity"}
    timeout = httpx2.Timeout(CONNECT_TIMEOUT, read=READ_TIMEOUT)
    with get_session().stream("GET", url, headers=asked, timeout=timeout) as response:
        if response.status_code == 416:
            file.truncate(0)
            file.seek(0)
            return
        hf_raise_for_status(response)
        if have and not _goes_on(response.headers.get("Content-Range", ""), have):
            # The server sends the file from its beginning.
            file.truncate(0)
            file.seek(0)
        for chunk in response.iter_raw():
            if cancelled.is_set():
                raise Cancelled()
            file.write(chunk)
            patience.progressed()
            done = file.tell()
            if done > remote.size:
                raise ModelError(f"{host()} sends more of '{remote.name}' than it has.", "Try again later.")
            left = rate.seconds_for(done, remote.size)
            text = f"Downloading {remote.name}: {_megabytes(done)} of {_megabytes(remote.size)}{rate}"
            progress((1 - HASHING) * done / remote.size, text, left)


def _goes_on(content_range: str, have: int) -> bool:
    return re.match(rf"bytes {have}-", content_range.strip()) is not None


class _Rate:
    """Bytes a second over the last seconds, from the first that arrive on."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def seconds_for(self, done: int, size: int) -> float | None:
        """Note the bytes that are done, and return the seconds that the rest takes, None while unknown."""
        now = time.monotonic()
        if self._seen and done < self._seen[-1][1]:
            self._seen.clear()
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[0][0] > RATE_OVER:
            self._seen.popleft()
        rate = self._value()
        return (size - done) / rate if rate else None

    def _value(self) -> float:
        if not self._seen:
            return 0.0
        (began, first), (ended, last) = self._seen[0], self._seen[-1]
        return (last - first) / (ended - began) if ended - began > RATE_AFTER else 0.0

    def __str__(self) -> str:
        rate = self._value()
        return f", {_megabytes(rate)}/s" if rate else ""


def _intact(path: Path, remote: RemoteFile, progress: Progress, cancelled: threading.Event) -> bool:
    """Return whether a file has the remote one's size and SHA-256."""
    if path.stat().st_size != remote.size:
        return False
    if not remote.sha256:
        return True
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(HASHED_BYTES):
            if cancelled.is_set():
                raise Cancelled()
            digest.update(block)
            progress(1 - HASHING + HASHING * stream.tell() / remote.size, f"Checking {remote.name}", None)
    return digest.hexdigest() == remote.sha256


def _blobs(remote: RemoteFile) -> Path:
    return hub_cache() / repo_folder_name(repo_id=remote.repository, repo_type="model") / "blobs"


def _linked(remote: RemoteFile) -> Path:
    """Let the client put the finished content under its name; where it cannot, the content itself will do."""
    try:
        path = hf_hub_download(
            remote.repository,
            remote.name,
            revision=remote.commit,
            cache_dir=hub_cache(),
            endpoint=endpoint(),
            headers=headers(),
        )
    except (OSError, ValueError, httpx2.HTTPError):
        return _blobs(remote) / remote.etag
    return Path(path)


@contextmanager
def _only_one(path: Path, reporter: Reporter, cancelled: threading.Event) -> Iterator[None]:
    """Let one process at a time fetch a file; the next finds it there."""
    lock, told = filelock.FileLock(path), False
    while True:
        try:
            lock.acquire(timeout=0.2)
            break
        except filelock.Timeout:
            if not told:
                reporter.log("Another process fetches this file; waiting for it.")
            told = True
            if cancelled.is_set():
                raise Cancelled() from None
    try:
        yield
    finally:
        lock.release()


def _check_space(partial: Path, size: int) -> None:
    have = partial.stat().st_size if partial.exists() else 0
    free = shutil.disk_usage(partial.parent).free
    if free < size - have + SPARE_BYTES:
        raise _no_space(partial.parent, size - have, free)


def _no_space(folder: Path, wanted: int, free: int) -> OutputError:
    return OutputError(
        f"The disk of '{folder}' has {_megabytes(free)} free; {_megabytes(wanted)} are needed.",
        "Free some space, or name a folder on another disk with the environment variable HF_HOME.",
    )


def _unwritable(folder: Path, error: OSError) -> OutputError:
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return OutputError(
            f"The disk of '{folder}' is full.",
            "Free some space and run the same command again; or name another folder with HF_HOME.",
        )
    return OutputError(
        f"The hub's cache '{folder}' cannot be written: {error.strerror or error}.",
        "Name a folder that can with the environment variable HF_HOME.",
    )


def _megabytes(count: float) -> str:
    return f"{count / 1e6:.1f} MB"

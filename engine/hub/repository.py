"""What a repository of the hub holds at one commit."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import httpx2
from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import FileMetadataError, HfHubHTTPError
from huggingface_hub.hf_api import ModelInfo

from engine.errors import ModelError
from engine.events import Reporter
from engine.hub.client import LIBRARY, endpoint, headers, host, quiet
from engine.hub.failures import explained
from engine.hub.patience import patiently

TIMEOUT = 20.0
ANY_FAILURE = (
    *(httpx2.HTTPError, HfHubHTTPError, FileMetadataError, ConnectionError),
    # An address or a proxy that cannot be used; an answer that is no JSON, or lacks what the client reads in it.
    *(httpx2.InvalidURL, ImportError, ValueError, KeyError),
)


@dataclass(frozen=True)
class RemoteFile:
    """A file of the hub at one commit.

    Args:
        repository: `owner/name`.
        commit: Commit, 40 hexadecimal digits.
        name: Path in the repository.
        size: Bytes.
        sha256: SHA-256 that the hub states of the content; empty for small files, of which it states none.
        etag: Name under which the hub's cache keeps the content.
        licence: Licence that the repository states; empty where it states none.
    """

    repository: str
    commit: str
    name: str
    size: int
    sha256: str
    etag: str
    licence: str


def find_file(
    repository: str,
    revision: str | None,
    name: str,
    suffixes: Sequence[str],
    reporter: Reporter,
    cancelled: threading.Event,
) -> RemoteFile:
    """Ask the hub for a file.

    Args:
        repository: `owner/name`.
        revision: Commit, branch or tag; None for the latest.
        name: File; where it is not there and the repository holds one file with a fitting suffix, that one is taken.
        suffixes: Endings of such files.
        reporter: Told when another file than the named one is taken.
        cancelled: Set to stop.

    Raises:
        ModelError: It cannot be had; the message says why.
        Cancelled: It was asked to stop.
    """
    quiet()
    api = HfApi(endpoint=endpoint(), library_name=LIBRARY)
    file = None
    try:
        info = patiently(
            lambda: api.model_info(repository, revision=revision or "main", files_metadata=True, timeout=TIMEOUT),
            reporter,
            cancelled,
        )
        commit = str(info.sha)
        file = _chosen(info, name, suffixes, reporter)
        url = hf_hub_url(repository, file, revision=commit, endpoint=endpoint())
        # The listing gives size and SHA-256 too, but mirrors may leave them out.
        metadata = patiently(
            lambda: get_hf_file_metadata(url, headers=headers(), timeout=TIMEOUT, endpoint=endpoint()),
            reporter,
            cancelled,
        )
    except ANY_FAILURE as error:
        raise explained(error, repository, revision, file or name) from error
    listed = next((item for item in info.siblings or [] if item.rfilename == file), None)
    stated = listed.lfs.sha256 if listed is not None and listed.lfs is not None else ""
    etag, size = metadata.etag or "", metadata.size or (listed.size if listed is not None else 0) or 0
    if metadata.commit_hash not in (None, commit) or not etag or not size or _differ(stated, etag):
        raise ModelError(
            f"{host()} contradicts itself about '{file}' of '{repository}'.", "Check HF_ENDPOINT, or try again later."
        )
    return RemoteFile(
        repository, commit, file, size, stated or (etag if _is_sha256(etag) else ""), etag, _licence(info)
    )


def _chosen(info: ModelInfo, name: str, suffixes: Sequence[str], reporter: Reporter) -> str:
    names = [item.rfilename for item in info.siblings or []]
    if name in names or not names:
        return name
    fitting = [item for item in names if PurePosixPath(item).suffix in suffixes]
    if len(fitting) == 1:
        reporter.log(f"'{info.id}' holds '{fitting[0]}' instead of '{name}'; it is taken.")
        return fitting[0]
    return name


def _licence(info: ModelInfo) -> str:
    return next((tag.partition(":")[2] for tag in info.tags or [] if tag.startswith("license:")), "")


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and all(digit in "0123456789abcdef" for digit in text)


def _differ(stated: str, etag: str) -> bool:
    return bool(stated) and _is_sha256(etag) and stated != etag

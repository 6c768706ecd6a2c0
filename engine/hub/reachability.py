"""Whether the hub can be reached at all, before a library tries for half a minute."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
from huggingface_hub import constants, get_session

from engine.errors import EngineError
from engine.hub.client import endpoint, offline, quiet
from engine.hub.failures import explained

# As long as the client itself waits for the first answer of a file.
TIMEOUT = 10.0
# Seconds before each further attempt: a line that wakes up may refuse the first.
WAITS = (0.5, 1.0)


def why_unreachable(repository: str) -> EngineError | None:
    """Return why nothing can be fetched, or None where the hub answers, be it with a refusal.

    Args:
        repository: What is to be fetched, for the sentence.
    """
    quiet()
    if offline():
        return None
    try:
        _ask()
    except httpx2.ReadTimeout:
        # A slow proxy or server: the connection stands, and the client has more patience.
        return None
    except (httpx2.HTTPError, httpx2.InvalidURL, ConnectionError, ImportError, ValueError) as error:
        return explained(error, repository, None, None)
    return None


def _ask() -> None:
    for wait in WAITS:
        try:
            get_session().head(endpoint(), timeout=TIMEOUT)
        except httpx2.ConnectError:
            time.sleep(wait)
        else:
            return
    get_session().head(endpoint(), timeout=TIMEOUT)


@contextmanager
def cache_only() -> Iterator[None]:
    """Let the hub's client, and libraries that use it, take files from its cache without a request."""
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before

"""The hub's own client as this project uses it: without telemetry, chatter and Xet, and with its settings.

The client reads the environment itself: HF_ENDPOINT (a mirror), HF_HOME and HF_HUB_CACHE (where files are kept),
HF_HUB_OFFLINE, HF_TOKEN, HTTP_PROXY, HTTPS_PROXY and NO_PROXY, SSL_CERT_FILE.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from engine import __version__

LIBRARY = "flair-land-cover"


@lru_cache
def quiet() -> None:
    """Switch the client's telemetry, Xet and log lines off; needed once, before the first request."""
    # Read when the client is imported, and by the libraries that import it before us.
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    # Files come by plain HTTP, which can be resumed, counted and cancelled, and passes through any proxy.
    os.environ["HF_HUB_DISABLE_XET"] = "1"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["HF_HUB_DISABLE_SYMLINKS_WARNING"] = "1"
    from huggingface_hub import constants
    from huggingface_hub.utils import logging

    constants.HF_HUB_DISABLE_TELEMETRY = True
    constants.HF_HUB_DISABLE_XET = True
    # Its lines name addresses, and those of a content network carry a signature.
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]


def endpoint() -> str:
    """Return the hub's address, or that of the mirror in HF_ENDPOINT."""
    from huggingface_hub import constants

    return constants.ENDPOINT


def host() -> str:
    """Return the hub's name for people: address without user, password and path."""
    try:
        parts = urlsplit(endpoint())
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
    except ValueError:
        return "the hub"


def offline() -> bool:
    """Return whether HF_HUB_OFFLINE forbids every request."""
    from huggingface_hub import constants

    return constants.HF_HUB_OFFLINE


def hub_cache() -> Path:
    """Return the folder in which the hub's client and this project keep fetched files; it may not exist yet."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def headers() -> dict[str, str]:
    """Return the headers of a request, with the person's token where there is one. Never to be shown."""
    # Exported under a lazy name that a type checker does not see.
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    return build_hf_headers(library_name=LIBRARY, library_version=__version__)

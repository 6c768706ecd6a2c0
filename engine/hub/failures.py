"""What went wrong between here and the hub, in words for people, without addresses that carry secrets."""

from __future__ import annotations

import ssl
from urllib.parse import urlsplit

import httpx2
from huggingface_hub.errors import (
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from engine.errors import EngineError, ModelError
from engine.hub.client import endpoint, host
from engine.network import PASSING_STATUS, causes, is_unknown_name

BY_HAND = "fetch the file with a browser and name it with --weights"
CHECK_PROXY = "Check HTTPS_PROXY (in QGIS: the network settings)"


def passes(error: Exception) -> bool:
    """Return whether trying again can help."""
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in PASSING_STATUS
    if isinstance(error, httpx2.ProxyError | httpx2.UnsupportedProtocol) or _certificate(error):
        return False
    return isinstance(error, httpx2.TransportError)


def retry_after(error: Exception) -> float | None:
    """Return the seconds that the server asked to wait, None where it did not."""
    if not isinstance(error, HfHubHTTPError):
        return None
    text = error.response.headers.get("Retry-After", "").strip()
    return float(text) if text.isdigit() else None


def explained(error: Exception, repository: str, revision: str | None, file: str | None) -> EngineError:
    """Return the error for people.

    Args:
        error: What the hub's client raised.
        repository: Repository that was asked for.
        revision: Revision that was asked for, None for the latest.
        file: File that was asked for, None before it was known.
    """
    what = f"'{repository}' on {host()}"
    if isinstance(error, OfflineModeIsEnabled):
        return ModelError(
            "Nothing can be downloaded: the environment variable HF_HUB_OFFLINE forbids it.",
            f"Unset it, or {BY_HAND}.",
        )
    if isinstance(error, HfHubHTTPError):
        return _refused(error, what, revision, file)
    if isinstance(error, FileMetadataError):
        return ModelError(
            f"The server {host()} does not answer as a model hub does.",
            "Check HF_ENDPOINT and the proxy: something else may have answered.",
        )
    if isinstance(error, httpx2.ProxyError):
        return _proxy(error)
    if isinstance(error, httpx2.InvalidURL | httpx2.UnsupportedProtocol) or _no_address():
        return ModelError("The hub's address is no address.", "Check HF_ENDPOINT: https:// and the name of a server.")
    if isinstance(error, ImportError) or (isinstance(error, ValueError) and "proxy" in str(error).lower()):
        # The client tells of a proxy that it cannot use only when it makes its first connection.
        return ModelError("The network's proxy is of a kind that cannot be used here.", f"{CHECK_PROXY}: http:// is.")
    if _certificate(error):
        return ModelError(
            f"The certificate of {host()} is not trusted by this computer.",
            "Name your network's certificates with SSL_CERT_FILE, or ask its administrator.",
        )
    if isinstance(error, httpx2.TimeoutException):
        return ModelError(f"{host()} does not answer.", f"Try again later, or {BY_HAND}.")
    if isinstance(error, httpx2.ConnectError):
        return ModelError(
            f"{host()} cannot be reached ({_cause(error)}).",
            f"Check the connection and the proxy (HTTPS_PROXY), or {BY_HAND}.",
        )
    if isinstance(error, httpx2.TransportError):
        return ModelError(f"The connection to {host()} breaks off again and again.", "Run the same command again.")
    return ModelError(f"{what} cannot be read: the answer makes no sense ({type(error).__name__}).", "Try again later.")


def _refused(error: HfHubHTTPError, what: str, revision: str | None, file: str | None) -> EngineError:
    status = error.response.status_code
    if status == 407:
        return _proxy(error)
    if isinstance(error, GatedRepoError) or status == 403:
        return ModelError(
            f"{what} is open only to those who were granted access.",
            "Ask for it on its page, then set HF_TOKEN to a token of your account.",
        )
    if isinstance(error, RevisionNotFoundError):
        return ModelError(f"{what} has no revision '{revision}'.", "Leave --revision out, or look at its history.")
    if isinstance(error, RemoteEntryNotFoundError):
        return ModelError(f"{what} holds no file '{file}'.", f"It may have been renamed: {BY_HAND}.")
    if status == 401 and not isinstance(error, RepositoryNotFoundError):
        return ModelError(f"{host()} does not accept the token in use.", "Renew or unset HF_TOKEN.")
    if status in (401, 404):
        return ModelError(
            f"There is no {what}, or it is private.",
            "Check HF_ENDPOINT; for a private one set HF_TOKEN to a token of your account.",
        )
    if status == 429:
        return ModelError(f"{host()} answers no more for now: too many requests.", "Try again in some minutes.")
    return ModelError(f"{host()} answers with error {status}.", f"Try again later, or {BY_HAND}.")


def _no_address() -> bool:
    parts = urlsplit(endpoint()) if host() != "the hub" else None
    return parts is None or parts.scheme not in ("http", "https") or not parts.hostname


def _proxy(error: Exception) -> EngineError:
    if isinstance(error, HfHubHTTPError) or "407" in str(error):
        return ModelError(
            "The network's proxy asks for a name and a password.",
            "Put them into HTTPS_PROXY: http://NAME:PASSWORD@HOST:PORT (in QGIS: the network settings).",
        )
    return ModelError("The network's proxy does not let the connection through.", f"{CHECK_PROXY}.")


def _certificate(error: Exception) -> bool:
    return any(
        isinstance(cause, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(cause)
        for cause in causes(error)
    )


def _cause(error: Exception) -> str:
    if is_unknown_name(error):
        return "its name is not known: no network?"
    if "refused" in str(error).lower():
        return "the connection is refused"
    return "no connection"

"""What went wrong between here and the storage, in words for people, without anything secret."""

from __future__ import annotations

import ssl
from xml.etree import ElementTree  # answers of a chosen server  # nosec B405

import httpx2

from engine.errors import EngineError, InputError, OutputError
from engine.network import PASSING_STATUS, causes, is_unknown_name
from engine.remote_path import shown
from engine.storage.endpoint import Endpoint

_KEYS = "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"

Failure = type[InputError] | type[OutputError]


def code_of(answer: httpx2.Response) -> str:
    """Return the storage's own word for what is wrong, such as `NoSuchKey`; empty where it has none."""
    try:
        root = ElementTree.fromstring(answer.content)  # of a chosen server  # nosec B314
    except (ElementTree.ParseError, ValueError):
        return ""
    return next((item.text or "" for item in root.iter() if item.tag.rpartition("}")[2] == "Code"), "")


def no_credentials(path: str, failure: Failure) -> EngineError:
    """Return the error for a request that nobody can sign."""
    return failure(
        f"There are no credentials for '{shown(path)}'.",
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE to a profile that holds keys; "
        "for public data set AWS_NO_SIGN_REQUEST=YES.",
    )


def refused(answer: httpx2.Response, path: str, endpoint: Endpoint, failure: Failure) -> EngineError:
    """Return the error that an answer amounts to.

    Args:
        answer: The storage's answer, with its body.
        path: The file, or folder, that was asked for.
        endpoint: Who answered.
        failure: Kind of the error.
    """
    code, status = code_of(answer), answer.status_code
    name, bucket = shown(path), shown(path).removeprefix("s3://").partition("/")[0]
    if code == "NoSuchBucket":
        return failure(
            f"There is no bucket '{bucket}' on {endpoint.host}.", "Check its name, and the server (AWS_ENDPOINT_URL)."
        )
    if code == "RequestTimeTooSkewed":
        return failure(
            f"The clock of this computer is too far from that of {endpoint.host}, which refuses the request.",
            "Set the date and the time of this computer.",
        )
    if code in ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "TokenRefreshRequired"):
        reason = {
            "InvalidAccessKeyId": "does not know the access key",
            "SignatureDoesNotMatch": "finds that the secret key is wrong",
        }.get(code, "finds that the session token is invalid or has expired")
        hint = f"{_KEYS}." if code != "ExpiredToken" else f"Log in again. {_KEYS} and AWS_SESSION_TOKEN."
        return failure(f"The storage {endpoint.host} {reason}.", hint)
    if code in ("PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraint"):
        return failure(f"The bucket '{bucket}' lies in another region than '{endpoint.region}'.", "Set AWS_REGION.")
    if status in (401, 403):
        return failure(f"Access to '{name}' is denied.", f"{_KEYS}, and what they are allowed to do there.")
    if code == "NoSuchKey":
        return failure(f"There is no file '{name}'.", "Check its bucket and key; capital letters count.")
    if status == 407:
        return _proxy_password(failure)
    if status in PASSING_STATUS:
        return failure(
            f"The storage {endpoint.host} answers again and again that it cannot serve '{name}' now ({status}).",
            "Run the same command again later: it goes on where it stopped.",
        )
    if not code and status != 200:
        return failure(
            f"{endpoint.host} does not answer as S3-compatible storage does ({status}).",
            "Check AWS_ENDPOINT_URL: the address of the storage's own interface, not of its web page.",
        )
    return failure(f"The storage {endpoint.host} refuses '{name}' ({code or status}).", "Check the address.")


def unreachable(error: Exception, endpoint: Endpoint, failure: Failure) -> EngineError:
    """Return the error for a server that does not answer at all, or not to the end."""
    for cause in causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(cause):
            return failure(
                f"The certificate of {endpoint.host} is not trusted by this computer.",
                "Name your network's certificates with AWS_CA_BUNDLE.",
            )
        if isinstance(cause, ssl.SSLError):
            return failure(
                f"{endpoint.host} does not speak HTTPS.", "If it speaks HTTP alone: AWS_ENDPOINT_URL=http://HOST:PORT."
            )
    text = str(error).lower()
    if isinstance(error, httpx2.ProxyError):
        if "407" in text:
            return _proxy_password(failure)
        return failure("The network's proxy does not let the connection through.", "Check HTTPS_PROXY and HTTP_PROXY.")
    hint = "Check AWS_ENDPOINT_URL, the connection and the proxy (HTTPS_PROXY)."
    if is_unknown_name(error):
        return failure(f"There is no server named '{endpoint.host}', or no network.", hint)
    if isinstance(error, httpx2.ConnectTimeout):
        return failure(f"The storage {endpoint.host} does not answer.", hint)
    if isinstance(error, httpx2.ConnectError):
        reason = "the connection is refused" if "refused" in text else "no connection"
        return failure(f"The storage {endpoint.host} cannot be reached ({reason}).", hint)
    return failure(
        f"The connection to {endpoint.host} breaks off again and again.",
        "Run the same command again: it goes on where it stopped.",
    )


def _proxy_password(failure: Failure) -> EngineError:
    return failure(
        "The network's proxy asks for a name and a password.",
        "Put them into HTTPS_PROXY, before the name of the proxy.",
    )

"""Bytes from a server, over a line that breaks.

Every request says which bytes it wants and of which version of the file. What breaks off is taken up again at the
next byte, after pauses that grow and that the server may prescribe (`Retry-After`).
"""

from __future__ import annotations

import email.utils
import random
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2

from engine import __version__
from engine.acquisition.sizes import readable
from engine.errors import Cancelled, InputError
from engine.events import Reporter
from engine.network import PASSING_STATUS, causes, is_unknown_name

_LONGEST_PAUSE = 60.0
_LONGEST_PRESCRIBED = 900.0
# In a row, without a single byte in between: about 5 minutes.
_ATTEMPTS = 10
_FIRST_CONTACT_ATTEMPTS = 4
_QUESTION_ATTEMPTS = 5
_SAY_EVERY = 5.0


class FileChanged(Exception):  # noqa: N818 - a state, not an error
    """The file on the server is no longer the one that was begun."""


class NoRanges(Exception):  # noqa: N818
    """The server sends whole files only."""


class _Broken(Exception):  # noqa: N818
    def __init__(self, reason: str, pause: float | None = None) -> None:
        super().__init__(reason)
        self.pause = pause


@dataclass(frozen=True)
class RemoteFile:
    """One version of a file on a server.

    Args:
        url: Its address.
        size: Bytes; -1 where the server does not tell.
        etag: What the server calls this version; may be empty.
        modified: Time of its last change, as the server writes it; may be empty.
        ranges: Whether parts of it can be had.
    """

    url: str
    size: int
    etag: str = ""
    modified: str = ""
    ranges: bool = True

    @property
    def host(self) -> str:
        """Name of the server."""
        return urlsplit(self.url).hostname or self.url

    def same_version(self, other: RemoteFile) -> bool:
        """Return whether two answers speak of the same content, as far as the server tells."""
        if self.size != other.size:
            return False
        if self.etag and other.etag:
            return self.etag.removeprefix("W/") == other.etag.removeprefix("W/")
        return not (self.modified and other.modified) or self.modified == other.modified


@dataclass(frozen=True)
class Answer:
    """What a server said to a question.

    Args:
        status: Its code, such as 200 or 404.
        kind: Content type, in small letters and without parameters; may be empty.
        content: All bytes of it.
    """

    status: int
    kind: str
    content: bytes


class Server:
    """Fetches bytes; safe to use from several threads. A context manager.

    Certificates are checked against the system's; proxies are taken from the environment.

    Args:
        reporter: Is told when the line breaks.
        cancelled: Set to stop.
        pause: Seconds of the first pause; doubled each time.
    """

    def __init__(self, reporter: Reporter, cancelled: threading.Event, pause: float = 0.5) -> None:
        self._reporter = reporter
        self._cancelled = cancelled
        self._pause = pause
        self._said = float("-inf")
        self.breaks = 0
        self._mutex = threading.Lock()
        self._bare: set[str] = set()
        try:
            self._client = httpx2.Client(
                follow_redirects=True,
                timeout=httpx2.Timeout(30.0, connect=15.0, pool=None),
                limits=httpx2.Limits(max_connections=None),
                headers={
                    "User-Agent": f"flair-land-cover/{__version__}",
                    # Otherwise the bytes that arrive are not the bytes of the file.
                    "Accept-Encoding": "identity",
                },
            )
        except (httpx2.InvalidURL, ValueError) as error:
            raise InputError(
                f"A proxy in the environment is not usable: {error}.", "Check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY."
            ) from error

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *error: object) -> None:
        self._client.close()

    def ask(self, url: str) -> RemoteFile:
        """Ask for size and version of a file.

        Raises:
            InputError: The server cannot be reached or does not have it.
            Cancelled: `cancelled` was set.
        """
        failed = 0
        while True:
            try:
                # Not HEAD: stores that send their visitors on answer it in another way, or not at all.
                with self._get(url, {"Range": "bytes=0-0"}) as response:
                    return _described(url, response)
            except FileChanged as error:
                # Its first byte cannot be had.
                raise InputError(f"'{url}' is empty on the server.", "Try again later.") from error
            except _Broken as error:
                failed += 1
                self._wait(url, error, failed, _FIRST_CONTACT_ATTEMPTS, "")

    def question(self, url: str, largest: int) -> Answer:
        """Put a question whose answer is a page, a picture or an error, and return it whatever its status.

        Errors never name the address, since it may hold a password or a key.

        Args:
            url: The address with the question.
            largest: Bytes that an answer may have.

        Raises:
            InputError: The server cannot be reached, or says more than that.
            Cancelled: `cancelled` was set.
        """
        host = f"https://{urlsplit(url).hostname}"
        failed = 0
        while True:
            try:
                with self._get(url, {}, shown=host, check=_check_proxy) as response:
                    content = bytearray()
                    for chunk in self._chunks(response):
                        content += chunk
                        if len(content) > largest:
                            raise InputError(
                                f"{urlsplit(url).hostname} answers with more than {readable(largest)}.",
                                "Check the address: this is not what was asked for.",
                            )
                    answer = Answer(
                        response.status_code,
                        response.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
                        bytes(content),
                    )
                    length = response.headers.get("Content-Length", "")
                    if length.isdigit() and len(content) != int(length):
                        raise _Broken("the server ended the connection too early")
                    if answer.status not in PASSING_STATUS or failed + 1 >= _QUESTION_ATTEMPTS:
                        return answer
                    raise _not_now(response)
            except _Broken as error:
                failed += 1
                self._wait(url, error, failed, _QUESTION_ATTEMPTS, "")

    def stream(self, file: RemoteFile, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes of a file from `start` up to `end`, all of them, however often the line breaks.

        Raises:
            FileChanged: The server has another version by now.
            NoRanges: The server sends the whole file.
            InputError: The server cannot be reached any more or does not have it.
            Cancelled: `cancelled` was set.
        """
        failed = 0
        while start < end:
            try:
                headers = _range(file, start, end, file.url not in self._bare)
                with self._get(file.url, headers) as response:
                    if response.status_code == 200 and "If-Range" in headers and self._same(file, response):
                        # Some stores send all of a file where they are asked whether it is still the same. What comes
                        # without that question is compared all the same.
                        self._bare.add(file.url)
                        continue
                    _check_part(file, response, start)
                    for chunk in self._chunks(response):
                        piece = chunk[: end - start]
                        start += len(piece)
                        failed = 0
                        yield piece
                        if start >= end:
                            return
                raise _Broken("the server ended the connection too early")
            except _Broken as error:
                failed += 1
                self._wait(file.url, error, failed, _ATTEMPTS, f" at {readable(start)}")

    def whole(self, file: RemoteFile) -> Iterator[bytes | None]:
        """Yield all bytes of a file from a server without ranges; None means: from the beginning again.

        Raises:
            FileChanged: The server has another version by now.
            InputError: The server cannot be reached any more or does not have it.
            Cancelled: `cancelled` was set.
        """
        failed = 0
        while True:
            got = 0
            try:
                with self._get(file.url, {}) as response:
                    if not _described(file.url, response).same_version(file):
                        raise FileChanged
                    for chunk in self._chunks(response):
                        got += len(chunk)
                        yield chunk
                if file.size < 0 or got == file.size:
                    return
                raise _Broken("the server ended the connection too early")
            except _Broken as error:
                failed += 1
                self._wait(file.url, error, failed, _ATTEMPTS, "; it sends whole files only, so from the beginning")
                yield None

    def _same(self, file: RemoteFile, response: httpx2.Response) -> bool:
        return _described(file.url, response).same_version(file)

    def _chunks(self, response: httpx2.Response) -> Iterator[bytes]:
        with _breaks_told():
            for chunk in response.iter_raw():
                if self._cancelled.is_set():
                    raise Cancelled
                yield chunk

    @contextmanager
    def _get(
        self,
        url: str,
        headers: dict[str, str],
        shown: str = "",
        check: Callable[[str, httpx2.Response], None] | None = None,
    ) -> Iterator[httpx2.Response]:
        if self._cancelled.is_set():
            raise Cancelled
        shown = shown or url
        with _breaks_told(url):
            try:
                response = self._client.send(self._client.build_request("GET", url, headers=headers), stream=True)
            except httpx2.TooManyRedirects as error:
                raise InputError(f"'{shown}' sends its visitors round in a circle.", "Check the address.") from error
            except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
                raise InputError(f"'{shown}' is no usable address: {error}.", "Check the sources.") from error
        try:
            if url.startswith("https:") and response.url.scheme != "https":
                raise InputError(f"'{shown}' leads to an address without encryption: it is not followed.")
            (check or _check_status)(url, response)
            yield response
        finally:
            response.close()

    def _wait(self, url: str, error: _Broken, failed: int, attempts: int, where: str) -> None:
        host = urlsplit(url).hostname
        with self._mutex:
            self.breaks += 1
        if failed >= attempts:
            raise InputError(
                f"{host} cannot be reached: {error}.",
                "Check the connection to the internet; the same command goes on where this one stopped.",
            ) from error
        # Spread, so that a server that was down is not met by all at once; nothing secret hangs on it.
        spread = random.uniform(1, 1.25)  # nosec B311
        growing = min(self._pause * 2 ** (failed - 1), _LONGEST_PAUSE) * spread
        pause = growing if error.pause is None else max(min(error.pause, _LONGEST_PRESCRIBED), 0.1)
        with self._mutex:
            say = time.monotonic() - self._said > _SAY_EVERY
            if say:
                self._said = time.monotonic()
        if say:
            self._reporter.log(
                f"{host}: {error}; going on{where} in {pause:.0f} s."
                if pause >= 1
                else f"{host}: {error}; going on{where}."
            )
        if self._cancelled.wait(pause):
            raise Cancelled


@contextmanager
def _breaks_told(url: str = "") -> Iterator[None]:
    """Turn what the library raises into what can be tried again, and what cannot."""
    try:
        yield
    except httpx2.ProxyError as error:
        if "407" in str(error):
            raise _proxy_wants_password() from error
        raise _Broken(f"the proxy failed ({error})") from error
    except httpx2.TimeoutException as error:
        raise _Broken("no answer for a long time") from error
    except (httpx2.RemoteProtocolError, httpx2.ReadError) as error:
        raise _Broken("the connection broke off") from error
    except httpx2.TransportError as error:
        for cause in causes(error):
            if isinstance(cause, ssl.SSLCertVerificationError):
                raise InputError(
                    f"The certificate of {urlsplit(url).hostname} cannot be verified: {cause.verify_message}.",
                    "Behind a proxy that inspects connections, set SSL_CERT_FILE to its certificate; also check the "
                    "date of this computer.",
                ) from error
        if is_unknown_name(error):
            raise _Broken("its name cannot be looked up") from error
        text = str(error).strip().rstrip(".") or type(error).__name__
        raise _Broken(f"the connection failed ({text})") from error


def _proxy_wants_password() -> InputError:
    return InputError(
        "The proxy wants a name and a password.",
        "Set HTTPS_PROXY and HTTP_PROXY to http://NAME:PASSWORD@HOST:PORT and run the same command again.",
    )


def _check_status(url: str, response: httpx2.Response) -> None:
    status = response.status_code
    if status in (200, 206):
        return
    if status == 407:
        raise _proxy_wants_password()
    if status == 416:
        raise FileChanged
    if status in PASSING_STATUS:
        raise _not_now(response)
    if status in (404, 410):
        raise InputError(
            f"The server has no file '{url}' ({status}).", "Its publisher may have moved it: give sources of your own."
        )
    hint = "It may need an account, or be closed to this network." if status in (401, 403) else "Try again later."
    raise InputError(f"The server refuses '{url}' ({status} {response.reason_phrase}).", hint)


def _not_now(response: httpx2.Response) -> _Broken:
    return _Broken(f"it answers {response.status_code} {response.reason_phrase}", _prescribed(response.headers))


def _check_proxy(_: str, response: httpx2.Response) -> None:
    if response.status_code == 407:
        raise _proxy_wants_password()


def _prescribed(headers: httpx2.Headers) -> float | None:
    text = headers.get("Retry-After", "").strip()
    if not text:
        return None
    if text.isdigit():
        return float(text)
    try:
        return email.utils.parsedate_to_datetime(text).timestamp() - time.time()
    except (TypeError, ValueError):
        return None


def _described(url: str, response: httpx2.Response) -> RemoteFile:
    headers = response.headers
    ranges = response.status_code == 206
    found = re.fullmatch(r"bytes \d+-\d+/(\d+)", headers.get("Content-Range", "").strip()) if ranges else None
    length = headers.get("Content-Length", "")
    size = int(found[1]) if found else int(length) if length.isdigit() and not ranges else -1
    return RemoteFile(
        url, size, headers.get("ETag", ""), headers.get("Last-Modified", ""), ranges=ranges and found is not None
    )


def _range(file: RemoteFile, start: int, end: int, ask_version: bool) -> dict[str, str]:
    headers = {"Range": f"bytes={start}-{end - 1}"}
    if not ask_version:
        return headers
    # RFC 9110, 13.1.5: a weak ETag cannot vouch for bytes.
    if file.etag and not file.etag.startswith("W/"):
        headers["If-Range"] = file.etag
    elif file.modified and not file.etag:
        headers["If-Range"] = file.modified
    return headers


def _check_part(file: RemoteFile, response: httpx2.Response, start: int) -> None:
    found = _described(file.url, response)
    if response.status_code == 200:
        raise NoRanges if found.same_version(file) else FileChanged
    if not found.same_version(file):
        raise FileChanged
    if not response.headers.get("Content-Range", "").strip().startswith(f"bytes {start}-"):
        raise _Broken("it sends other bytes than were asked for")

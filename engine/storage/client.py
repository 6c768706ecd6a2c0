"""Questions to S3-compatible storage, and files sent there."""

from __future__ import annotations

import hashlib
import os
import random
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from xml.etree import ElementTree  # answers of a chosen server  # nosec B405

import httpx2

from engine import __version__
from engine.errors import Cancelled, EngineError, InputError
from engine.network import PASSING_STATUS, causes
from engine.remote_path import PREFIX, bucket_and_key
from engine.storage.credentials import find_credentials
from engine.storage.endpoint import find_endpoint, unsigned
from engine.storage.failures import Failure, code_of, no_credentials, refused, unreachable
from engine.storage.signature import EMPTY, query_string, signed_headers

# In a row; with the pauses between them about half a minute.
ATTEMPTS = 7
# A server that cannot be reached at all rarely appears within seconds.
ATTEMPTS_TO_CONNECT = 3
_FIRST_PAUSE, _LONGEST_PAUSE = 0.3, 10.0
_CHUNK = 256 * 1024

Sent = Callable[[int], None]


@dataclass(frozen=True)
class Stamp:
    """One version of a file in storage.

    Args:
        size: Bytes.
        version: What the storage calls this version (its ETag, else its time); may be empty.
    """

    size: int
    version: str


@dataclass(frozen=True)
class Piece:
    """Bytes of a file on disk that are to be sent.

    Args:
        file: The file.
        start: Number of the first byte.
        size: How many.
    """

    file: Path
    start: int
    size: int

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes.

        Raises:
            OSError: The file cannot be read, or has become shorter.
        """
        left = self.size
        with self.file.open("rb") as stream:
            stream.seek(self.start)
            while left:
                chunk = stream.read(min(_CHUNK, left))
                if not chunk:
                    raise OSError(f"'{self.file}' has become shorter")
                left -= len(chunk)
                yield chunk


class Storage:
    """The storage that the environment names; safe to use from several threads. A context manager.

    Args:
        failure: Kind of the errors: of inputs or of outputs.
        cancelled: Set to stop.
        pause: Seconds of the first pause; doubled each time.
    """

    def __init__(
        self, failure: Failure = InputError, cancelled: threading.Event | None = None, pause: float = _FIRST_PAUSE
    ) -> None:
        self._failure = failure
        self._cancelled = cancelled or threading.Event()
        self._pause = pause
        try:
            self.endpoint = find_endpoint()
        except ValueError:
            # Its text may hold a password.
            raise failure(
                "The environment, or the profile in use, names no usable address of a storage.",
                "Correct AWS_ENDPOINT_URL: https://HOST or https://HOST:PORT.",
            ) from None
        self._credentials = None if unsigned() else find_credentials()
        self._regions: dict[str, str] = {}
        bundle = os.environ.get("AWS_CA_BUNDLE")
        try:
            self._client = httpx2.Client(
                follow_redirects=False,
                timeout=httpx2.Timeout(30.0, connect=5.0, pool=None),
                verify=ssl.create_default_context(cafile=bundle) if bundle else True,
                headers={"User-Agent": f"flair-land-cover/{__version__}", "Accept-Encoding": "identity"},
            )
        except OSError as error:
            raise failure(f"AWS_CA_BUNDLE names no file of certificates: '{bundle}'.", "Correct it.") from error
        except (httpx2.InvalidURL, ValueError) as error:
            raise failure("A proxy in the environment is not usable.", "Check HTTPS_PROXY and HTTP_PROXY.") from error

    def __enter__(self) -> Storage:
        return self

    def __exit__(self, *error: object) -> None:
        self._client.close()

    def look(self, path: str) -> Stamp | None:
        """Return size and version of a file, or None where there is no such key.

        Raises:
            EngineError: It cannot be told: no credentials, no permission, no bucket, no server.
            Cancelled: It was asked to stop.
        """
        answer = self._ask("HEAD", path)
        if answer.status_code == 200:
            headers = answer.headers
            version = headers.get("ETag", "").strip('"') or headers.get("Last-Modified", "")
            return Stamp(int(headers.get("Content-Length", "0")), version)
        if answer.status_code in PASSING_STATUS:
            raise self._refused(answer, path)
        # Answers to HEAD have no body, so they do not say why.
        answer = self._ask("GET", path, headers={"range": "bytes=0-0"})
        if answer.status_code == 404 and code_of(answer) == "NoSuchKey":
            return None
        raise self._refused(answer, path)

    def read(self, path: str) -> bytes | None:
        """Return the content of a small file, or None where there is no such key.

        Raises:
            EngineError: See `look`.
            Cancelled: It was asked to stop.
        """
        answer = self._ask("GET", path)
        if answer.status_code == 200:
            return answer.content
        if answer.status_code == 404 and code_of(answer) == "NoSuchKey":
            return None
        raise self._refused(answer, path)

    def names(self, folder: str, most: int | None = None) -> list[str]:
        """Return the paths of the files whose key begins with that of a folder, sorted.

        Args:
            folder: Path as GDAL writes it, with `/` at its end.
            most: How many to return at most; all without it.

        Raises:
            EngineError: See `look`.
            Cancelled: It was asked to stop.
        """
        bucket, prefix = bucket_and_key(folder)
        found: list[str] = []
        query = {"list-type": "2", "prefix": prefix, **({"max-keys": str(most)} if most else {})}
        while True:
            answer = self._ask("GET", f"{PREFIX}{bucket}/", query)
            if answer.status_code != 200:
                raise self._refused(answer, folder)
            root = self._document(answer, folder)
            keys = [item.text or "" for item in root.iter() if _name(item) == "Key"]
            found += [f"{PREFIX}{bucket}/{key}" for key in keys if not key.endswith("/")]
            further = next((item.text or "" for item in root.iter() if _name(item) == "NextContinuationToken"), "")
            if not further or (most and len(found) >= most):
                return sorted(found)
            query["continuation-token"] = further

    def put(self, path: str, piece: Piece, kind: str, sent: Sent) -> None:
        """Store a file in one request: it appears when the last byte has arrived, in place of an earlier one.

        Args:
            path: Where.
            piece: What.
            kind: Its content type.
            sent: Told how many bytes have gone since it was told last; less than none where they go again.

        Raises:
            EngineError: See `look`.
            Cancelled: It was asked to stop.
            OSError: The file on disk cannot be read.
        """
        answer = self._ask("PUT", path, headers={"content-type": kind}, body=piece, sent=sent)
        if answer.status_code not in (200, 201, 204):
            raise self._refused(answer, path)

    def begin(self, path: str, kind: str) -> str:
        """Begin an upload in parts and return its number; nothing appears until `complete`.

        Raises:
            EngineError: See `look`.
            Cancelled: It was asked to stop.
        """
        answer = self._ask("POST", path, {"uploads": ""}, {"content-type": kind})
        if answer.status_code != 200:
            raise self._refused(answer, path)
        root = self._document(answer, path)
        return next(item.text or "" for item in root.iter() if _name(item) == "UploadId")

    def send_part(self, path: str, upload: str, number: int, piece: Piece, sent: Sent) -> str:
        """Send a part, numbered from 1, and return what the storage calls it; see `put`."""
        query = {"partNumber": str(number), "uploadId": upload}
        answer = self._ask("PUT", path, query, body=piece, sent=sent)
        if answer.status_code != 200:
            raise self._refused(answer, path)
        return answer.headers.get("ETag", "")

    def complete(self, path: str, upload: str, parts: Mapping[int, str]) -> None:
        """Let the parts of an upload appear as one file; see `begin`."""
        inner = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>" for number, tag in sorted(parts.items())
        )
        text = f"<CompleteMultipartUpload>{inner}</CompleteMultipartUpload>"
        headers = {"content-type": "application/xml"}
        answer = self._ask("POST", path, {"uploadId": upload}, headers, text.encode())
        # It may say first that all is well, and tell of a failure in the body.
        if answer.status_code != 200 or _name(self._document(answer, path)) == "Error":
            raise self._refused(answer, path)

    def abort(self, path: str, upload: str) -> bool:
        """Let the parts of an upload vanish; also when it was asked to stop. Returns whether they have."""
        try:
            answer = self._ask("DELETE", path, {"uploadId": upload}, stoppable=False)
        except EngineError:
            return False
        return answer.status_code in (200, 204, 404)

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Piece | bytes = b"",
        sent: Sent | None = None,
        stoppable: bool = True,
    ) -> httpx2.Response:
        """Return an answer, after further attempts where these can help."""
        bucket, key = bucket_and_key(path)
        if not bucket:
            raise self._failure(f"'{path}' names no bucket.", "Write s3://BUCKET/KEY.")
        if self._credentials is None and not unsigned():
            raise no_credentials(path, self._failure)
        failed = 0
        while True:
            if stoppable and self._cancelled.is_set():
                raise Cancelled
            try:
                answer = self._send(method, bucket, key, query or {}, headers or {}, body, sent, stoppable)
            except httpx2.TransportError as error:
                failed += 1
                connecting = isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout))
                hopeless = isinstance(error, (httpx2.ProxyError, httpx2.UnsupportedProtocol)) or any(
                    isinstance(cause, ssl.SSLError) for cause in causes(error)
                )
                if hopeless or failed >= (ATTEMPTS_TO_CONNECT if connecting else ATTEMPTS) or not stoppable:
                    raise unreachable(error, self.endpoint, self._failure) from None
                self._wait(failed, None)
                continue
            region = answer.headers.get("x-amz-bucket-region", "")
            # Once a bucket: a server that sends to and fro would never answer.
            moved = region and region != self._region(bucket) and bucket not in self._regions
            if answer.status_code in (301, 307, 400) and moved:
                self._regions[bucket] = region
                continue
            if answer.status_code in PASSING_STATUS and stoppable:
                failed += 1
                if failed < ATTEMPTS:
                    self._wait(failed, answer.headers.get("Retry-After"))
                    continue
            return answer

    def _send(
        self,
        method: str,
        bucket: str,
        key: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: Piece | bytes,
        sent: Sent | None,
        stoppable: bool,
    ) -> httpx2.Response:
        host, path = self._place(bucket, key)
        if isinstance(body, Piece):
            digest = hashlib.sha256()
            for chunk in body.chunks():
                digest.update(chunk)
            payload, size = digest.hexdigest(), body.size
        else:
            payload, size = hashlib.sha256(body).hexdigest() if body else EMPTY, len(body)
        every = {**headers, "host": host}
        if self._credentials is not None:
            now = datetime.now(timezone.utc)
            region = self._region(bucket)
            every = signed_headers(method, host, path, query, headers, payload, region, self._credentials, now)
        if method in ("PUT", "POST"):
            every["content-length"] = str(size)
        address = f"{'https' if self.endpoint.secure else 'http'}://{host}{path}"
        if query:
            address += f"?{query_string(query)}"
        gone = [0]
        content: Any = body if isinstance(body, bytes) else self._told(body, sent, gone, stoppable)
        try:
            answer = self._client.request(method, address, headers=every, content=content or None)
        except BaseException:
            if sent is not None:
                sent(-gone[0])
            raise
        if answer.status_code >= 300 and sent is not None:
            sent(-gone[0])
        return answer

    def _told(self, body: Piece, sent: Sent | None, gone: list[int], stoppable: bool) -> Iterator[bytes]:
        for chunk in body.chunks():
            if stoppable and self._cancelled.is_set():
                raise Cancelled
            yield chunk
            gone[0] += len(chunk)
            if sent is not None:
                sent(len(chunk))

    def _place(self, bucket: str, key: str) -> tuple[str, str]:
        return replace(self.endpoint, region=self._region(bucket)).place(bucket, key)

    def _region(self, bucket: str) -> str:
        return self._regions.get(bucket, self.endpoint.region)

    def _wait(self, failed: int, asked: str | None) -> None:
        # Spread, so that a server that was down is not met by all at once; nothing secret hangs on it.
        pause = min(self._pause * 2 ** (failed - 1), _LONGEST_PAUSE) * random.uniform(1, 1.25)  # nosec B311
        if asked and asked.strip().isdigit():
            pause = min(float(asked), 60.0)
        if self._cancelled.wait(pause):
            raise Cancelled

    def _refused(self, answer: httpx2.Response, path: str) -> EngineError:
        return refused(answer, path, self.endpoint, self._failure)

    def _document(self, answer: httpx2.Response, path: str) -> ElementTree.Element:
        try:
            return ElementTree.fromstring(answer.content)  # of a chosen server  # nosec B314
        except ElementTree.ParseError as error:
            raise self._failure(
                f"{self.endpoint.host} does not answer as S3-compatible storage does.", "Check AWS_ENDPOINT_URL."
            ) from error


def _name(item: ElementTree.Element) -> str:
    return item.tag.rpartition("}")[2]

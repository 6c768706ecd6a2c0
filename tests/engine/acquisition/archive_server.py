"""A server of files for tests: parts of files, versions, and everything that goes wrong on the way."""

from __future__ import annotations

import random
import re
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class ArchiveServer:
    """Serves the files of a folder on a port of its own; a context manager.

    Attributes:
        folder: Where the files lie.
        url: Address of the folder, with a slash at its end.
        ranges: Whether parts can be had.
        if_range: Whether it understands the question whether a version is still the same.
        etags: Whether versions have names.
        versions: Names of versions by file, in place of the one made of size and time.
        rate: Bytes a second and connection; 0 for as fast as possible.
        drop_every: Mean number of bytes after which a connection is dropped; 0 for never.
        answers: Answers given once each, before any other: (status, headers).
        refused: Status by file name, always.
        moved: Other addresses by file name.
        damaged: Bytes by (file name, position) that are sent in place of the true ones, and how often.
        cut: Bytes after which a file ends, by name, though more were promised.
        sent: Bytes of files that were given to connections, by file name.
        requests: (file name, Range header) of each request.
    """

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self.folder = Path(folder)
        self.ranges = True
        self.if_range = True
        self.etags = True
        self.versions: dict[str, str] = {}
        self.rate = 0
        self.drop_every = 0
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.refused: dict[str, int] = {}
        self.moved: dict[str, str] = {}
        self.damaged: dict[tuple[str, int], list] = {}
        self.cut: dict[str, int] = {}
        self.sent: dict[str, int] = {}
        self.requests: list[tuple[str, str]] = []
        self.drops = 0
        self.mutex = threading.Lock()
        self._random = random.Random(seed)
        outer = self

        class Handler(_Handler):
            server_of_files = outer

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, request, client_address):
                """Clients that hang up are what the tests are about."""

        self._http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/"

    def __enter__(self) -> ArchiveServer:
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    @property
    def total(self) -> int:
        """Bytes of files that were given to connections."""
        return sum(self.sent.values())

    def forget(self) -> None:
        """Count from 0 again."""
        with self.mutex:
            self.sent.clear()
            self.requests.clear()

    def lifetime(self) -> int:
        """Bytes that a new connection lives for."""
        if not self.drop_every:
            return 1 << 62
        with self.mutex:
            return max(1, int(self._random.expovariate(1 / self.drop_every)))


class _Handler(BaseHTTPRequestHandler):
    server_of_files: ArchiveServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        server = self.server_of_files
        name = self.path.lstrip("/").split("?")[0]
        with server.mutex:
            server.requests.append((name, self.headers.get("Range", "")))
            answer = server.answers.pop(0) if server.answers else None
        if answer is not None:
            return self._refuse(*answer)
        if name in server.moved:
            return self._refuse(302, {"Location": server.moved[name]})
        if name in server.refused:
            return self._refuse(server.refused[name], {})
        path = server.folder / name
        if not path.is_file():
            return self._refuse(404, {})
        return self._send(name, path)

    def _refuse(self, status, headers):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, name, path):
        server = self.server_of_files
        found = path.stat()
        size = found.st_size
        version = server.versions.get(name, f'"{size:x}-{found.st_mtime_ns:x}"')
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        wanted = self.headers.get("If-Range")
        start, end = 0, size
        if asked and server.ranges and (wanted is None or (server.if_range and wanted == version)):
            start = int(asked[1])
            end = min(size, int(asked[2]) + 1) if asked[2] else size
            if start >= size:
                return self._refuse(416, {"Content-Range": f"bytes */{size}"})
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        else:
            self.send_response(200)
        if server.etags:
            self.send_header("ETag", version)
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        # What lies in the system's buffers when a client is killed has been sent for nothing: keep it small.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
        return self._body(name, path, start, end)

    def _body(self, name, path, start, end):
        server = self.server_of_files
        alive = server.lifetime()
        stops = server.cut.get(name, 1 << 62)
        at = start
        with path.open("rb") as stream:
            stream.seek(start)
            while at < end:
                count = min(16 * 1024, end - at, alive, max(stops - at, 0))
                if count <= 0:
                    with server.mutex:
                        server.drops += 1
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                chunk = bytearray(stream.read(count))
                self._damage(name, at, chunk)
                self.wfile.write(chunk)
                with server.mutex:
                    server.sent[name] = server.sent.get(name, 0) + count
                at += count
                alive -= count
                if server.rate:
                    time.sleep(count / server.rate)

    def _damage(self, name, at, chunk):
        for (other, place), entry in self.server_of_files.damaged.items():
            if other == name and at <= place < at + len(chunk) and entry[1] > 0:
                entry[1] -= 1
                chunk[place - at] = entry[0]

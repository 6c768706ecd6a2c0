"""A model hub on this machine, as the hub's own client talks to it, with everything that goes wrong on a real line.

    GET        /api/models/OWNER/NAME/revision/REVISION   JSON: commit, tags, files with size and SHA-256
    HEAD, GET  /OWNER/NAME/resolve/COMMIT/FILE            a redirect to the content network, with X-Repo-Commit,
                                                          X-Linked-ETag and X-Linked-Size
    GET        /content/SHA256?signature=...              the bytes, whole or from a position on (Range)

The content network is this server under its other name, `localhost`: to a client that is another host.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

CHUNK = 16 * 1024
TOKEN = "hf_a-token-that-nobody-may-see"


@dataclass
class Repository:
    files: dict[str, bytes]
    licence: str = "etalab-2.0"
    gated: bool = False
    private: bool = False
    revisions: dict[str, str] = field(default_factory=dict)

    @property
    def commit(self) -> str:
        return self.revisions["main"]


@dataclass
class Asked:
    """A request that came in, and what was sent back."""

    method: str
    path: str
    range: str
    authorization: str
    agent: str
    sent: int = 0


class HubServer:
    """Use as a context manager; change the attributes to make things go wrong."""

    def __init__(self):
        self.repositories: dict[str, Repository] = {}
        self.asked: list[Asked] = []
        self.redirect = 302
        # Bytes after which the content network drops the next connections, one entry a connection.
        self.drops: list[int] = []
        # Answers (status, headers) given instead of the right ones, one entry a request, by kind of request.
        self.answers: dict[str, list[tuple[int, dict[str, str]]]] = {"api": [], "resolve": [], "content": []}
        self.ignore_range = False
        self.damaged = 0
        self.bytes_per_second = 0
        # Bytes after which the next connections fall silent without an end.
        self.stalls: list[int] = []
        self.stalled = threading.Event()

    def __enter__(self):
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def do_GET(self):
                server.answer(self)

            def do_HEAD(self):
                server.answer(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.address = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error):
        self.stalled.set()
        self._server.shutdown()
        self._server.server_close()

    def add(self, repository, **files):
        """Add files, by names in which `__` stands for a dot, under a new commit of a repository."""
        named = {name.replace("__", "."): content for name, content in files.items()}
        kept = self.repositories.setdefault(repository, Repository({}))
        kept.files.update(named)
        digest = hashlib.sha1(repr(sorted(kept.files)).encode() + b"".join(kept.files.values()), usedforsecurity=False)
        kept.revisions["main"] = digest.hexdigest()
        kept.revisions[kept.commit] = kept.commit
        return kept

    def sent(self, kind="content"):
        """Bytes sent in answers of a kind."""
        return sum(item.sent for item in self.asked if item.path.startswith(f"/{kind}/"))

    def count(self, kind):
        return sum(1 for item in self.asked if f"/{kind}/" in item.path)

    def answer(self, handler):
        path = unquote(urlsplit(handler.path).path)
        get = handler.headers.get
        asked = Asked(handler.command, path, get("Range", ""), get("Authorization", ""), get("User-Agent", ""))
        self.asked.append(asked)
        try:
            if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/(.+)", path):
                self._api(handler, asked, *match.groups())
            elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
                self._resolve(handler, asked, *match.groups())
            elif match := re.fullmatch(r"/content/([0-9a-f]{64})", path):
                self._content(handler, asked, match.group(1))
            else:
                self._send(handler, 404, {})
        except (BrokenPipeError, ConnectionResetError):
            handler.close_connection = True

    def _send(self, handler, status, headers, body=b""):
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body)

    def _other_answer(self, handler, kind):
        if not self.answers[kind]:
            return False
        status, headers = self.answers[kind].pop(0)
        self._send(handler, status, headers)
        return True

    def _refused(self, handler, asked, name, revision):
        repository = self.repositories.get(name)
        if repository is None or (repository.private and asked.authorization != f"Bearer {TOKEN}"):
            self._send(handler, 404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        elif revision not in repository.revisions:
            self._send(handler, 404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"})
        else:
            return False
        return True

    def _api(self, handler, asked, name, revision):
        if self._other_answer(handler, "api") or self._refused(handler, asked, name, revision):
            return
        repository = self.repositories[name]
        files = [
            {
                "rfilename": file,
                "size": len(content),
                "blobId": hashlib.sha1(content, usedforsecurity=False).hexdigest(),
                "lfs": {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134},
            }
            for file, content in repository.files.items()
        ]
        body = {
            "id": name,
            "modelId": name,
            "sha": repository.revisions[revision],
            "private": repository.private,
            "gated": "auto" if repository.gated else False,
            "tags": ["pytorch", f"license:{repository.licence}"],
            "siblings": files,
        }
        self._send(handler, 200, {"Content-Type": "application/json"}, json.dumps(body).encode())

    def _resolve(self, handler, asked, name, revision, file):
        if self._other_answer(handler, "resolve") or self._refused(handler, asked, name, revision):
            return
        repository = self.repositories[name]
        commit = {"X-Repo-Commit": repository.revisions[revision]}
        if repository.gated and asked.authorization != f"Bearer {TOKEN}":
            self._send(handler, 401, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted"})
        elif file not in repository.files:
            self._send(handler, 404, {**commit, "X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"})
        else:
            content = repository.files[file]
            digest = hashlib.sha256(content).hexdigest()
            headers = {
                **commit,
                "ETag": f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"',
                "X-Linked-ETag": f'"{digest}"',
                "X-Linked-Size": str(len(content)),
                "Location": f"http://localhost:{self.port}/content/{digest}?signature=secret",
            }
            self._send(handler, self.redirect, headers)

    def _content(self, handler, asked, digest):
        if self._other_answer(handler, "content"):
            return
        content = next(
            content
            for repository in self.repositories.values()
            for content in repository.files.values()
            if hashlib.sha256(content).hexdigest() == digest
        )
        if self.damaged:
            self.damaged -= 1
            content = content[:-1] + bytes([content[-1] ^ 1])
        first = 0
        if (match := re.fullmatch(r"bytes=(\d+)-", asked.range)) and not self.ignore_range:
            first = int(match.group(1))
        if first >= len(content):
            self._send(handler, 416, {"Content-Range": f"bytes */{len(content)}"})
            return
        handler.send_response(206 if asked.range and not self.ignore_range else 200)
        handler.send_header("Content-Length", str(len(content) - first))
        if asked.range and not self.ignore_range:
            handler.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        handler.end_headers()
        silent = bool(self.stalls)
        breaks = self.stalls or self.drops
        last = min(len(content), first + breaks.pop(0)) if breaks else len(content)
        for position in range(first, last, CHUNK):
            piece = content[position : min(position + CHUNK, last)]
            handler.wfile.write(piece)
            asked.sent += len(piece)
            if self.bytes_per_second:
                time.sleep(len(piece) / self.bytes_per_second)
        if last < len(content):
            if silent:
                self.stalled.wait(30)
            handler.close_connection = True

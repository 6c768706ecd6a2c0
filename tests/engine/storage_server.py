"""Storage on loopback that speaks the protocol of S3, behind a line that counts, breaks and refuses.

Both run in a process of their own: a library that opens a file lets no other thread of its process answer.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3

ACCESS, SECRET, TOKEN = "AKIAXXTESTONLYACCESS", "secretXXtestonlyXXnever/shown+anywhere", "tokenXXtestonlyXX"
VARIABLES = (
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3", "AWS_S3_ENDPOINT", "AWS_HTTPS", "AWS_VIRTUAL_HOSTING", "AWS_REGION", "AWS_DEFAULT_REGION",
    "AWS_NO_SIGN_REQUEST", "AWS_CA_BUNDLE", "CPL_AWS_CREDENTIALS_FILE",
)  # fmt: skip
_CONTROL = "/_line"
_ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Request:
    """One request as it passed the line."""

    method: str
    path: str
    range: str
    status: int
    received: int
    sent: int


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _pass(self):
        state = self.server.state
        size = int(self.headers.get("Content-Length") or 0)
        if self.path == _CONTROL:
            if self.command == "POST":
                state["rule"], state["requests"], state["count"] = json.loads(self.rfile.read(size)), [], 0
            self._answer(200, {}, json.dumps(state["requests"]).encode())
            return
        rule = state["rule"] or {}
        spoiled = False
        if rule and rule.get("method", self.command) == self.command:
            with state["lock"]:
                state["count"] += 1
                number = state["count"]
            spoiled = number > rule.get("after", 0) and number % rule.get("every", 1) == 0
        if spoiled and "wait" in rule:
            time.sleep(rule["wait"])
        if spoiled and rule.get("cut"):
            self.rfile.read(min(size, 100_000))
            state["requests"].append([self.command, self.path, self.headers.get("Range", ""), 0, 0, 0])
            self.close_connection = True
            self.connection.close()
            return
        body = self.rfile.read(size)
        if spoiled and "status" in rule:
            status, headers, content = rule["status"], {}, rule.get("body", "").encode()
        else:
            onward = http.client.HTTPConnection("127.0.0.1", self.server.onward, timeout=30)
            onward.request(self.command, self.path, body, dict(self.headers))
            answer = onward.getresponse()
            status, headers, content = answer.status, dict(answer.getheaders()), answer.read()
            onward.close()
        state["requests"].append([self.command, self.path, self.headers.get("Range", ""), status, size, len(content)])
        self._answer(status, headers, content)

    def _answer(self, status, headers, content):
        self.send_response(status)
        for key, value in headers.items():
            if key.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                self.send_header(key, value)
        self.send_header(
            "Content-Length", headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(content))
        )
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass  # noqa: N815 - the names that the library looks for

    def log_message(self, *arguments):
        pass


def _serve():
    from moto.server import ThreadedMotoServer

    storage = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    storage.start()
    line = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    line.daemon_threads = True
    line.onward = storage.get_host_and_port()[1]
    line.state = {"rule": None, "requests": [], "count": 0, "lock": threading.Lock()}
    threading.Thread(target=line.serve_forever, daemon=True).start()
    print(line.server_address[1], line.onward, flush=True)
    # The end of stdin is that of whoever started this.
    sys.stdin.read()


@dataclass(frozen=True)
class Line:
    """The line to the storage.

    Args:
        port: Where it begins.
        onward: Port of the storage itself.
    """

    port: int
    onward: int

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def rule(self, **rule):
        """Say what is spoiled from now on, and forget what has passed.

        `method`: of these requests; `every`: of these each nth; `after`: that number of them; with `status` and `body`
        for an answer, `cut` for none, `wait` for seconds before it. Nothing for nothing.
        """
        self._control("POST", json.dumps(rule or None).encode())

    @property
    def requests(self):
        """What has passed since the last rule."""
        return [Request(*item) for item in json.loads(self._control("GET", None))]

    def _control(self, method, body):
        with urllib.request.urlopen(urllib.request.Request(self.url + _CONTROL, body, method=method)) as answer:
            return answer.read()


@contextmanager
def storage_server():
    """Serve storage in a process of its own; yields the line to it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.engine.storage_server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, cwd=_ROOT, text=True,
    )  # fmt: skip
    try:
        yield Line(*map(int, process.stdout.readline().split()))
    finally:
        process.stdin.close()
        process.wait(10)


def environment(url):
    """Variables with which a command finds the storage."""
    return {
        "AWS_ACCESS_KEY_ID": ACCESS,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": TOKEN,
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": "us-east-1",
    }


class Bucket:
    """A bucket of its own for one test.

    Args:
        line: The line to the storage.
    """

    def __init__(self, line):
        self.line = line
        self.name = f"test-{uuid.uuid4().hex[:12]}"
        # AWS's own client, to look at what lies in the storage, beside the line.
        self.client = boto3.client(
            "s3", endpoint_url=f"http://127.0.0.1:{line.onward}", region_name="us-east-1", aws_access_key_id=ACCESS,
            aws_secret_access_key=SECRET,
        )  # fmt: skip
        self.client.create_bucket(Bucket=self.name)

    def put(self, key, file):
        """Store a file and return its address."""
        return self.put_text(key, Path(file).read_bytes())

    def put_text(self, key, content):
        """Store text, or bytes, and return its address."""
        self.client.put_object(Bucket=self.name, Key=key, Body=content)
        return self.address(key)

    def address(self, key):
        return f"s3://{self.name}/{key}"

    def stored(self):
        found = self.client.list_objects_v2(Bucket=self.name).get("Contents", [])
        return sorted(item["Key"] for item in found)

    def get(self, key):
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def uploads(self):
        """Uploads in parts that were begun and neither completed nor aborted."""
        return self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])


if __name__ == "__main__":
    _serve()

"""The real command, killed again and again at any moment: the result is whole, and hardly a byte came twice."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from engine.acquisition.directory import TAIL
from tests.engine import tiny
from tests.engine.acquisition.flair_archives import files, one_archive

KILLS = 10
CONNECTIONS = 4
# What may lie in the buffers of a connection when its process is killed: one read, and what the system holds.
IN_FLIGHT = 160 * 1024
ARGUMENTS = [sys.executable, "-m", "engine", "dataset", "download", "flair-1"]


def start(tmp_path, sources, *options, **changes):
    command = [*ARGUMENTS, "--output", str(tmp_path / "out"), "--sources", sources, *options]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=tiny.engine_environment(**changes)
    )


@pytest.mark.parametrize("options", [(), ("--keep-archives",)])
def test_killed_ten_times_while_the_line_breaks_too(server, archive, tmp_path, record_property, options):
    # Three pieces' worth, of files of all sizes, one larger than a piece.
    content = archive(sizes=(300_000,) * 40 + (18_000_000, 0, 5) + (300_000,) * 40)
    size = (server.folder / "a.zip").stat().st_size
    sources = one_archive(tmp_path / "s.yaml", server.url, "a.zip")
    server.rate = 1_500_000
    server.drop_every = 3_000_000
    generator = random.Random(1)
    for _ in range(KILLS):
        process = start(tmp_path, sources, *options)
        # At a byte rather than at a moment: how long a start takes depends on what else the computer does.
        killed_at = server.total + generator.randrange(1, size // (KILLS + 2))
        while server.total < killed_at:
            assert process.poll() is None, process.communicate()
            time.sleep(0.002)
        process.kill()
        process.communicate()
    server.rate = 0
    process = start(tmp_path, sources, *options)
    process.communicate(timeout=60)
    assert process.returncode == 0
    got = files(tmp_path / "out")
    if options:
        assert got.pop("a.zip") == (server.folder / "a.zip").read_bytes()
    assert got == content
    twice = server.total - size
    print(f"killed {KILLS} times, dropped {server.drops} times, {size} bytes, {twice} twice")
    record_property("twice", twice)
    # The list of members at the archive's end counts as such only where the archive is fetched whole.
    assert twice <= TAIL + (KILLS * CONNECTIONS) * IN_FLIGHT
    again = start(tmp_path, sources, *options)
    before = server.total
    assert again.communicate(timeout=60)[1]
    assert again.returncode == 0
    assert server.total - before <= 2


def test_interrupted_from_the_keyboard(server, archive, tmp_path):
    content = archive(sizes=(100_000,) * 60)
    sources = one_archive(tmp_path / "s.yaml", server.url, "a.zip")
    server.rate = 500_000
    process = start(tmp_path, sources)
    while server.total < 1_000_000:
        time.sleep(0.01)
    process.send_signal(2)
    began = time.monotonic()
    _, errors = process.communicate(timeout=10)
    assert time.monotonic() - began < 2
    assert process.returncode == 130
    assert "the same command goes on from there" in errors
    server.rate = 0
    done = start(tmp_path, sources)
    assert "are there already" in done.communicate(timeout=30)[1]
    assert done.returncode == 0
    assert files(tmp_path / "out") == content


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_limit_of_file_sizes_is_a_full_disk(server, archive, tmp_path):
    import resource

    content = archive(sizes=(100_000,) * 20)
    sources = one_archive(tmp_path / "s.yaml", server.url, "a.zip")
    process = subprocess.run(
        [*ARGUMENTS, "--output", str(tmp_path / "out"), "--sources", sources],
        capture_output=True,
        text=True,
        timeout=60,
        env=tiny.engine_environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000)),
        check=False,
    )
    assert process.returncode == 5
    assert "The disk is full, or a size limit is reached" in process.stderr
    done = start(tmp_path, sources)
    done.communicate(timeout=30)
    assert files(tmp_path / "out") == content


class _Proxy(BaseHTTPRequestHandler):
    def refuse(self):
        self.send_response(407)
        self.send_header("Proxy-Authenticate", 'Basic realm="company"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self):
        self.refuse()

    def do_CONNECT(self):
        self.refuse()

    def log_message(self, *arguments):
        pass


@pytest.mark.parametrize("address", ["http://example.invalid/a.zip", "https://example.invalid/a.zip"])
def test_a_proxy_that_wants_a_password(tmp_path, address):
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), _Proxy)
    threading.Thread(target=proxy.serve_forever, args=(0.02,), daemon=True).start()
    place = f"http://127.0.0.1:{proxy.server_address[1]}"
    try:
        sources = one_archive(tmp_path / "s.yaml", "http://unused.invalid/", address)
        process = start(tmp_path, sources, HTTP_PROXY=place, HTTPS_PROXY=place, http_proxy=place, https_proxy=place)
        _, errors = process.communicate(timeout=30)
    finally:
        proxy.shutdown()
        proxy.server_close()
    assert process.returncode == 3
    assert "The proxy wants a name and a password." in errors
    assert "NAME:PASSWORD@HOST:PORT" in errors


def test_a_proxy_that_is_nonsense(tmp_path):
    sources = one_archive(tmp_path / "s.yaml", "http://unused.invalid/", "a.zip")
    process = start(tmp_path, sources, HTTP_PROXY="nonsense://x", HTTPS_PROXY="nonsense://x", ALL_PROXY="nonsense://x")
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 3
    assert "proxy" in errors

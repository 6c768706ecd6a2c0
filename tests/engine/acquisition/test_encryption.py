"""Encrypted connections: a certificate that nobody vouches for is refused, one that somebody does is taken."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import sys

import pytest

from tests.engine import tiny
from tests.engine.acquisition.archive_server import ArchiveServer
from tests.engine.acquisition.flair_archives import files, one_archive


@pytest.fixture
def certificate(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not there")
    paths = tmp_path / "c.pem", tmp_path / "k.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-out", str(paths[0]), "-keyout", str(paths[1])]
    subprocess.run(command, check=True, capture_output=True)
    return paths


@pytest.fixture
def encrypted(served, certificate):
    with ArchiveServer(served) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server._http.socket = context.wrap_socket(server._http.socket, server_side=True)
        server.url = server.url.replace("http://127.0.0.1", "https://localhost")
        yield server


def run(tmp_path, url, **environment):
    sources = one_archive(tmp_path / "s.yaml", url, "a.zip")
    command = [sys.executable, "-m", "engine", "dataset", "download", "flair-1", "--output", str(tmp_path / "out")]
    return subprocess.run(
        [*command, "--sources", sources],
        capture_output=True,
        text=True,
        timeout=60,
        env=tiny.engine_environment(**environment),
        check=False,
    )


def test_certificates_are_verified(encrypted, archive, certificate, tmp_path):
    content = archive()
    refused = run(tmp_path, encrypted.url)
    assert refused.returncode == 3
    assert "The certificate of localhost cannot be verified" in refused.stderr
    assert encrypted.requests == []
    trusting = run(tmp_path, encrypted.url, SSL_CERT_FILE=certificate[0])
    assert trusting.returncode == 0, trusting.stderr
    assert files(tmp_path / "out") == content


def test_what_is_encrypted_is_not_left_for_what_is_not(encrypted, server, archive, certificate, tmp_path):
    archive()
    encrypted.moved["a.zip"] = f"{server.url}a.zip"
    done = run(tmp_path, encrypted.url, SSL_CERT_FILE=certificate[0])
    assert done.returncode == 3
    assert "without encryption" in done.stderr
    assert files(tmp_path / "out") == {}

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx2
import pytest
from huggingface_hub import close_session, constants

from engine.errors import ModelError
from engine.hub.repository import find_file
from tests.engine.hub.hub_server import TOKEN

REPOSITORY = "IGNF/model"
SUFFIXES = (".pth", ".safetensors")


def find(recorder, revision=None, name="weights.pth", repository=REPOSITORY):
    return find_file(repository, revision, name, SUFFIXES, recorder, threading.Event())


def refused(recorder, **options):
    with pytest.raises(ModelError) as caught:
        find(recorder, **options)
    assert caught.value.hint
    return str(caught.value)


@pytest.fixture
def stocked(hub):
    hub.add(REPOSITORY, weights__pth=b"first")
    hub.first = hub.repositories[REPOSITORY].commit
    hub.add(REPOSITORY, weights__pth=b"second!")
    return hub


def test_the_latest_commit_is_found_and_all_that_the_hub_says_of_the_file(stocked, recorder):
    found = find(recorder)
    assert (found.commit, found.size) == (stocked.repositories[REPOSITORY].commit, 7)
    assert found.sha256 == found.etag
    assert found.licence == "etalab-2.0"


def test_a_revision_that_is_not_there_is_named(stocked, recorder):
    assert "no revision 'v9'" in refused(recorder, revision="v9")


def test_a_repository_that_is_not_there_is_named(stocked, recorder):
    assert "There is no 'IGNF/nothing' on 127.0.0.1" in refused(recorder, repository="IGNF/nothing")


def test_a_file_that_is_not_there_is_named(stocked, recorder):
    stocked.add(REPOSITORY, more__pth=b"x")
    assert "holds no file 'other.pth'" in refused(recorder, name="other.pth")


def test_the_only_checkpoint_is_taken_under_whatever_name(stocked, recorder):
    stocked.add(REPOSITORY, README__md=b"# Hello")
    assert find(recorder, name="renamed.pth").name == "weights.pth"
    assert "instead of 'renamed.pth'" in recorder.logs[0]


def test_a_gated_repository_says_what_to_do(stocked, recorder):
    stocked.repositories[REPOSITORY].gated = True
    said = refused(recorder)
    assert "granted access" in said
    assert "HF_TOKEN" in said


def test_a_private_repository_opens_with_the_token(stocked, recorder, monkeypatch):
    stocked.repositories[REPOSITORY].private = True
    assert "private" in refused(recorder)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert find(recorder).size == 7


def test_a_token_that_is_not_accepted_is_not_shown(stocked, recorder, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    message = "Invalid credentials in Authorization header"
    stocked.answers["api"] = [(401, {"X-Error-Message": message})]
    said = refused(recorder)
    assert "does not accept the token" in said
    assert TOKEN not in said


def test_offline_is_said(stocked, recorder, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    said = refused(recorder)
    assert "HF_HUB_OFFLINE" in said
    assert "--weights" in said
    assert stocked.asked == []


def test_a_refused_connection_is_said(stocked, recorder, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{unused.getsockname()[1]}")
        said = refused(recorder)
    assert "the connection is refused" in said
    assert "proxy" in said


def test_a_name_that_nobody_knows_is_said(stocked, recorder, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://hub.invalid")
    assert "its name is not known" in refused(recorder)


def test_a_server_that_is_no_hub_is_said(recorder, hub, monkeypatch):
    hub.answers["api"] = [(200, {"Content-Type": "text/html"})]
    hub.add(REPOSITORY, weights__pth=b"x")
    assert "makes no sense" in refused(recorder)


def test_a_server_that_never_answers_is_said(recorder, hub, monkeypatch):
    monkeypatch.setattr("engine.hub.repository.TIMEOUT", 0.05)
    monkeypatch.setattr("engine.hub.patience.ATTEMPTS", 2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert "does not answer" in refused(recorder)


class Proxy(BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.send_response(407)
        self.send_header("Proxy-Authenticate", "Basic")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_CONNECT(self):
        self.do_GET()


@pytest.mark.parametrize("address", ["http://hub.example", "https://hub.example"])
def test_a_proxy_that_wants_a_password_is_said(recorder, hub, monkeypatch, address):
    with HTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        proxy = f"http://me:a-password@127.0.0.1:{server.server_address[1]}"
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy)
        monkeypatch.setattr(constants, "ENDPOINT", address)
        close_session()
        said = refused(recorder)
        server.shutdown()
    assert "proxy asks for a name and a password" in said
    assert "a-password" not in said


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "gopher://127.0.0.1:1"])
def test_a_proxy_of_another_kind_is_said(recorder, hub, monkeypatch, proxy):
    monkeypatch.setenv("HTTP_PROXY", proxy)
    close_session()
    hub.add(REPOSITORY, weights__pth=b"x")
    assert "of a kind that cannot be used" in refused(recorder)


@pytest.mark.parametrize("address", ["nowhere", "ftp://hub.example", "http://[", "http://hub.example:port"])
def test_an_address_that_is_none_is_said(recorder, hub, monkeypatch, address):
    monkeypatch.setattr(constants, "ENDPOINT", address)
    assert "HF_ENDPOINT" in refused(recorder)


def test_a_certificate_that_is_not_trusted_is_said():
    from engine.hub.failures import explained, passes

    error = httpx2.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    assert not passes(error)
    assert "SSL_CERT_FILE" in str(explained(error, REPOSITORY, None, None))

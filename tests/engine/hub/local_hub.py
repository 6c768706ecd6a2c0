"""The hub's client in this process, pointed at a hub on this machine."""

from __future__ import annotations

from contextlib import contextmanager

from huggingface_hub import close_session, constants

from engine.hub import patience
from tests.engine.hub.hub_server import HubServer


@contextmanager
def local_hub(monkeypatch, tmp_path):
    """Yield a hub that the client talks to, with an empty cache in `tmp_path / "hub"` and no waits between attempts."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
    monkeypatch.setattr(patience, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(patience, "LONGEST_WAIT", 0.02)
    close_session()
    with HubServer() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        template = server.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield server
    close_session()

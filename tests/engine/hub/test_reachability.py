from __future__ import annotations

import time

from huggingface_hub import close_session, constants

from engine.hub import reachability
from engine.hub.reachability import cache_only, why_unreachable


def test_a_hub_that_refuses_is_reached_all_the_same(hub):
    assert why_unreachable("any/thing") is None
    assert [item.method for item in hub.asked] == ["HEAD"]


def test_a_hub_that_is_not_there_is_told_within_seconds(hub, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    began = time.monotonic()
    reason = why_unreachable("any/thing")
    assert time.monotonic() - began < 5
    assert reason.message == "127.0.0.1:9 cannot be reached (the connection is refused)."


def test_a_proxy_that_is_not_there_is_told(hub, monkeypatch):
    monkeypatch.setattr(reachability, "WAITS", ())
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setattr(constants, "ENDPOINT", "http://hub.invalid")
    close_session()
    assert "cannot be reached" in why_unreachable("any/thing").message


def test_a_slow_answer_is_left_to_the_client(hub, monkeypatch):
    monkeypatch.setattr(reachability, "TIMEOUT", 0.2)
    monkeypatch.setattr(type(hub), "_send", lambda self, handler, status, headers, body=b"": self.stalled.wait(2))
    assert why_unreachable("any/thing") is None


def test_nothing_is_asked_when_that_is_forbidden(hub):
    with cache_only():
        assert why_unreachable("any/thing") is None
    assert hub.asked == []


def test_the_cache_alone_is_for_a_while():
    before = constants.HF_HUB_OFFLINE
    with cache_only():
        assert constants.is_offline_mode()
    assert before == constants.HF_HUB_OFFLINE

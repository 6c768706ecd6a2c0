"""A connection that breaks again while it is being made again."""

from __future__ import annotations

import threading

import pytest

from engine.cluster import link as links
from engine.cluster.link import Link
from engine.cluster.waves import LostClusterError
from engine.errors import DeviceError
from engine.events import SilentReporter


class FakeClient:
    """Is lost when its workers are counted, or has one with two threads."""

    made = 0
    lost = 0
    open = 0

    def __init__(self, *_, **__):
        type(self).made += 1
        type(self).open += 1
        self.status = "running"
        self.scheduler = self
        self._lost = self.made <= self.lost

    def ncores(self):
        return {"tcp://worker": 2}

    def sync(self, function, callback_timeout):
        if self._lost:
            self.status = "closed"
            raise TimeoutError
        return function()

    def close(self, timeout):
        type(self).open -= 1
        self.status = "closed"


@pytest.fixture
def clients(monkeypatch):
    class Clients(FakeClient):
        pass

    monkeypatch.setattr(links, "Client", Clients)
    return Clients


def opened(patience):
    link = Link("tcp://scheduler", patience, SilentReporter(), threading.Event())
    link.connect()
    link._pause = lambda seconds: None
    return link


def test_a_scheduler_that_goes_again_at_once_is_waited_for_again(clients):
    clients.lost = 4
    link = opened(60.0)
    link.reconnect()
    assert link.threads() == {"tcp://worker": 2}
    assert (clients.made, clients.open) == (5, 1)


def test_patience_ends_with_a_scheduler_that_never_stays(clients):
    clients.lost = 1_000_000
    with pytest.raises(DeviceError):
        opened(0.05).reconnect()


def test_threads_are_those_last_known_while_the_connection_is_broken(clients, monkeypatch):
    monkeypatch.setattr(links, "COUNT_SECONDS", -1.0)
    link = opened(60.0)
    assert link.threads() == {"tcp://worker": 2}
    link.client.status = "closed"
    assert link.threads() == {"tcp://worker": 2}
    with pytest.raises(LostClusterError):
        link.wait_for_workers()

"""Trying again: how often, after how long, and when to give up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import httpx2
from huggingface_hub.errors import HfHubHTTPError

from engine.errors import Cancelled
from engine.events import Reporter, format_duration
from engine.hub.failures import passes, retry_after

ATTEMPTS = 8
# A host that cannot be reached at all rarely appears within a minute.
ATTEMPTS_TO_CONNECT = 3
FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0
# Whoever is asked to wait longer wants to know.
LONGEST_ASKED_FOR = 300.0
NOTABLE_WAIT = 5.0

Answer = TypeVar("Answer")


class Patience:
    """Counts failures in a row and waits between them.

    Args:
        reporter: Told of long waits.
        cancelled: Set to stop; ends a wait at once.
    """

    def __init__(self, reporter: Reporter, cancelled: threading.Event) -> None:
        self._reporter = reporter
        self._cancelled = cancelled
        self._failures = 0
        self._reached = False

    def progressed(self) -> None:
        """Note that something arrived: failures are counted anew."""
        self._failures = 0
        self._reached = True

    def wait(self, error: Exception) -> None:
        """Wait before the next attempt.

        Raises:
            Exception: The given one, when trying again is of no use.
            Cancelled: The wait was ended.
        """
        self._failures += 1
        connecting = isinstance(error, httpx2.ConnectError) and not self._reached
        asked = retry_after(error)
        if (
            not passes(error)
            or self._failures >= (ATTEMPTS_TO_CONNECT if connecting else ATTEMPTS)
            or (asked or 0.0) > LONGEST_ASKED_FOR
        ):
            raise error
        seconds = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (self._failures - 1)) if asked is None else asked
        if seconds >= NOTABLE_WAIT:
            self._reporter.log(f"The server is busy or the line is broken: next attempt in {format_duration(seconds)}.")
        if self._cancelled.wait(seconds):
            raise Cancelled()


def patiently(call: Callable[[], Answer], reporter: Reporter, cancelled: threading.Event) -> Answer:
    """Return what a request answers, trying again where that can help.

    Raises:
        Exception: Whatever the last attempt raised.
        Cancelled: It was asked to stop.
    """
    patience = Patience(reporter, cancelled)
    while True:
        if cancelled.is_set():
            raise Cancelled()
        try:
            return call()
        except (httpx2.TransportError, HfHubHTTPError) as error:
            patience.wait(error)

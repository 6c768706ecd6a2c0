"""What tells failures of the network apart, whichever server was asked."""

from __future__ import annotations

from collections.abc import Iterator

PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that may be others a moment later: too many requests, and a server that is ill."""
# What systems say of a name that they cannot look up.
_UNKNOWN_NAME = ("name or service", "getaddrinfo", "name resolution", "nodename", "no address")


def is_unknown_name(error: Exception) -> bool:
    """Return whether a connection failed because nobody knows the server's name."""
    text = str(error).lower()
    return any(part in text for part in _UNKNOWN_NAME)


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, what it came from, and so on: libraries wrap what they are told."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__

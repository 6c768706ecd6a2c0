"""Dask's own messages: what matters of them is said in our sentences."""

from __future__ import annotations

import logging

QUIET = logging.CRITICAL + 1


def quieten() -> None:
    """Keep Dask's log off the terminal; its loggers have levels of their own."""
    import distributed  # noqa: F401 - it sets the levels

    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(QUIET)

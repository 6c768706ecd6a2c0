"""The wish to stop, and what to say when it is followed."""

from __future__ import annotations

import threading


class Cancellation(threading.Event):
    """Set to stop a command.

    Attributes:
        note: What the command leaves behind when it is ended before it can say so itself; empty for nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.note = ""

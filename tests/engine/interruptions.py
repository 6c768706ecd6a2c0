"""What tests of interrupted and of failing runs share."""

from __future__ import annotations


class StopAfter:
    """A reporter that cancels when a share is done."""

    def __init__(self, recorder, cancelled, fraction):
        self._recorder, self._cancelled, self._fraction = recorder, cancelled, fraction

    def progress(self, fraction, text="", eta=None):
        if fraction >= self._fraction:
            self._cancelled.set()

    def __getattr__(self, name):
        return getattr(self._recorder, name)


def left_behind(folder):
    """Names of the hidden files and folders that runs keep their work in."""
    return sorted(item.name for item in folder.iterdir() if item.name.startswith("."))


def damage(path):
    """Overwrite some blocks near the end of a compressed image."""
    content = bytearray(path.read_bytes())
    content[-4000:-3000] = bytes(1000)
    path.write_bytes(content)

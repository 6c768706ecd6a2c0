"""Starting programs, and waiting for what they do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
MARK = "FLAIR_TEST_RUN"
# On a machine with other work to do, everything may take so many times as long.
PATIENCE = float(os.environ.get("FLAIR_TEST_PATIENCE", "1"))
MINUTES = 240.0 * PATIENCE


def wait_for(condition, what, timeout=60.0):
    """Return the first true value of a function; fail when that takes longer than a time in seconds."""
    timeout *= PATIENCE
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"waited {timeout:g} s in vain: {what}"
        time.sleep(0.02)


def stored_tiles(output):
    """Return how many tiles of a running classification are stored."""
    journal = Path(output).with_name(f".{Path(output).name}.flair-work") / "journal.jsonl"
    try:
        return journal.read_text().count("\n")
    except OSError:
        return 0


def names_in(folder):
    return sorted(item.name for item in Path(folder).iterdir())


class Running:
    """A program whose descendants can be found even when it is gone: all inherit a mark."""

    def __init__(self, command, environment, folder, **options):
        self.mark = uuid.uuid4().hex
        self._files = [(Path(folder) / f"{self.mark}.{name}").open("w+b") for name in ("out", "err")]
        for file in self._files:
            Path(file.name).unlink()
        self.process = subprocess.Popen(
            [str(item) for item in command],
            env={**environment, MARK: self.mark},
            cwd=str(folder),
            stdin=subprocess.DEVNULL,
            stdout=self._files[0],
            stderr=self._files[1],
            start_new_session=True,
            **options,
        )

    def processes(self, text=""):
        """Return the living processes of this run whose command line holds a text."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    command = " ".join(process.cmdline())
                    if text in command:
                        found.append(process)
            except (psutil.Error, OSError):
                continue
        return found

    def engines(self):
        return self.processes("-m engine")

    def send(self, number):
        self.process.send_signal(number)
        return time.monotonic()

    def kill(self):
        """End at once, as a power cut does: the whole group."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def wait(self, timeout=MINUTES):
        """Wait for the end and return the exit code."""
        return self.process.wait(timeout)

    @property
    def stdout(self):
        return self._read(0)

    @property
    def stderr(self):
        return self._read(1)

    def _read(self, index):
        data = os.pread(self._files[index].fileno(), 1 << 24, 0)
        return data.decode("utf-8", errors="replace")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes():
            process.kill()
        self.process.wait()
        for file in self._files:
            file.close()


def engine_environment(cache, **changes):
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "FLAIR_CACHE_DIR": str(cache),
        **{key: str(value) for key, value in changes.items()},
    }


def engine_command(command, options):
    """Return the command line of `python -m engine`; a list gives several values, True a bare option."""
    line = [sys.executable, "-m", "engine", command]
    for key, value in options.items():
        line.append("--" + key.replace("_", "-"))
        if isinstance(value, (list, tuple)):
            line += map(str, value)
        elif value is not True:
            line.append(str(value))
    return line

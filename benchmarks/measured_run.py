"""Runs a program and measures its time and the memory of its whole process tree."""

from __future__ import annotations

import json
import os
import subprocess  # nosec B404
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
SAMPLING_SECONDS = 0.1


@dataclass(frozen=True)
class Measured:
    """What a run took.

    Args:
        seconds: Wall time of the whole process, imports included.
        peak_gb: Peak memory of the process tree in GB; pages shared within it count once.
        events: (seconds since start, event) of an engine run; empty for others.
        output: What it printed on stdout.
    """

    seconds: float
    peak_gb: float
    events: list[tuple[float, dict[str, Any]]]
    output: str

    @property
    def result(self) -> dict[str, Any]:
        """Values of the result event."""
        return next(event["values"] for _, event in self.events if event["event"] == "result")

    @property
    def first_tile_seconds(self) -> float:
        """Seconds from the start of the process to its first finished tile."""
        return next(at for at, event in self.events if event["event"] == "progress" and "Mpx/s" in event["text"])


def run_engine(command: str, options: dict[str, Any], cache: Path) -> Measured:
    """Run an engine command the way QGIS does."""
    request = json.dumps({"command": command, "options": options}) + "\n"
    return _run([sys.executable, "-m", "engine", "--request"], request, cache)


def run_script(name: str, arguments: Sequence[str], cache: Path) -> Measured:
    """Run a script of this folder."""
    return _run([sys.executable, str(ROOT / "benchmarks" / name), *arguments], "", cache)


def print_table(lines: Iterable[str], document: Path | None, begin: str, end: str) -> None:
    """Print lines as they come, and then put them between two marks of a document where one is named."""
    printed = []
    for line in lines:
        print(line, flush=True)
        printed.append(line)
    if document is not None:
        text = document.read_text(encoding="utf-8")
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        document.write_text(before + "\n".join([begin, "", *printed, "", end]) + after, encoding="utf-8")


def _run(command: list[str], line: str, cache: Path) -> Measured:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "FLAIR_CACHE_DIR": str(cache)}
    began = time.monotonic()
    process = subprocess.Popen(  # nosec B603 - our own programs
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    peak = _Peak(process.pid)
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("no pipes")
    process.stdin.write(line)
    process.stdin.flush()
    events, output = [], []
    for text in process.stdout:
        if text.startswith("{"):
            events.append((time.monotonic() - began, json.loads(text)))
        else:
            output.append(text)
    code = process.wait()
    seconds = time.monotonic() - began
    if code:
        raise SystemExit(f"{' '.join(command)} failed ({code}): {events[-1:]}")
    return Measured(seconds, peak.stop(), events, "".join(output))


class _Peak:
    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._peak = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        self._ended.set()
        self._thread.join()
        return self._peak / 1e9

    def _watch(self) -> None:
        while not self._ended.wait(SAMPLING_SECONDS):
            try:
                tree = [self._process, *self._process.children(recursive=True)]
                self._peak = max(self._peak, sum(map(_resident, tree)))
            except psutil.Error:
                continue


def _resident(process: psutil.Process) -> int:
    try:
        full = process.memory_full_info()
        return int(getattr(full, "pss", full.uss))
    except psutil.Error:
        return 0

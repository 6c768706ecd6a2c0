"""Runs a command so that it can be stopped at once and always ends with a result or an error."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import threading
import time
import traceback
from types import FrameType
from typing import Any

import psutil

from engine.cancellation import Cancellation
from engine.errors import FAULTS_FOUND, Cancelled, EngineError, FaultyResult
from engine.events import Reporter
from engine.requests import Request

# A window on the CPU can take longer than a person waits; finished tiles are safe on disk by then.
GRACE_SECONDS = 1.0
POLL_SECONDS = 0.1
PARENT_SECONDS = 0.5


def run(command: str, request: Request, reporter: Reporter, ended: threading.Event | None = None) -> int:
    """Run a command in a thread of its own and return the exit code.

    The main thread stays free to notice Ctrl-C, SIGTERM and the end of stdin while
    a library computes.

    Args:
        command: Name of the command.
        request: Its checked request.
        reporter: Receives all events; the last one is a result or an error.
        ended: Set when whoever started us is gone.
    """
    cancelled = Cancellation()
    _cancel_on_signals(cancelled)
    outcome: list[dict[str, Any] | BaseException] = []

    def work() -> None:
        try:
            module: Any = importlib.import_module(f"engine.commands.{command.replace('-', '_')}")
            outcome.append(module.run(request, reporter, cancelled))
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=work, name=command, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(POLL_SECONDS)
        if ended is not None and ended.is_set():
            cancelled.set()
        if cancelled.is_set():
            thread.join(GRACE_SECONDS)
            break
    result = outcome[0] if outcome else Cancelled(cancelled.note or Cancelled().message)
    if cancelled.failure is not None and not isinstance(result, dict):
        result = cancelled.failure
    if isinstance(result, dict):
        reporter.result(result)
        return FAULTS_FOUND if isinstance(result, FaultyResult) else 0
    if thread.is_alive():
        _discard_partial_outputs()
    error = _as_engine_error(result)
    reporter.error(error.kind, error.message, error.hint)
    return error.exit_code


def watch_stdin() -> threading.Event:
    """Return an event that is set when stdin ends, as it does when the process that started us dies."""
    ended = threading.Event()

    def watch() -> None:
        try:
            # Not through sys.stdin: its lock would be held, which a forked child or the interpreter's end waits for.
            while os.read(0, 4096):
                pass
        except OSError:
            pass
        ended.set()

    threading.Thread(target=watch, name="stdin", daemon=True).start()
    return ended


def watch_parent() -> threading.Event:
    """Return an event that is set when the process that started us dies; what torchrun starts would go on else."""
    ended = threading.Event()
    parent = psutil.Process().parent()

    def watch() -> None:
        with contextlib.suppress(psutil.Error):
            while parent and parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE:
                time.sleep(PARENT_SECONDS)
        ended.set()

    if parent is not None:
        threading.Thread(target=watch, name="parent", daemon=True).start()
    return ended


def _cancel_on_signals(cancelled: threading.Event) -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        if cancelled.is_set():
            _discard_partial_outputs()
            os._exit(Cancelled().exit_code)
        cancelled.set()

    # SLURM can be asked to send SIGUSR1 some time before it ends a job.
    for name in ("SIGINT", "SIGTERM", "SIGBREAK", "SIGHUP", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), stop)


def _discard_partial_outputs() -> None:
    staged = sys.modules.get("engine.rasters.staged_output")
    if staged is not None:
        staged.discard_staged_outputs()


def _as_engine_error(error: BaseException) -> EngineError:
    if isinstance(error, EngineError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Cancelled()
    if isinstance(error, MemoryError):
        return EngineError("memory", "Memory ran out.", "Close other programs, or lower --memory or --window.")
    # The log is where a traceback helps; a person reads the sentence.
    print("".join(traceback.format_exception(error)), file=sys.stderr, flush=True)
    return EngineError(
        "internal",
        f"Something unforeseen went wrong: {type(error).__name__}: {error}",
        "Please report it with the log.",
    )

"""Starts the further processes of a training on one machine, and notices when one of them fails."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from typing import Any, cast

from engine.cancellation import Cancellation
from engine.errors import EXIT_CODES, EngineError, ErrorKind
from engine.launch import Launch
from engine.requests import TrainRequest

_LOCAL = "127.0.0.1"


def start_further_processes(request: TrainRequest, cancelled: Cancellation) -> Launch:
    """Start this training once for each further device, and return this process's own place.

    Each gets the request on its stdin, which ends with this process, and with it the other does.

    Args:
        request: What to do.
        cancelled: Is set, with what went wrong, when one of them fails.
    """
    processes = request.devices
    port = _free_port()
    line = json.dumps({"command": "train", "options": request.model_dump(mode="json", exclude_unset=True)}) + "\n"
    for rank in range(1, processes):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes}
        place |= {"GROUP_RANK": 0, "MASTER_PORT": port}
        environment = {**os.environ, "MASTER_ADDR": _LOCAL, **{key: str(value) for key, value in place.items()}}
        environment.pop("TORCHELASTIC_USE_AGENT_STORE", None)
        # Our own program and an own request: no shell, nothing of another's.
        process = subprocess.Popen(  # nosec B603
            [sys.executable, "-m", "engine", "--request"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        if process.stdin is not None:
            process.stdin.write(line.encode())
            process.stdin.flush()
        threading.Thread(target=_watch, args=(process, rank, processes, cancelled), daemon=True).start()
    return Launch(
        processes=processes, local_processes=processes, address=_LOCAL, port=port, starter="The first process"
    )


def _watch(process: subprocess.Popen[bytes], rank: int, processes: int, cancelled: Cancellation) -> None:
    said: dict[str, Any] = {}
    for line in process.stdout or ():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and event.get("event") == "error":
            said = event
    code = process.wait()
    if code == 0 or cancelled.is_set():
        return
    if said.get("message") and said.get("kind") in EXIT_CODES:
        failure = EngineError(
            cast("ErrorKind", said["kind"]), f"Process {rank} of {processes}: {said['message']}", said.get("hint", "")
        )
    elif said:
        # This process says it itself.
        return
    else:
        failure = EngineError(
            "internal",
            f"Process {rank} of {processes}, which trains together with this one, ended {_how(code)}.",
            "Look at the log; where memory ran out, a smaller --batch-size or --crop helps. The same run goes on from "
            "the last whole epoch.",
        )
    if cancelled.failure is None:
        cancelled.failure = failure
    cancelled.set()


def _how(code: int) -> str:
    if code >= 0:
        return f"with exit code {code}"
    try:
        return f"by {signal.Signals(-code).name}"
    except ValueError:
        return f"by signal {-code}"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind((_LOCAL, 0))
        return int(free.getsockname()[1])

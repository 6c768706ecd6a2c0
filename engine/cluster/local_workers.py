"""A cluster of this computer's own: a scheduler in this process, and worker processes that end with it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from typing import Any

import dask
from distributed import Nanny, Scheduler, Security, SpecCluster

from engine.cluster.quiet import QUIET
from engine.errors import DeviceError
from engine.inference.device import cuda_device_count

HERE = "127.0.0.1"
# While one task predicts, the other reads and writes.
TASKS_AT_ONCE = 2
# Nobody looks at pages of a cluster that lives as long as a command.
NO_PAGES: dict[str, list[str]] = {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}
VISIBLE = "CUDA_VISIBLE_DEVICES"


@contextmanager
def local_workers(count: int, device: str) -> Iterator[SpecCluster]:
    """Start worker processes on this computer, one a GPU where the device is one; they are gone when the block ends.

    They listen on 127.0.0.1 alone and speak TLS with a certificate made for this run and kept in memory, so that
    other users of the computer cannot join.

    Args:
        count: Processes.
        device: `cpu`, `cuda`, `cuda:N` or `mps`.

    Raises:
        DeviceError: There are fewer GPUs than processes, or a process ended while it started.
    """
    visible = _gpus(count, device)
    security = Security.temporary()
    common: dict[str, Any] = {
        "host": HERE,
        "protocol": "tls://",
        "security": security,
        "dashboard": False,
        "dashboard_address": f"{HERE}:0",
    }
    workers = {}
    for number in range(count):
        options = {
            **common,
            "nthreads": TASKS_AT_ONCE,
            # The engine chooses its windows by the memory that there is.
            "memory_limit": None,
            "silence_logs": QUIET,
            "env": {VISIBLE: visible[number]} if visible else {},
        }
        workers[number] = {"cls": Nanny, "options": options}
    with dask.config.set(NO_PAGES):
        try:
            with _deaf_to_ctrl_c():
                cluster = SpecCluster(
                    workers=workers,
                    scheduler={"cls": Scheduler, "options": common},
                    security=security,
                    silence_logs=QUIET,
                )
        except (RuntimeError, OSError) as error:
            raise DeviceError(
                f"The {count} worker processes could not be started: {error}",
                "Start the same command again, or leave out --workers: one process does the same.",
            ) from error
        try:
            yield cluster
        finally:
            _end(cluster)


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Let processes that are started in the block inherit that Ctrl-C does not reach them.

    A terminal sends it to all processes at once, and a Python that is just starting answers with a traceback. This
    process hears it in its main thread, and ends the others.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # It unblocks the signal in the thread that starts it, which must not be ours in the middle.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _gpus(count: int, device: str) -> list[str]:
    """Return the GPU of each worker, as the variable for visible ones names it."""
    if device == "cpu" or (count == 1 and device != "cuda"):
        return []
    if device != "cuda":
        raise DeviceError(
            f"{count} workers cannot share the device '{device}'.", "Use --device auto, or a single process."
        )
    found = cuda_device_count()
    if count > found:
        raise DeviceError(
            f"{count} workers were asked for, but there are {found} GPU(s) for one worker each.",
            f"Use --workers {found}, or --device cpu.",
        )
    named = [item.strip() for item in os.environ.get(VISIBLE, "").split(",") if item.strip()]
    return named or [str(number) for number in range(found)]


def _end(cluster: SpecCluster) -> None:
    """End all processes at once: what they have not handed over is computed again."""

    async def kill() -> None:
        for nanny in cluster.workers.values():
            nanny.auto_restart = False
        ends = [nanny.process.process.kill() for nanny in cluster.workers.values() if nanny.process is not None]
        await asyncio.gather(*ends, return_exceptions=True)

    with suppress(Exception):
        cluster.sync(kill)
    with suppress(Exception):
        cluster.close(timeout=5)

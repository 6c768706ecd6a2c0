"""The connection to a scheduler, and what it knows of its workers."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from distributed import Client, SpecCluster
from distributed.comm import CommClosedError

from engine.cluster.waves import LostClusterError
from engine.errors import Cancelled, DeviceError, EngineError, InputError, ModelError, OutputError, RequestError
from engine.events import Reporter, format_duration

PATIENCE_VARIABLE = "FLAIR_CLUSTER_PATIENCE"
PATIENCE_SECONDS = 600.0
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0
# How often workers are counted.
COUNT_SECONDS = 2.0
# What Dask raises when a connection breaks, here or there.
BROKEN = (CommClosedError, OSError, TimeoutError, asyncio.TimeoutError, asyncio.CancelledError)

_KINDS: dict[str, type[InputError | ModelError | OutputError | DeviceError | RequestError]] = {
    "input": InputError,
    "model": ModelError,
    "output": OutputError,
    "device": DeviceError,
    "request": RequestError,
}


def patience() -> float:
    """Return the seconds for which a run waits for a scheduler or workers, by `FLAIR_CLUSTER_PATIENCE`.

    Raises:
        RequestError: The variable holds no number of seconds.
    """
    text = os.environ.get(PATIENCE_VARIABLE, "")
    try:
        seconds = float(text) if text else PATIENCE_SECONDS
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:
        raise RequestError(f"{PATIENCE_VARIABLE} is '{text}', which is no number of seconds.", "Give one such as 600.")
    return seconds


class Link:
    """A connection to a scheduler that is made again when it breaks.

    Args:
        where: Address of a scheduler, or a cluster of this process.
        patience: Seconds for which a lost scheduler, or the return of workers, is waited for.
        reporter: Told when the cluster is lost and found.
        cancelled: Set to stop waiting.
    """

    def __init__(
        self, where: str | SpecCluster, patience: float, reporter: Reporter, cancelled: threading.Event
    ) -> None:
        self._where = where
        self._reporter = reporter
        self._cancelled = cancelled
        self._client: Client | None = None
        self._counted = float("-inf")
        self._seen = 0.0
        self._threads: dict[str, int] = {}
        self.patience = patience

    @property
    def client(self) -> Client:
        """The client of the present connection.

        Raises:
            LostClusterError: It is broken.
        """
        if self._client is None or self._client.status != "running":
            raise LostClusterError
        return self._client

    def connect(self) -> None:
        """Connect for the first time; an address at which nothing answers is told within seconds.

        Raises:
            DeviceError: Nothing answers.
        """
        try:
            self._open()
        except (TypeError, ValueError) as error:
            raise DeviceError(
                f"Dask cannot speak to {self._where}: {error}",
                "tls:// needs the certificates in Dask's configuration (distributed.comm.tls).",
            ) from error
        except BROKEN as error:
            raise DeviceError(
                f"No Dask scheduler answers at {self._where}.",
                "Check the address; tls:// also needs the certificates in Dask's configuration.",
            ) from error

    def reconnect(self) -> None:
        """Connect again after a loss, and wait for workers.

        Raises:
            Cancelled: It was asked to stop.
            DeviceError: Patience ran out.
        """
        self._reporter.warning(
            f"The connection to the scheduler is lost; waiting for it for up to {format_duration(self.patience)}."
        )
        end = time.monotonic() + self.patience
        while True:
            self.close()
            try:
                self._open()
                self.wait_for_workers()
                break
            except (LostClusterError, *BROKEN):
                if time.monotonic() > end:
                    raise DeviceError(
                        f"The scheduler {self._where} did not come back within {format_duration(self.patience)}.",
                        "The finished tiles are kept: start the same command again when the cluster runs.",
                    ) from None
                self._pause(1.0)
        self._reporter.log("The scheduler is back; what is missing is handed out again.")

    def wait_for_workers(self) -> None:
        """Wait until there is a worker.

        Raises:
            Cancelled: It was asked to stop.
            DeviceError: Patience ran out.
            LostClusterError: The connection is broken.
        """
        end = time.monotonic() + self.patience
        said = False
        while not self._counted_now():
            if time.monotonic() > end:
                raise _no_workers(self.patience)
            if not said:
                self._reporter.log("The cluster has no workers yet; waiting for the first.")
                said = True
            self._pause(0.5)

    def threads(self) -> Mapping[str, int]:
        """Return the threads of each worker by its address, as of a moment ago.

        Raises:
            DeviceError: All workers have been gone for longer than patience lasts.
        """
        if time.monotonic() - self._counted > COUNT_SECONDS:
            # Whoever hands out tasks, or asks for their answers, learns of a broken connection.
            with suppress(LostClusterError):
                self._counted_now()
        return self._threads

    def ask(self, function: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, dict[str, Any]]:
        """Call a function of `engine.cluster.worker` on all workers and return the answers by worker.

        Raises:
            EngineError: A worker cannot do what is asked; its computer is named.
            LostClusterError: The connection is broken.
        """
        client = self.client
        try:
            answers = client.run(function, *arguments, on_error="return")
        except BROKEN as error:
            raise LostClusterError from error
        for worker, answer in answers.items():
            if isinstance(answer, BROKEN):
                continue
            if isinstance(answer, BaseException):
                raise _cannot_run(worker, answer)
            raise_error(answer)
        return {worker: answer for worker, answer in answers.items() if isinstance(answer, dict)}

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            with suppress(Exception):
                self._client.close(timeout=2)
            self._client = None

    def _counted_now(self) -> Mapping[str, int]:
        moment = self._counted = time.monotonic()
        client = self.client
        # A scheduler that is slow to answer is not lost: the connection's own time limits tell.
        with suppress(*BROKEN):
            self._threads = dict(client.sync(client.scheduler.ncores, callback_timeout=ANSWER_SECONDS))
        if self._threads:
            self._seen = moment
        elif moment - self._seen > self.patience:
            raise _no_workers(self.patience)
        return self._threads

    def _open(self) -> None:
        self._client = Client(self._where, timeout=CONNECT_SECONDS, set_as_default=False, name="flair")
        self._counted = float("-inf")
        self._seen = time.monotonic()

    def _pause(self, seconds: float) -> None:
        if self._cancelled.wait(seconds):
            raise Cancelled


def raise_error(answer: Mapping[str, Any]) -> None:
    """Raise the error of a worker's answer, if there is one.

    Raises:
        EngineError: The worker's, with the name of its computer.
    """
    error = answer.get("error")
    if error is None:
        return
    kind, hint = str(error["kind"]), str(error["hint"])
    message = f"{str(error['message']).rstrip('.')} (said by the worker on '{answer['host']}')."
    if kind == "cancelled":
        raise Cancelled
    if kind in _KINDS:
        raise _KINDS[kind](message, hint)
    raise EngineError("memory" if kind == "memory" else "internal", message, hint)


def _cannot_run(worker: str, error: BaseException) -> DeviceError:
    return DeviceError(
        f"The worker {worker} cannot run the engine ({type(error).__name__}: {error}).",
        "Start workers with the engine's Python, and with PYTHONPATH naming the plugin's folder.",
    )


def _no_workers(seconds: float) -> DeviceError:
    return DeviceError(
        f"The cluster has had no workers for {format_duration(seconds)}.",
        f"Start some, or wait for longer: {PATIENCE_VARIABLE} holds the seconds.",
    )

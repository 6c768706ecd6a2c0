"""Processes that train together meet before they load a network, and hear of each other's failures."""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

from torch._C._distributed_c10d import PrefixStore, Store, TCPStore

from engine.cancellation import Cancellation
from engine.errors import EXIT_CODES, Cancelled, DeviceError, EngineError, ErrorKind
from engine.launch import Launch
from engine.training.distributed import connection_broke

# Machines of a cluster start minutes apart; who never comes is told to the others by then.
MEET_SECONDS = 600.0
POLL_SECONDS = 0.05
# Whoever fails tells the others, or whoever started them all ends them; both take a moment.
HEAR_SECONDS = 5.0
_FAILURE = "failure"


class Meeting:
    """A table of words by key that all processes read and write.

    Args:
        launch: Which of the processes this is.
        store: The table.
        cancelled: Is set, with what went wrong, when another process fails.
    """

    def __init__(self, launch: Launch, store: Store, cancelled: Cancellation) -> None:
        self._launch, self._cancelled = launch, cancelled
        self.store = PrefixStore(self._round(store), store)
        threading.Thread(target=self._listen, name="meeting", daemon=True).start()

    def settle(self, found: dict[str, Any], decide: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return what the first process decides, once all have found the same.

        Args:
            found: What this process found, as JSON values.
            decide: Called in the first process alone; returns JSON values.

        Raises:
            EngineError: Another process failed or found something else; in a process other than the first without
                words where the first one says it.
        """
        if self._launch.rank:
            self._put(f"found/{self._launch.rank}", {"found": found})
            return self._decided()
        try:
            for rank in range(1, self._launch.processes):
                other = self._get(f"found/{rank}")
                if "kind" in other:
                    raise _error(other)
                different = [key for key, value in found.items() if other["found"].get(key) != value]
                if different:
                    raise EngineError(
                        "input",
                        f"Process {rank} found other {' and '.join(different)} than the first one.",
                        "Let all machines read the same files and run the same version.",
                    )
            decision = decide()
        except EngineError as error:
            self._refuse_all(error)
            raise
        self._put("decided", {"decision": decision})
        return decision

    def refuse(self, error: EngineError) -> EngineError:
        """Tell what went wrong before all have settled, and return what this process ends with.

        The first process says it; where it failed as well, its own words do.
        """
        if not self._launch.rank:
            self._refuse_all(error)
            return error
        self._put(f"found/{self._launch.rank}", self._described(error))
        try:
            self._decided()
        except EngineError as said:
            return said
        return error

    def end(self, error: BaseException) -> BaseException:
        """Tell the others that this process cannot go on, and return what a person is told.

        Args:
            error: What happened; where it is that another process is gone, the cause is looked for.
        """
        if connection_broke(error):
            return self._explained(error)
        if not isinstance(error, Cancelled):
            told = (
                error if isinstance(error, EngineError) else EngineError("internal", f"{type(error).__name__}: {error}")
            )
            with contextlib.suppress(RuntimeError):
                self.store.compare_set(_FAILURE, "", json.dumps(self._described(told)))
        return error

    def _explained(self, error: BaseException) -> EngineError:
        self._cancelled.wait(HEAR_SECONDS)
        if self._cancelled.failure is not None:
            return self._cancelled.failure
        if self._cancelled.is_set():
            return Cancelled(self._cancelled.note or Cancelled().message)
        return DeviceError(
            f"Another of the {self._launch.processes} processes that train together ended, or can no longer be "
            f"reached ({_in_short(error)}).",
            "Its own messages say why; the same command goes on from the last whole epoch.",
        )

    def _described(self, error: EngineError) -> dict[str, Any]:
        return {"kind": error.kind, "message": f"{self._launch.name}: {error.message}", "hint": error.hint}

    def _refuse_all(self, error: EngineError) -> None:
        self._put("decided", {"kind": error.kind, "message": "", "hint": ""})
        # The table may end with this process: the others have to read it first.
        end = time.monotonic() + HEAR_SECONDS
        heard = [f"heard/{rank}" for rank in range(1, self._launch.processes)]
        while not self.store.check(heard) and time.monotonic() < end and not self._cancelled.is_set():
            time.sleep(POLL_SECONDS)

    def _decided(self) -> dict[str, Any]:
        answer = self._get("decided")
        if "kind" in answer:
            self._put(f"heard/{self._launch.rank}", {})
            raise _error(answer)
        return dict(answer["decision"])

    def _put(self, key: str, value: dict[str, Any]) -> None:
        self.store.set(key, json.dumps(value))

    def _get(self, key: str) -> dict[str, Any]:
        try:
            while not self.store.check([key]):
                if self._cancelled.is_set():
                    raise self._cancelled.failure or Cancelled
                time.sleep(POLL_SECONDS)
            return dict(json.loads(self.store.get(key)))
        except RuntimeError as error:
            raise self._explained(error) from error

    def _round(self, store: Store) -> str:
        """Return a name for this start of all processes, told by the first one.

        A table kept by torchrun still holds what was written before a restart, so each process asks with a word of its
        own, and the first one answers until it has heard back from all.
        """
        launch, mine = self._launch, secrets.token_hex(8)
        end = time.monotonic() + MEET_SECONDS
        waiting = set(range(1, launch.processes))
        while True:
            if self._cancelled.is_set():
                raise self._cancelled.failure or Cancelled
            if launch.rank:
                store.set(f"hello/{launch.rank}", mine)
                asked, _, told = _read(store, f"welcome/{launch.rank}").partition(" ")
                if asked == mine:
                    store.set(f"thanks/{launch.rank}", told)
                    return told
            else:
                for rank in tuple(waiting):
                    if _read(store, f"thanks/{rank}") == mine:
                        waiting.discard(rank)
                    elif asked := _read(store, f"hello/{rank}"):
                        store.set(f"welcome/{rank}", f"{asked} {mine}")
                if not waiting:
                    return mine
            if time.monotonic() > end:
                late = f"{len(waiting)} of the {launch.processes} processes" if not launch.rank else "The first process"
                raise DeviceError(
                    f"{late} did not come to {launch.address}, port {launch.port}, within {MEET_SECONDS / 60:.0f} "
                    "minutes.",
                    "Look for their messages, and whether the machines reach each other.",
                )
            time.sleep(POLL_SECONDS)

    def _listen(self) -> None:
        while not self._cancelled.is_set():
            try:
                if self.store.check([_FAILURE]):
                    self._cancelled.failure = _error(json.loads(self.store.get(_FAILURE)))
                    self._cancelled.set()
                    return
            except (RuntimeError, ValueError):
                # Whoever keeps the table is gone; the connection between the processes breaks as well.
                return
            time.sleep(1.0)


def meet(launch: Launch, cancelled: Cancellation) -> Meeting:
    """Return the meeting of all processes of a run; waits for the others.

    Raises:
        DeviceError: They do not find each other.
        Cancelled: `cancelled` was set.
    """
    try:
        store = TCPStore(
            launch.address,
            launch.port,
            is_master=launch.rank == 0 and not launch.hosted,
            timeout=timedelta(seconds=MEET_SECONDS),
            wait_for_workers=False,
        )
        return Meeting(launch, store, cancelled)
    except (RuntimeError, ValueError) as error:
        raise DeviceError(
            f"The processes that train together cannot meet at {launch.address}, port {launch.port} "
            f"({_in_short(error)}).",
            "Check that the machines reach each other, or choose another port with MASTER_PORT.",
        ) from error


def _read(store: Store, key: str) -> str:
    return store.get(key).decode() if store.check([key]) else ""


def _in_short(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]


def _error(values: dict[str, Any]) -> EngineError:
    kind = values["kind"] if values["kind"] in EXIT_CODES else "internal"
    return EngineError(cast("ErrorKind", kind), str(values["message"]), str(values["hint"]))

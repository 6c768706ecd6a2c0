"""Several pieces at once: fetched, unpacked, checked, noted."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from engine.acquisition.pieces import Piece, fetch, group, write_all
from engine.acquisition.progress import DownloadProgress
from engine.acquisition.server import FileChanged, NoRanges, Server
from engine.acquisition.survey import Planned
from engine.acquisition.unpack import DamagedMember, unpack
from engine.errors import Cancelled

# A damaged member may be the line's fault, once.
_ATTEMPTS = 3
_POLL_SECONDS = 0.1
_GRACE_SECONDS = 0.8
# Longer than a read waits: where a new round follows, nobody of the old one may still write.
_END_SECONDS = 60.0


@dataclass(frozen=True)
class Job:
    """Something for a worker to do.

    Args:
        plan: The file that it is of.
        piece: Bytes to fetch; None for a file that the server sends only as a whole.
    """

    plan: Planned
    piece: Piece | None


class FileProblem(Exception):  # noqa: N818
    """What happened to one file, with the file that it happened to."""

    def __init__(self, plan: Planned) -> None:
        super().__init__(plan.file.name)
        self.plan = plan


@dataclass
class Fetcher:
    """Works through jobs with several threads.

    Args:
        server: Where the bytes come from.
        root: Folder of the data set.
        progress: Counts what comes.
        stop: Ends the threads.
        cancelled: Set by whoever wants the command to end.
    """

    server: Server
    root: Path
    progress: DownloadProgress
    stop: threading.Event
    cancelled: threading.Event
    damaged: list[str] = field(default_factory=list)
    """Members whose content stays wrong however often they are fetched."""
    files: int = 0
    """Members that were put in their place."""

    def run(self, jobs: Iterable[Job], connections: int) -> None:
        """Do all jobs.

        Raises:
            FileProblem: The cause says what: `FileChanged` or `NoRanges`.
            InputError: The server cannot be reached any more, or a link leads out of the folder.
            OSError: The disk is full, or something else cannot be written.
            Cancelled: `cancelled` was set.
        """
        waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
        count = 0
        for job in jobs:
            waiting.put(job)
            count += 1
        errors: list[BaseException] = []
        # Not a pool: its end waits for threads that hang on a dead line.
        threads = [
            threading.Thread(target=self._work, args=(waiting, errors), name=f"fetch {number}", daemon=True)
            for number in range(min(connections, count))
        ]
        for thread in threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in threads):
                self.progress.tell("Fetching")
                if self.cancelled.is_set():
                    raise Cancelled
                if errors:
                    break
                next((item for item in threads if item.is_alive()), threads[0]).join(_POLL_SECONDS)
        finally:
            if errors or self.cancelled.is_set():
                self.stop.set()
            again = any(isinstance(error, FileProblem) for error in errors) and not self.cancelled.is_set()
            end = time.monotonic() + (_END_SECONDS if again else _GRACE_SECONDS)
            for thread in threads:
                thread.join(max(0.0, end - time.monotonic()))
        if errors:
            raise next((error for error in errors if not isinstance(error, Cancelled)), errors[0])

    def _work(self, waiting: queue.SimpleQueue[Job], errors: list[BaseException]) -> None:
        try:
            while not self.stop.is_set():
                try:
                    job = waiting.get_nowait()
                except queue.Empty:
                    return
                self._do(job)
        except BaseException as error:
            errors.append(error)
            self.stop.set()

    def _do(self, job: Job) -> None:
        try:
            if job.piece is None:
                self._whole(job.plan)
            elif job.plan.whole:
                self._into_file(job.plan, job.piece)
            else:
                self._members(job.plan, job.piece)
        except (FileChanged, NoRanges) as error:
            raise FileProblem(job.plan) from error

    def _fetch(self, plan: Planned, piece: Piece) -> Path:
        for count in fetch(self.server, plan.remote, piece, plan.state):
            self.progress.add(count)
        return plan.state.part(piece.start, piece.end)

    def _members(self, plan: Planned, piece: Piece) -> None:
        pieces: tuple[Piece, ...] = (piece,)
        for attempt in range(1, _ATTEMPTS + 1):
            damaged = []
            for item in pieces:
                part = self._fetch(plan, item)
                with part.open("rb") as stream:
                    for member in item.members:
                        try:
                            digest = unpack(stream, item.start, member, self.root, self.stop)
                        except DamagedMember:
                            damaged.append(member)
                            continue
                        self._note(plan, member.path, digest)
                part.unlink()
            if not damaged:
                return
            pieces = group(damaged)
            if attempt < _ATTEMPTS:
                self.progress.take_back(sum(item.end - item.start for item in pieces))
        self.damaged += [member.path for member in damaged]

    def _note(self, plan: Planned, path: str, digest: str) -> None:
        mtime = (self.root / path).stat().st_mtime_ns
        plan.state.add(path, {"sha256": digest, "mtime": mtime})
        self.files += 1

    def _into_file(self, plan: Planned, piece: Piece) -> None:
        part = self._fetch(plan, piece)
        with whole_file(plan).open("r+b", buffering=0) as stream, part.open("rb") as source:
            stream.seek(piece.start)
            while block := source.read(1 << 20):
                write_all(stream.write, block)
            os.fsync(stream.fileno())
        # In this order: at no moment are the bytes neither in the part nor in the file.
        plan.state.add(piece.key, {})
        part.unlink()

    def _whole(self, plan: Planned) -> None:
        got = 0
        with whole_file(plan).open("wb", buffering=0) as stream:
            for chunk in self.server.whole(plan.remote):
                if chunk is None:
                    stream.seek(0)
                    stream.truncate()
                    self.progress.take_back(got)
                    got = 0
                    continue
                write_all(stream.write, chunk)
                got += len(chunk)
                self.progress.add(len(chunk))
            os.fsync(stream.fileno())
        plan.state.add("whole", {"size": got})


def whole_file(plan: Planned) -> Path:
    """Return where a file is put together that is fetched as a whole."""
    return plan.state.folder / "whole.partial"


def clean(plan: Planned, jobs: Iterable[Job]) -> None:
    """Remove parts of pieces that are not asked for any more."""
    kept = [plan.state.part(job.piece.start, job.piece.end) for job in jobs if job.piece and job.plan is plan]
    with contextlib.suppress(OSError):
        plan.state.drop_parts(kept)

"""A published data set, or parts of it, from its servers into a folder."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.acquisition import presence, whole_files
from engine.acquisition.fetching import Fetcher, FileProblem, Job, clean
from engine.acquisition.pieces import PIECE_BYTES, group, missing
from engine.acquisition.progress import DownloadProgress
from engine.acquisition.selection import Selection
from engine.acquisition.server import NoRanges, Server
from engine.acquisition.sizes import readable
from engine.acquisition.sources import Source
from engine.acquisition.state import FOLDER
from engine.acquisition.survey import Planned, survey
from engine.cancellation import Either
from engine.data.checksums import FILE_NAME as CHECKSUMS
from engine.errors import InputError, OutputError
from engine.events import Reporter
from engine.rasters.disk import output_error
from engine.rasters.folder_lock import hold
from engine.text_file import write_whole

_ROUNDS = 5
_SHOWN = 5


@dataclass
class Outcome:
    """What a download brought.

    Args:
        parts: For each modality: files, bytes to fetch, bytes unpacked.
        fetched: Bytes that came over the line in this run.
        placed: Files that were put in their place in this run.
        files: Files of the data set that are there now.
        breaks: How often the line broke or the server asked to wait.
    """

    parts: dict[str, dict[str, int]] = field(default_factory=dict)
    fetched: int = 0
    placed: int = 0
    files: int = 0
    breaks: int = 0


@dataclass
class Download:
    """A download into a folder; `run` may be called once.

    Args:
        source: The data set.
        selection: What is wanted of it.
        output: Absolute path of the folder.
        connections: Pieces that are fetched at once.
        keep_archives: Whether archives are fetched whole and kept.
        reporter: Receives progress, sizes and whatever goes wrong on the way.
        cancelled: Set to stop.
    """

    source: Source
    selection: Selection
    output: Path
    connections: int
    keep_archives: bool
    reporter: Reporter
    cancelled: threading.Event
    _whole: set[str] = field(default_factory=set)

    def measure(self, states: Path) -> Outcome:
        """Ask how large the download is.

        Args:
            states: Folder for what has to be remembered meanwhile.

        Raises:
            EngineError: See `run`.
        """
        with Server(self.reporter, self.cancelled) as server:
            return self._sizes(self._survey(server, states, self.cancelled))

    def run(self) -> Outcome:
        """Fetch what is not there yet, and check what is.

        Raises:
            InputError: A server cannot be reached, does not have a file, or sends what is damaged or dangerous.
            RequestError: A domain that was asked for does not exist.
            OutputError: The folder cannot be written, has too little room, or another run writes to it.
            Cancelled: `cancelled` was set.
        """
        states = self.output / FOLDER
        try:
            states.mkdir(parents=True, exist_ok=True)
            lock = hold(states, self.output)
        except OSError as error:
            raise output_error(self.output, error) from error
        try:
            return self._rounds(states)
        except OSError as error:
            raise output_error(self.output / "file", error) from error
        finally:
            lock.release()

    def _rounds(self, states: Path) -> Outcome:
        for number in range(_ROUNDS):
            # Its own, since a round ends its threads when one of them finds that a file has changed.
            stop = Either(self.cancelled)
            with Server(self.reporter, stop) as server:
                planned = self._survey(server, states, stop)
                try:
                    return self._round(planned, server, stop, first=number == 0)
                except FileProblem as problem:
                    self._learn(problem)
                finally:
                    for plan in planned:
                        plan.state.close()
        raise InputError("Files change on the server again and again while they are fetched.", "Try again later.")

    def _learn(self, problem: FileProblem) -> None:
        name = problem.plan.file.name
        if isinstance(problem.__cause__, NoRanges):
            self._whole.add(name)
            self.reporter.warning(f"The server sends '{name}' as a whole only: where it breaks off, it begins again.")
        else:
            self.reporter.warning(
                f"'{name}' has changed on the server while it was fetched: it is fetched anew; files that are the same "
                "in both are kept."
            )
        problem.plan.state.forget()

    def _survey(self, server: Server, states: Path, stop: threading.Event) -> list[Planned]:
        planned = survey(
            self.selection.files(self.source),
            self.selection,
            states,
            server,
            keep_archives=self.keep_archives,
            whole=self._whole,
            reporter=self.reporter,
            stop=stop,
        )
        if not planned:
            raise InputError("Nothing in the data set is what was asked for.", "Ask for more parts, splits or domains.")
        _check_between(planned)
        return planned

    def _round(self, planned: Sequence[Planned], server: Server, stop: threading.Event, *, first: bool) -> Outcome:
        outcome = self._sizes(planned)
        if first:
            self._say(outcome, planned)
        found = presence.look(planned, self.output, self.reporter, stop)
        if found.damaged:
            self.reporter.log(
                f"{found.damaged} files that are there differ from the archive's: they are fetched again."
            )
        jobs, unfinished = self._jobs(planned, found.absent, stop)
        for plan in planned:
            clean(plan, jobs)
        total = sum(plan.fetched for plan in planned)
        waiting = sum(_left(job) for job in jobs)
        self._check_space(planned, found.absent, unfinished, jobs)
        if not jobs and not unfinished:
            self.reporter.log("Everything that was asked for is there, and sound.")
        elif 0 < waiting < total:
            self.reporter.log(f"{readable(total - waiting)} of {readable(total)} are there already.")
        for plan in planned:
            if plan.state.remote is not None and any(job.plan is plan for job in jobs):
                plan.state.begin(plan.remote)
        progress = DownloadProgress(max(total, waiting), total - waiting, self.reporter)
        fetcher = Fetcher(server, self.output, progress, stop, self.cancelled)
        fetcher.run(jobs, self.connections)
        outcome.placed = fetcher.files
        for plan in unfinished:
            outcome.placed += whole_files.finish(
                plan,
                self.output,
                self.selection,
                found.absent,
                keep=self.keep_archives,
                progress=progress,
                stop=stop,
            )
        if fetcher.damaged:
            raise _damaged(fetcher.damaged)
        for plan in planned:
            plan.state.begin(plan.remote, complete=True)
        outcome.fetched = progress.fetched
        outcome.breaks = server.breaks
        outcome.files = self._write_checksums(planned)
        return outcome

    def _jobs(
        self, planned: Sequence[Planned], absent: frozenset[str], stop: threading.Event
    ) -> tuple[list[Job], list[Planned]]:
        """Return what is to be fetched, and the files that are to be put together, unpacked or placed after that."""
        jobs: list[Job] = []
        unfinished: list[Planned] = []
        for plan in planned:
            if not plan.whole:
                pieces = missing(group(plan.members), lambda member: member.path in absent, plan.state)
                jobs += [Job(plan, piece) for piece in pieces]
                continue
            lacking = not plan.listed or any(member.path in absent for member in plan.members)
            kept = self.keep_archives or plan.file.kind == "plain"
            there = kept and whole_files.in_place(plan, self.output, stop)
            if not there and (kept or lacking):
                jobs += whole_files.jobs(plan)
            if lacking or (kept and not there):
                unfinished.append(plan)
        return jobs, unfinished

    def _sizes(self, planned: Iterable[Planned]) -> Outcome:
        outcome = Outcome()
        for plan in planned:
            part = outcome.parts.setdefault(plan.file.modality, {"files": 0, "fetched": 0, "unpacked": 0})
            part["files"] += len(plan.members) if plan.file.kind == "zip" else 1
            part["fetched"] += plan.fetched
            part["unpacked"] += plan.unpacked
        return outcome

    def _say(self, outcome: Outcome, planned: Sequence[Planned]) -> None:
        self.reporter.log(f"{self.source.title} ({self.source.licence}).")
        for line in describe(outcome):
            self.reporter.log(line)
        for plan in planned:
            if not plan.remote.ranges and plan.file.kind == "zip":
                self.reporter.warning(
                    f"{plan.remote.host} sends '{plan.file.name}' as a whole only: where it breaks off, it begins "
                    "again, and the archive needs room beside its content."
                )

    def _check_space(
        self, planned: Sequence[Planned], absent: frozenset[str], unfinished: Sequence[Planned], jobs: Sequence[Job]
    ) -> None:
        needed = sum(member.size for plan in planned for member in plan.members if member.path in absent)
        pieces = sum(member.end - member.start for plan in planned for member in plan.members if member.path in absent)
        needed += min(self.connections * PIECE_BYTES, pieces)
        fetched = {id(job.plan) for job in jobs}
        needed += sum(whole_files.still_to_come(plan) for plan in unfinished if id(plan) in fetched)
        free = shutil.disk_usage(self.output).free
        if needed > free:
            raise OutputError(
                f"{readable(needed)} are needed, but only {readable(free)} are free in '{self.output}'.",
                "Choose a folder on another disk, or fewer parts with --modalities, --splits or --domains.",
            )

    def _write_checksums(self, planned: Sequence[Planned]) -> int:
        """Write the SHA-256 of every file that is there, as `sha256sum --check` reads them."""
        path = self.output / CHECKSUMS
        sums: dict[str, str] = {}
        if path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                digest, _, name = line.partition("  ")
                if name and (self.output / name).is_file():
                    sums[name] = digest
        for plan in planned:
            wanted = {member.path for member in plan.members} if plan.listed else set(plan.state.done)
            for key, noted in plan.state.done.items():
                if "sha256" in noted and (key in wanted or key == "placed"):
                    sums[plan.file.name if key == "placed" else key] = noted["sha256"]
        write_whole(path, "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())))
        return len(sums)


def describe(outcome: Outcome) -> list[str]:
    """Return the size of each part and of all, a line each."""
    lines = [
        f"{name}: {readable(part['fetched'])} to fetch, {readable(part['unpacked'])} unpacked, {part['files']} files"
        if part["files"]
        else f"{name}: {readable(part['fetched'])} to fetch; what is in it is told once it is there"
        for name, part in outcome.parts.items()
    ]
    if len(lines) > 1:
        fetched = sum(part["fetched"] for part in outcome.parts.values())
        unpacked = sum(part["unpacked"] for part in outcome.parts.values())
        lines.append(f"in all: {readable(fetched)} to fetch, {readable(unpacked)} unpacked")
    return lines


def _left(job: Job) -> int:
    if job.piece is None:
        return max(job.plan.remote.size, 0)
    part = job.plan.state.part(job.piece.start, job.piece.end)
    return job.piece.end - job.piece.start - (part.stat().st_size if part.is_file() else 0)


def _check_between(planned: Sequence[Planned]) -> None:
    """Check that no two archives want to write different content to one place."""
    places: dict[str, tuple[int, str]] = {}
    for plan in planned:
        for member in plan.members:
            key = os.path.normcase(member.path).lower()
            crc, other = places.setdefault(key, (member.crc, plan.file.name))
            if crc != member.crc:
                raise InputError(f"'{member.path}' lies in '{other}' and, with other content, in '{plan.file.name}'.")


def _damaged(paths: Sequence[str]) -> InputError:
    shown = ", ".join(f"'{path}'" for path in paths[:_SHOWN]) + (", ..." if len(paths) > _SHOWN else "")
    what = "1 file arrives" if len(paths) == 1 else f"{len(paths)} files arrive"
    return InputError(
        f"{what} damaged, also when fetched again: {shown}. Everything else is in its place.",
        "Run the same command again later; if it stays so, tell the publisher.",
    )

"""What a download would bring: asked of the server, without fetching more than the lists of the archives."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from engine.acquisition.directory import Member, read_directory
from engine.acquisition.pieces import Piece, fetch
from engine.acquisition.selection import Selection
from engine.acquisition.server import FileChanged, NoRanges, RemoteFile, Server
from engine.acquisition.sizes import readable
from engine.acquisition.sources import SourceFile
from engine.acquisition.state import FileState
from engine.data.official_split import domain_of
from engine.errors import InputError
from engine.events import Reporter

_AT_ONCE = 8
# Published sizes are rounded, and nobody says whether to powers of 1000 or 1024.
_TOLERANCE = 0.12


@dataclass(frozen=True)
class Planned:
    """A file of a data set, as it lies on the server, and what is wanted of it.

    Args:
        file: The file.
        remote: Its version on the server.
        state: What is there of it already.
        listed: Whether its list of members could be read from the server.
        members: Members that are wanted; empty for a plain file, or while they are not listed.
        whole: Whether it is fetched as a whole rather than member by member.
    """

    file: SourceFile
    remote: RemoteFile
    state: FileState
    listed: bool
    members: tuple[Member, ...]
    whole: bool

    @property
    def fetched(self) -> int:
        """Bytes that the server has to send for all that is wanted; 0 where it does not tell."""
        if self.whole:
            return max(self.remote.size, 0)
        return sum(member.end - member.start for member in self.members)

    @property
    def unpacked(self) -> int:
        """Bytes of what is wanted, unpacked; 0 where that is not known yet."""
        if self.file.kind == "plain":
            return max(self.remote.size, 0)
        return sum(member.size for member in self.members)


def survey(
    files: Iterable[SourceFile],
    selection: Selection,
    folder: Path,
    server: Server,
    *,
    keep_archives: bool,
    whole: set[str],
    reporter: Reporter,
    stop: threading.Event,
) -> list[Planned]:
    """Ask for sizes and read the archives' lists.

    Args:
        files: Files in which something wanted can be.
        selection: What is wanted.
        folder: Folder of the states of all files.
        server: Where they lie.
        keep_archives: Whether archives are fetched whole.
        whole: Names of files of which the server has refused parts.
        reporter: Is told what has changed on the server since an earlier run.
        stop: Set to stop; is set where one file cannot be had, so that the others end.

    Raises:
        InputError: A file cannot be had.
        RequestError: A domain that was asked for does not exist.
        Cancelled: `stop` was set.
        OSError: Nothing can be written in the folder.
    """

    def look(file: SourceFile) -> tuple[Planned, set[str]]:
        try:
            return _look(file, selection, folder, server, keep_archives, file.name in whole, reporter)
        except BaseException:
            stop.set()
            raise

    wanted = list(files)
    done = 0
    found: list[Planned] = []
    domains: set[str] = set()
    unlisted = False
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="survey") as pool:
        futures = [pool.submit(look, file) for file in wanted]
        errors = []
        for future in futures:
            try:
                planned, there = future.result()
            except BaseException as error:
                errors.append(error)
                continue
            found.append(planned)
            domains |= there
            unlisted |= not planned.listed
            done += 1
            reporter.progress(0.0, f"Reading the lists of the archives, {done} of {len(wanted)}")
    if errors:
        # The others were only stopped by it.
        raise next((error for error in errors if isinstance(error, InputError)), errors[0])
    if not unlisted and domains:
        selection.check_domains(domains)
    return [planned for planned in found if planned.members or planned.whole or not planned.listed]


def _look(
    file: SourceFile,
    selection: Selection,
    folder: Path,
    server: Server,
    keep_archives: bool,
    refused: bool,
    reporter: Reporter,
) -> tuple[Planned, set[str]]:
    for _ in range(3):
        remote = server.ask(file.url)
        if refused:
            remote = RemoteFile(remote.url, remote.size, remote.etag, remote.modified, ranges=False)
        state = FileState(folder / file.name)
        if state.remote is None:
            state.forget()
            _compare_with_published(file, remote, reporter)
        elif not state.remote.same_version(remote) or state.remote.url != remote.url:
            reporter.warning(
                f"'{file.name}' has changed on the server since it was begun (then {readable(state.remote.size)}, now "
                f"{readable(remote.size)}): it is fetched anew; files that are the same in both are kept."
            )
            state.forget()
        state.begin(remote, complete=state.complete)
        whole = file.kind == "plain" or keep_archives or not remote.ranges or remote.size < 0
        if file.kind == "plain" or ((not remote.ranges or remote.size < 0) and not state.tail.is_file()):
            return Planned(file, remote, state, file.kind == "plain", (), whole), set()
        try:
            every = read_directory(file.name, max(remote.size, 0), _tail(server, remote, state))
        except FileChanged:
            state.forget()
            continue
        except NoRanges:
            refused = True
            continue
        members = selection.members(file, every)
        return Planned(file, remote, state, True, members, whole and bool(members)), {
            domain for member in every if (domain := domain_of(member.path))
        }
    raise InputError(f"'{file.url}' changes all the time on its server.", "Try again later.")


def _tail(server: Server, remote: RemoteFile, state: FileState) -> Callable[[int], bytes]:
    # Of a server that sends whole files only, the tail is there from an earlier download.
    def read(start: int) -> bytes:
        content = state.tail.read_bytes() if state.tail.is_file() else b""
        first = remote.size - len(content)
        if first > start:
            piece = Piece(start, first)
            for _ in fetch(server, remote, piece, state):
                pass
            part = state.part(piece.start, piece.end)
            content = part.read_bytes() + content
            new = state.tail.with_name("tail.partial")
            new.write_bytes(content)
            new.replace(state.tail)
            part.unlink()
        return content[start - remote.size :] if start < remote.size else b""

    return read


def _compare_with_published(file: SourceFile, remote: RemoteFile, reporter: Reporter) -> None:
    if file.size and remote.size >= 0 and abs(remote.size - file.size) > _TOLERANCE * file.size:
        reporter.warning(
            f"'{file.name}' has {readable(remote.size)} on the server, but {readable(file.size)} were published: it "
            "may be another version."
        )

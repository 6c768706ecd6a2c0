"""Pieces of a file: what is fetched with one request, and taken up again at any byte."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from engine.acquisition.directory import Member
from engine.acquisition.server import RemoteFile, Server
from engine.acquisition.state import FileState

PIECE_BYTES = 16 * 1024 * 1024
# Sooner read and thrown away than asked around: what a request costs on a line of 100 Mbit/s.
_GAP_BYTES = 128 * 1024


@dataclass(frozen=True)
class Piece:
    """Bytes of a file that belong together.

    Args:
        start: First byte.
        end: One past the last byte.
        members: Members of the archive that lie there and are wanted; empty where bytes alone are fetched.
    """

    start: int
    end: int
    members: tuple[Member, ...] = ()

    @property
    def key(self) -> str:
        """Its name in the list of what is done."""
        return f"{self.start}-{self.end}"


def cut(size: int, length: int = PIECE_BYTES) -> tuple[Piece, ...]:
    """Return the pieces of a whole file."""
    return tuple(Piece(start, min(start + length, size)) for start in range(0, size, length))


def group(members: Iterable[Member], length: int = PIECE_BYTES) -> tuple[Piece, ...]:
    """Return pieces that hold the given members; a member larger than a piece is one by itself.

    Args:
        members: In the order in which they lie in the archive.
        length: Bytes of a piece.
    """
    pieces: list[Piece] = []
    waiting: list[Member] = []
    for member in members:
        if waiting and (member.end - waiting[0].start > length or member.start - waiting[-1].end > _GAP_BYTES):
            pieces.append(_piece(waiting))
            waiting = []
        waiting.append(member)
    if waiting:
        pieces.append(_piece(waiting))
    return tuple(pieces)


def missing(pieces: Iterable[Piece], absent: Callable[[Member], bool], state: FileState) -> tuple[Piece, ...]:
    """Return the pieces that are still to be fetched; where only some members lack, no more than those.

    Args:
        pieces: All pieces of the wanted members.
        absent: Says of a member whether it is not in its place.
        state: Tells which pieces have begun: those are finished as they are.
    """
    found: list[Piece] = []
    for piece in pieces:
        lacking = tuple(member for member in piece.members if absent(member))
        if not lacking:
            continue
        if len(lacking) == len(piece.members) or state.part(piece.start, piece.end).exists():
            found.append(Piece(piece.start, piece.end, lacking))
        else:
            found += group(lacking)
    return tuple(found)


def _piece(members: Sequence[Member]) -> Piece:
    return Piece(members[0].start, members[-1].end, tuple(members))


def fetch(server: Server, remote: RemoteFile, piece: Piece, state: FileState) -> Iterator[int]:
    """Bring a piece's part up to its full length, yielding how many bytes have come.

    Raises:
        FileChanged, NoRanges: See `Server.stream`.
        InputError: The server cannot be reached any more.
        OSError: The part could not be written.
        Cancelled: The download was cancelled.
    """
    path = state.part(piece.start, piece.end)
    length = piece.end - piece.start
    # Without a buffer of Python's, what has come is safe from the end of the process.
    with path.open("ab", buffering=0) as stream:
        at = stream.tell()
        if at > length:
            stream.truncate(0)
            at = 0
        for chunk in server.stream(remote, piece.start + at, piece.end):
            write_all(stream.write, chunk)
            yield len(chunk)


def write_all(write: Callable[[memoryview], int | None], chunk: bytes) -> None:
    """Write all of a chunk by a function that may write less, as on a disk that is filling up.

    Raises:
        OSError: Nothing more can be written.
    """
    view = memoryview(chunk)
    while view:
        view = view[write(view) or 0 :]

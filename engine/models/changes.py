"""What became of each tensor when a network got its first weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

SHOWN = 3


@dataclass(frozen=True)
class TensorChange:
    """What became of one tensor.

    Args:
        name: Its name in the network; for `left out`, in the file.
        what: `kept`: all of it comes from the file, in another order where the note says so; `widened`: a part of it
            does; `new`: random; `left out`: the network has no place for it.
        note: What the word does not tell; may be empty.
    """

    name: str
    what: Literal["kept", "widened", "new", "left out"]
    note: str = ""


def summary(changes: Sequence[TensorChange]) -> str:
    """Return the changes as one line for a person."""
    present = [change for change in changes if change.what != "left out"]
    kept = sum(change.what == "kept" for change in present)
    parts = [f"{kept} of {len(present)} tensors kept"]
    notes: dict[str, list[str]] = {}
    for change in present:
        if change.note and change.what != "new":
            notes.setdefault(change.note, []).append(change.name)
    parts += [f"{' and '.join(names)}: {note}" for note, names in notes.items()]
    for what in ("new", "left out"):
        names = [change.name for change in changes if change.what == what]
        if names:
            parts.append(f"{len(names)} {what} ({_shortened(names)})")
    return "; ".join(parts)


def _shortened(names: Sequence[str]) -> str:
    if len(names) <= SHOWN:
        return ", ".join(names)
    parts = Counter(name.partition(".")[0] for name in names)
    return ", ".join(f"{count} of {part}" for part, count in parts.items())

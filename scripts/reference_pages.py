"""Pages of the reference that are made from the code: how they are written, and whether they are up to date.

Imports nothing but the standard library: it serves the engine's Python and that of QGIS.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"
NOTE = "<!-- Made from the code by `make reference`: what is changed here is lost. -->\n\n"

Pages = dict[str, str]
"""Text by file name."""


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown; a column without any text is left out."""
    kept = [index for index in range(len(heads)) if any(row[index] for row in rows)]
    lines = [[heads[index] for index in kept], ["---"] * len(kept)]
    lines += [[cell(row[index]) for index in kept] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def cell(text: str) -> str:
    """Return a text as a table's cell can hold it."""
    return " ".join(text.replace("|", "\\|").split())


def command_block(*lines: str) -> str:
    """Return commands for a terminal."""
    return "```bash\n" + "".join(f"{line}\n" for line in lines) + "```\n"


def wrapped_command(command: str, width: int = 100) -> str:
    """Return a long command over several lines."""
    lines, line = [], ""
    for word in re.split(r" (?=--|[A-Z_]+=|\w+=)", command):
        if line and len(line) + len(word) + 3 > width:
            lines.append(line + " \\")
            line = "    " + word
        else:
            line = f"{line} {word}" if line else word
    return "\n".join([*lines, line])


def write(folder: Path, pages: Pages) -> None:
    """Write pages into a folder of their own, and take out those that are no longer made."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.md"):
        if path.name not in pages:
            path.unlink()
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def stale(folder: Path, pages: Pages) -> list[str]:
    """Return the names of pages that are not as the code would make them now."""
    names = {path.name for path in folder.glob("*.md")} | set(pages)
    return [
        name
        for name in sorted(names)
        if name not in pages
        or not (folder / name).is_file()
        or (folder / name).read_text(encoding="utf-8") != pages[name]
    ]
